"""Key fobs over the whole chain: let in beside the lock, changed, deleted and cleared through the gateway."""

import asyncio

from firmware.lib import marks, opcodes
from firmware.lib.messages import fingerprint_client
from host_tools.near import ownership
from tests.system.bench import Bench
from tests.system.test_fingerprints import record_of

MINE, YOURS = "c0:ff:ee:00:00:01", "c0:ff:ee:00:00:02"
THIRD, FOURTH = "c0:ff:ee:00:00:11", "c0:ff:ee:00:00:12"
UNLOCK, LOCK = 1, 2


async def press(bench: Bench, mac: str, button: int = UNLOCK, battery: int = 77) -> None:
    request = {"do": "fob", "mac": mac, "button": button, "battery": battery}
    assert (await bench.lock.ask(request)).get("ok")


async def opens(bench: Bench, mac: str) -> bool:
    """Whether a fob opens the door; its other button locks it again."""
    if not await bench.opens({"do": "fob", "mac": mac, "button": UNLOCK, "battery": 77}):
        return False
    await bench.until_at_rest("unlocked")  # a lock that is told to lock before has not opened
    await press(bench, mac, LOCK)
    await bench.until_at_rest("locked")
    return True


def used(bench: Bench, key: str, mac: str) -> list[dict]:
    """Every record 55 of one fob so far."""
    mark = marks.of_fob(bytes.fromhex(key), bytes.fromhex(mac.replace(":", "")))
    return [item for item in bench.records() if item["type"] == 55 and item["who"] == mark]


async def listed(bench: Bench) -> list[dict]:
    found = await bench.ask("fob_list")
    assert found["ok"], found
    return found["data"]["items"]


def test_f099_fobs_are_let_in_by_a_press_and_by_their_address(shared):
    async def story(bench):
        seen = len(bench.records())
        await bench.until_linkless()

        pressing: list[asyncio.Task] = []

        def told(step: str) -> None:
            if "press" in step:
                pressing.append(asyncio.create_task(press(bench, MINE)))

        assert await ownership.add_fob(shared.entry, progress=told) == MINE
        await asyncio.gather(*pressing)
        assert await ownership.add_fob(shared.entry, YOURS) == YOURS
        assert [item["mac"] for item in await listed(bench)] == [MINE.replace(":", ""), YOURS.replace(":", "")]
        assert await opens(bench, MINE) and await opens(bench, YOURS)
        assert not await opens(bench, "c0:ff:ee:00:00:03")
        await record_of(bench, 99, seen)
        assert (await bench.ask("fob_add", {"mac": MINE}))["code"] == "bad_request"  # beside the lock only
        assert (await bench.ask("fob_clear"))["ok"]

    shared.run(story)


def test_f098_fobs_are_listed_changed_deleted_and_cleared(shared):
    async def story(bench):
        seen = len(bench.records())
        await bench.until_linkless()
        for mac in (THIRD, FOURTH):
            assert await ownership.add_fob(shared.entry, mac) == mac
        assert await opens(bench, THIRD)
        wanted = {"mac": THIRD.replace(":", ""), "battery": 77, "online": True, "status": 1}
        assert (await listed(bench))[0] == wanted

        now_s = int(bench.site.now())
        later = {"mac": THIRD, "start": now_s + 86400, "end": now_s + 2 * 86400}
        assert (await bench.ask("fob_change", later))["ok"]
        assert not await opens(bench, THIRD)
        assert await opens(bench, FOURTH)
        aes = shared.entry.aes
        await bench.until(lambda: len(used(bench, aes, FOURTH)) == 2, "records of a fob")
        mine = used(bench, aes, THIRD)  # records come in order: what was ignored left none
        assert [item["method"] for item in mine] == ["remote", "remote"]
        hours = {"mac": THIRD, "days": [1, 2, 3, 4, 5, 6, 7], "from_min": 0, "to_min": 1440}
        assert (await bench.ask("fob_change", hours))["ok"]
        assert (await listed(bench))[0]["hours"] == [[1, day, 0, 1440] for day in range(1, 8)]
        assert await opens(bench, THIRD)

        for _ in range(2):
            assert (await bench.ask("fob_delete", {"mac": THIRD}))["code"] == "ok"
        await record_of(bench, 100, seen)
        assert not await opens(bench, THIRD)
        assert await opens(bench, FOURTH)
        assert (await bench.ask("fob_clear"))["ok"]
        await record_of(bench, 101, seen)
        assert await listed(bench) == []
        assert not await opens(bench, FOURTH)

    shared.run(story)


def test_f098_the_battery_of_a_fob_is_told_by_the_lock(shared):
    async def story(bench):
        await bench.until_linkless()
        assert await ownership.add_fob(shared.entry, MINE) == MINE
        await press(bench, MINE, LOCK, 23)
        async with bench.beside(shared.entry) as link:
            plain = fingerprint_client.battery_request(fingerprint_client.FOB)
            data = await link.exchange(opcodes.ACCESSORY_BATTERY, plain)
            assert fingerprint_client.battery(data) == (fingerprint_client.FOB, 23)
        assert (await bench.ask("fob_clear"))["ok"]
        await bench.until_linkless()

    shared.run(story)
