"""Fingerprints over the whole chain: enrolled press by press, changed, deleted, cleared; and what is not fitted."""

import datetime
import secrets

import pytest

from firmware.lib.errors import Unsupported
from tests.system.bench import Bench
from tests.system.owner_signs import id_of

MINE, YOURS = 700, 701  # which finger of which person


async def press(bench: Bench, finger: int) -> None:
    assert (await bench.lock.ask({"do": "finger", "id": finger})).get("ok")


async def opens(bench: Bench, finger: int) -> bool:
    """Whether a finger opens the door, which is locked again afterwards."""
    if bench.lock.bolt != "locked":
        assert (await bench.ask("lock"))["ok"]
    if not await bench.opens({"do": "finger", "id": finger}):
        return False
    assert (await bench.ask("lock"))["ok"]
    return True


async def enrol(bench: Bench, finger: int, args: dict | None = None) -> tuple[dict, list[dict]]:
    """Enrol a finger as `fingerprint_enrol` asks for it -> (the result, the steps that were told)."""
    ident = secrets.token_hex(6)
    topic = bench.topic("rsp")
    seen = len(bench.mqtt.messages)
    request = {"id": ident, "op": "fingerprint_enrol"} | ({"args": args} if args else {})
    await bench.send(request)

    def mine(message) -> bool:
        return message.topic == topic and message.value["id"] == id_of(ident)

    for presses in range(6):
        step = await bench.mqtt.wait(
            lambda m, n=presses: mine(m) and ("ok" in m.value or m.value["data"].get("press") == n), 30, seen
        )
        if "ok" in step.value:
            break
        await press(bench, finger)
    last = await bench.mqtt.wait(lambda m: mine(m) and "ok" in m.value, after=seen)
    steps = [m.value["data"] for m in bench.mqtt.messages[seen:] if mine(m) and "ok" not in m.value]
    return last.value, steps


async def listed(bench: Bench) -> list[dict]:
    found = await bench.ask("fingerprint_list")
    assert found["ok"], found
    return found["data"]["items"]


async def record_of(bench: Bench, kind: int, seen: int) -> dict:
    """The first record of a type among those that came after the first `seen`."""
    await bench.until(lambda: any(item["type"] == kind for item in bench.records()[seen:]), "record %d" % kind)
    return next(item for item in bench.records()[seen:] if item["type"] == kind)


def test_f091_a_finger_is_enrolled_press_by_press_and_opens(shared):
    async def story(bench):
        seen = len(bench.records())
        result, steps = await enrol(bench, MINE)
        assert result["ok"], result
        assert [step["press"] for step in steps] == [0, 1, 2, 3, 4]
        assert {step["total"] for step in steps[1:]} == {4}
        number = result["data"]["number"]
        assert [item["number"] for item in await listed(bench)] == [number]
        assert await opens(bench, MINE)
        assert not await opens(bench, YOURS)
        assert (await record_of(bench, 21, seen))["who"] == number
        opened = await record_of(bench, 20, seen)
        assert (opened["method"], opened["who"]) == ("fingerprint", number)
        again, _ = await enrol(bench, MINE)
        assert (again["code"], again["data"]["reason"]) == ("refused", "exists"), again
        assert (await bench.ask("fingerprint_clear"))["ok"]

    shared.run(story)


def test_f091_nobody_presses_and_the_lock_gives_up(shared):
    async def story(bench):
        result = await bench.ask("fingerprint_enrol")
        assert result["code"] == "refused", result
        assert await listed(bench) == []

    shared.run(story)


def test_f092_fingers_are_changed_deleted_and_cleared(shared):
    async def story(bench):
        now_s = int(bench.site.now())
        seen = len(bench.records())
        first, _ = await enrol(bench, MINE, {"end": now_s + 7200})
        second, _ = await enrol(bench, YOURS)
        assert first["ok"] and second["ok"], (first, second)
        mine, yours = first["data"]["number"], second["data"]["number"]
        assert await opens(bench, MINE)

        later = {"number": mine, "start": now_s + 86400, "end": now_s + 2 * 86400}
        assert (await bench.ask("fingerprint_change", later))["ok"]
        assert not await opens(bench, MINE)
        assert (await record_of(bench, 22, seen))["who"] == mine
        refused = await bench.ask("fingerprint_change", {"number": mine})
        assert refused["code"] == "bad_request"  # a change makes nothing permanent
        assert [("start" in item, item["number"]) for item in await listed(bench)] == [(True, mine), (False, yours)]
        assert [item["status"] for item in await listed(bench)] == [3, 1]
        past = await bench.ask("fingerprint_change", {"number": mine, "end": now_s - 86400})
        assert past["code"] == "bad_request", past

        for _ in range(2):
            assert (await bench.ask("fingerprint_delete", {"number": mine}))["code"] == "ok"
        assert (await record_of(bench, 23, seen))["who"] == mine
        assert not await opens(bench, MINE)
        assert (await bench.ask("fingerprint_clear"))["ok"]
        assert await listed(bench) == []
        assert not await opens(bench, YOURS)
        await record_of(bench, 24, seen)

    shared.run(story)


def test_f092_hours_of_a_finger_are_set_listed_and_kept_to(shared):
    async def story(bench):
        args = {"days": [1, 2, 3, 4, 5, 6, 7], "from_min": 0, "to_min": 1440}
        result, _ = await enrol(bench, MINE, args)
        assert result["ok"], result
        number = result["data"]["number"]
        assert (await listed(bench))[0]["hours"] == [[1, day, 0, 1440] for day in range(1, 8)]
        assert await opens(bench, MINE)
        far = (datetime.datetime.now(datetime.UTC).isoweekday() + 2) % 7 + 1  # in three days, wherever midnight falls
        other = {"number": number, "end": 4000000000, "days": [far], "from_min": 0, "to_min": 1440}
        assert (await bench.ask("fingerprint_change", other))["ok"]
        assert not await opens(bench, MINE)
        assert (await bench.ask("fingerprint_clear"))["ok"]

    shared.run(story)


def test_f033_template_data_is_refused_by_a_lock_without_a_sensor_for_it(shared):
    async def story(bench):
        result = await bench.ask("fingerprint_add", {"template": "00ff"})
        assert (result["ok"], result["code"], result["ttlock"]) == (False, "unsupported", -4043), result
        assert await listed(bench) == []

    shared.run(story)


def test_faces_palms_and_qr_codes_are_unsupported(shared):
    async def story(bench):
        for op in ("face_add", "face_list", "palm_delete", "qr_add"):
            result = await bench.ask(op)
            assert (result["ok"], result["code"], result["ttlock"]) == (False, "unsupported", -4043), result
        features = int((await bench.ask("info"))["data"]["features"], 16)
        assert not any(features >> bit & 1 for bit in (44, 53, 69, 70, 103, 108, 110, 124))
        async with bench.beside(shared.entry) as link:
            for command in (0xE0, 0xE1, 0xE2):
                with pytest.raises(Unsupported) as refusal:
                    await link.exchange(command, b"\x02")
                assert refusal.value.ble == 0x1B

    shared.run(story)
