"""What a lock and a gateway are and how they are had: found, added, deleted, named, told the time, reached."""

import asyncio
import contextlib
import json
import time

import pytest

from firmware.lib import crypto, opcodes
from firmware.lib.errors import FirmwareError
from firmware.lib.messages import card_client, pairing_client, passcode_client, session_client
from host_tools.errors import HostError
from host_tools.near import ownership, pairing, transfer
from host_tools.near.lock_link import connect
from host_tools.near.sightings import scan, scan_all, strength
from host_tools.owner.ekeys import PERMANENT, Ekey, send_shared
from host_tools.sim.site import owner
from host_tools.sim.site.site_plan import Plan
from tests.system.bench import HANG_S, Bench
from tests.system.owner_signs import id_of


@contextlib.asynccontextmanager
async def broker(bench):
    """The site's broker, as the owner's tools reach it."""
    async with owner.connect(bench.site) as gateways:
        yield gateways


async def relock(bench, lock) -> None:
    """Turn the bolt by hand, and wait until the firmware has seen it."""
    lock.mechanics.turn("locked")
    await bench.until_at_rest("locked", lock=lock)


async def type_code(bench, code: str, lock=None) -> bool:
    """Whether the code opens; locked again afterwards."""
    lock = lock or bench.lock
    await relock(bench, lock)
    is_open = await bench.opens({"do": "keys", "digits": code + "#"}, lock)
    if is_open:
        await relock(bench, lock)
    return is_open


def test_f008_f028_kinds_of_locks_are_heard_and_how_near_they_are(tmp_path):
    async def story():
        scenes = {2: "door", 5: "safe", 6: "bicycle", 7: "parking", 8: "padlock", 9: "cylinder"}
        plans = [Plan(settings={"scene": scene}) for scene in scenes]
        async with Bench(tmp_path, gateways=0, locks=6, lock_plans=plans) as bench:
            for lock in bench.site.locks:
                await lock.wait_line("lock started")
            found = await scan_all(40, lambda locks: len(locks) == 6)
            words = {each.mac: each.kind for each in found}
            assert [words[lock.mac] for lock in bench.site.locks] == list(scenes.values())
            assert {each.advert.battery for each in found} == {100} and not any(each.advert.settable for each in found)
        assert [strength(dbm) for dbm in (-60, -75, -76, -85, -86)] == [
            *["strong"] * 2,
            *["medium"] * 2,
            "weak",
        ]

    asyncio.run(story())


def test_f010_f012_f016_f017_f013_f011_a_lock_is_added_deleted_and_added_again(tmp_path):
    async def story():
        async with Bench(tmp_path, gateways=0) as bench:
            lock = bench.lock
            await lock.wait_line("lock started")

            # a fresh lock can be added for 15 s after a touch (F010); its name tells its address (F017)
            first = (await scan_all(20, lambda locks: lock.mac in locks))[0]
            assert first.name == "GH1_" + "".join(reversed(lock.mac.split(":")[3:])) and not first.advert.settable
            await lock.panel({"do": "touch"})
            touched = await scan_all(20, lambda locks: lock.mac in locks and locks[lock.mac].advert.settable)
            assert touched[0].advert.settable and touched[0].advert.touched
            await bench.leap(16)
            later = await scan_all(20, lambda locks: lock.mac in locks and not locks[lock.mac].advert.settable)
            assert not later[0].advert.settable

            # a pairing that was cut off leaves it addable (F016)
            await lock.panel({"do": "touch"})
            near = await scan(lambda one: one.advert.settable, 20)
            async with connect(near, crypto.DEFAULT_KEY) as link:
                await link.exchange(opcodes.INIT, pairing_client.init())
                data = await link.exchange(opcodes.GET_AES_KEY, pairing_client.get_aes_key())
                link.key = pairing_client.aes_key(data)
                await link.exchange(opcodes.ADD_ADMIN, pairing_client.add_admin(1234, 5678))
            await bench.until_linkless()

            # added: it opens, its clock is right, its admin passcode opens (F013)
            entry = await bench.pair()
            async with bench.beside(entry) as link:
                shown = session_client.clock(await link.exchange(opcodes.GET_CLOCK))
                assert abs(time.mktime((*shown, 0, 0, 0)) - time.mktime(time.gmtime())) <= 5
                data = await link.exchange(opcodes.CHECK_USER, session_client.check_user())
                challenge = session_client.challenge(data)
                await link.exchange(opcodes.UNLOCK, session_client.operate(challenge, entry.unlock_key, 1))
            assert bench.lock.bolt == "unlocked"
            assert await type_code(bench, entry.admin_passcode)

            # one that has an owner cannot be added (F011), until it is deleted
            await lock.panel({"do": "touch"})
            owned = await scan(lambda one: one.mac == lock.mac and one.advert.touched, 20)
            assert not owned.advert.settable
            with pytest.raises(HostError) as refused:
                await pairing.pair(owned, bench.book, "again")
            assert "already_paired" in str(refused.value) and "reset" in refused.value.todo
            assert bench.book.find(entry.mac).aes == entry.aes
            await bench.until_linkless()
            assert await ownership.erase(entry)
            await bench.until_linkless()
            assert not await ownership.erase(entry), "a second time it is nobody's already"
            bench.book.remove(entry.mac)
            await bench.until_linkless()
            again = await bench.pair()
            assert again.aes != entry.aes

    asyncio.run(story())


def test_a_lock_that_was_reset_by_its_button_says_that_its_entry_is_an_orphan(tmp_path):
    async def story():
        async with Bench(tmp_path, gateways=0) as bench:
            entry = await bench.pair()
            await bench.until_linkless()
            await bench.lock.panel({"do": "inside_button", "s": 6})
            await bench.lock.panel({"do": "keys", "digits": "000#"})
            async with asyncio.timeout(HANG_S):
                while (await bench.lock.panel({"do": "state"}))["paired"]:
                    pass
            with pytest.raises(HostError) as said:
                await ownership.set_name(entry, "Porch")
            assert "not_paired" in str(said.value) and "keys remove" in said.value.todo, said.value

    asyncio.run(story())


def test_f009_f109_f014_the_list_and_the_page_of_a_lock(shared):
    async def story(bench):
        entry = bench.book.entries()[0]
        await bench.lock.panel({"do": "battery", "pct": 63})
        state = await bench.mqtt.wait(
            lambda m: m.topic == bench.topic("state") and m.value["battery"] is not None and m.value["battery"] < 70
        )
        async with broker(bench) as gateways:
            chosen = await gateways.choose(bench.gateway.id)
            item = (await gateways.command(chosen, None, "locks"))["data"]["items"][0]
        assert (item["mac"], item["name"], item["battery"]) == (entry.id, entry.name, state.value["battery"])
        near = [each for each in await scan_all(20, lambda locks: entry.mac in locks) if each.mac == entry.mac]
        assert near[0].advert.battery == item["battery"]

        told = (await bench.ask("info"))["data"]
        page = ownership.basics(entry, told, False)
        assert (page["mac"], page["number"], page["battery"]) == (entry.mac, entry.id.upper(), item["battery"])
        assert page["model"] == "GATEHOUSE-L1" and "passcodes" in page["can"] and page["features"] == told["features"]
        assert entry.admin_passcode not in json.dumps(page)
        assert ownership.basics(entry, told, True)["admin passcode"] == entry.admin_passcode
        ownership.rename(bench.book, entry, "Porch")
        assert bench.book.find("porch").mac == entry.mac
        again = [each for each in await scan_all(20, lambda locks: entry.mac in locks) if each.mac == entry.mac]
        assert again[0].name == near[0].name, "what it is called here is no concern of the lock"
        with pytest.raises(HostError):
            ownership.rename(bench.book, entry, " ")
        ownership.rename(bench.book, entry, entry.name)
        await bench.lock.panel({"do": "battery", "pct": 100})

    shared.run(story)


def test_the_name_that_a_lock_shows_is_set_over_mqtt_and_beside_it(shared):
    async def story(bench):
        entry = bench.book.entries()[0]
        for text in ("Tür", entry.name):
            if text == "Tür":
                assert (await bench.ask("name_set", {"name": text}))["code"] == "ok"
            else:
                await ownership.set_name(entry, text)
            await bench.until_linkless()
            found = await scan_all(20, lambda locks: entry.mac in locks and locks[entry.mac].name == text)  # noqa: B023
            assert found[0].name == text
        for name in ("", "x" * 21, "a\nb"):
            assert (await bench.ask("name_set", {"name": name}))["code"] == "bad_request"

    shared.run(story)


def test_f122_a_clock_is_set_right_through_the_gateway_in_its_zone_and_beside_it(shared):
    async def story(bench):
        entry = bench.book.entries()[0]
        await bench.until_linkless()
        async with bench.beside(entry) as link:
            ahead = pairing.local_date6("UTC0", bench.site.now() + 45)
            await link.exchange(opcodes.SET_CLOCK, session_client.set_clock(ahead))
        assert (await bench.ask("time_get"))["data"]["drift_s"] >= 40
        told = await bench.ask("time_sync")
        assert told["code"] == "ok" and abs(told["data"]["left_s"]) <= 2 and "T" in told["data"]["time"], told

        summer = await bench.ask("zone_set", {"utc_offset_min": 120})
        hour = pairing.local_date6("<+02>-2", bench.site.now())[3]
        assert summer["code"] == "ok" and int(summer["data"]["time"][11:13]) == hour, summer
        printed = len(bench.gateway.lines)
        await bench.gateway.restart()  # the zone is kept
        await bench.gateway.wait_line("clock synced", after=printed)
        looked = await bench.ask("time_get")
        assert abs(looked["data"]["drift_s"]) <= 2 and int(looked["data"]["time"][11:13]) == hour
        assert (await bench.ask("zone_set", {"utc_offset_min": 5000}))["code"] == "bad_request"
        await bench.until_linkless()
        beside = await ownership.set_clock(bench.book, entry, "UTC", "UTC0", bench.site.now())  # without a gateway
        assert int(beside["time"][11:13]) == pairing.local_date6("UTC0", bench.site.now())[3]
        assert (await bench.ask("time_get"))["data"]["zone"] == "<+02>-2"  # which it would set again
        async with owner.connect(bench.site) as gateways:
            await gateways.choose("", entry.id)
            assert await gateways.tell_zone(entry) == ([bench.gateway.id], [])
        looked = await bench.ask("time_get")
        assert looked["data"]["zone"] == "UTC0" and abs(looked["data"]["drift_s"]) <= 2, looked

    shared.run(story)


def test_f125_codes_of_one_lock_open_another_and_what_cannot_move_is_listed(tmp_path):
    async def story():
        async with Bench(tmp_path, gateways=0, locks=2) as bench:
            first, second = bench.site.locks
            source, target = await bench.pair(first), await bench.pair(second)
            codes = {"246813": passcode_client.PERMANENT, "135792": passcode_client.PERIOD}
            year = time.gmtime(bench.site.now()).tm_year
            async with bench.beside(source) as link:
                for code, kind in codes.items():
                    dates = ((year, 1, 1, 0, 0), (year + 1, 1, 1, 0, 0)) if kind == passcode_client.PERIOD else ()
                    await link.exchange(opcodes.PASSCODE, passcode_client.add(kind, code, *dates))
                await link.exchange(opcodes.CARD, card_client.add(card_client.encode_id(3661413478)))
            send_shared(bench.book, source, Ekey(0, "Nora", PERMANENT), tmp_path / "nora.json")
            source = bench.book.find(source.mac)
            await bench.until_linkless()
            assert not await type_code(bench, "246813", second)
            report = await transfer.copy(source, target)
            assert [(item.kind, item.state) for item in report] == [
                ("passcode", transfer.WRITTEN),
                ("passcode", transfer.WRITTEN),
                ("card", transfer.WRITTEN),
                ("ekey", transfer.STAYS),
            ]
            assert not any(code in str(report) for code in codes)
            await bench.until_linkless()
            for code in codes:
                assert await type_code(bench, code, second), code
            await relock(bench, second)
            moved = len(second.movements)
            await second.panel({"do": "card", "number": 3661413478})
            await bench.until(lambda: len(second.movements) > moved, "opened by the card")
            again = await transfer.copy(source, target)
            assert [item.state for item in again] == [*[transfer.THERE] * 3, transfer.STAYS]

    asyncio.run(story())


def test_f129_a_feature_that_is_not_there_costs_no_traffic_and_the_lock_does_not_know_it(shared):
    async def story(bench):
        entry = bench.book.entries()[0]
        await bench.until_linkless()
        linked = bench.site.radio.last_link
        refused = await bench.ask("face_list")
        assert (refused["code"], refused["ttlock"]) == ("unsupported", -4043), refused
        sent = bench.site.radio.adverts(bench.lock.mac)
        await bench.until(lambda: bench.site.radio.adverts(bench.lock.mac) > sent + 2, "it could be connected to")
        assert bench.site.radio.last_link == linked
        async with bench.beside(entry) as link:
            with pytest.raises(FirmwareError) as said:
                await link.exchange(0xE0, b"\x06\x00\x00")
            assert said.value.ble == 0x1B

    shared.run(story)


def test_f030_f132_f136_opened_and_locked_over_mqtt_once_and_the_state_is_told(shared):
    async def story(bench):
        assert (await bench.ask("autolock_set", {"seconds": 0}))["ok"]
        first = await bench.ask("unlock", id="f136")
        assert first["code"] == "ok" and bench.lock.bolt == "unlocked"
        moved = len(bench.lock.movements)
        assert await bench.ask("unlock", id="f136") == first
        assert (await bench.ask("unlock", exp=int(bench.site.now()) - 1))["code"] == "expired"
        assert len(bench.lock.movements) == moved
        assert (await bench.ask("state"))["data"]["lock"] == "UNLOCKED"
        assert (await bench.ask("lock"))["code"] == "ok" and bench.lock.bolt == "locked"
        assert (await bench.ask("state"))["data"]["lock"] == "LOCKED"
        bench.lock.jam()
        assert (await bench.ask("unlock"))["data"]["reason"] == "jammed"
        assert (await bench.ask("state"))["data"]["lock"] == "JAMMED"
        bench.lock.jam(False)
        assert (await bench.ask("lock"))["code"] == "ok"
        await bench.until(lambda: 28 in [item["type"] for item in bench.records()], "the record of a remote unlock")
        assert (await bench.ask("autolock_set", {"seconds": 5}))["ok"]

    shared.run(story)


def test_f034_a_code_typed_at_the_door_is_told_within_ten_seconds(shared):
    async def story(bench):
        entry = bench.book.entries()[0]
        await bench.until_linkless()
        seen = len(bench.mqtt.messages)
        with bench.soon(10):
            assert await type_code(bench, entry.admin_passcode)
            told = await bench.mqtt.wait(
                lambda m: m.topic == bench.topic("event") and m.value["event_type"] == "unlock", after=seen
            )
        assert told.value["method"] == "passcode" and entry.admin_passcode not in told.text

    shared.run(story)


def test_f041_a_touch_shows_and_only_who_asked_for_it_opens(shared):
    async def story(bench):
        entry = bench.book.entries()[0]
        await bench.until_linkless()
        before = len(bench.lock.movements)
        await bench.lock.panel({"do": "touch"})
        found = await scan_all(20, lambda locks: entry.mac in locks and locks[entry.mac].advert.touched)
        assert found[0].advert.touched
        sent = bench.site.radio.adverts(bench.lock.mac)
        await bench.until(lambda: bench.site.radio.adverts(bench.lock.mac) >= sent + 5, "the touch was told")
        assert len(bench.lock.movements) == before, "the gateway opens nothing for a touch"
        with pytest.raises(HostError):
            await ownership.open_when_touched(entry, 20, 2)  # nothing is as near as that
        assert len(bench.lock.movements) == before
        await bench.until_linkless()
        await bench.lock.panel({"do": "touch"})
        await ownership.open_when_touched(entry, -90, 20)
        assert bench.lock.bolt == "unlocked"
        await bench.until(lambda: bench.lock.bolt == "locked", "auto-lock")

    shared.run(story)


def test_f037_an_unlock_does_not_wait_for_a_log_that_is_to_be_read(shared):
    async def story(bench):
        await bench.until_linkless()
        asked = (("f037-state", "state"), ("f037-log", "records_read"), ("f037-open", "unlock"))
        for ident, op in asked:
            await bench.send({"id": ident, "op": op})
        await bench.until(lambda: all(bench.results(ident) for ident, _ in asked), "all results")
        assert [bench.results(ident)[0]["code"] for ident, _ in asked] == ["ok", "ok", "ok"]
        order = [m.value["id"] for m in bench.mqtt.messages if m.topic == bench.topic("rsp")]
        assert order.index(id_of("f037-open")) < order.index(id_of("f037-log"))
        await bench.until(lambda: bench.lock.bolt == "locked", "auto-lock")

    shared.run(story)


def test_f036_requests_beyond_the_queue_are_told_that_it_is_busy(shared):
    async def story(bench):
        idents = ["f036-%d" % number for number in range(60)]
        await bench.until_linkless()
        bench.site.radio.faults.sleep(bench.lock.mac, 12)  # nothing leaves the queue meanwhile
        await asyncio.gather(*(bench.send({"id": ident, "op": "state"}) for ident in idents))
        try:
            await bench.until(lambda: any(bench.results(ident) for ident in idents), "a first result")
            refused = [bench.results(ident)[0] for ident in idents if bench.results(ident)]
            assert {(result["code"], result["ttlock"]) for result in refused} == {("busy", -3003)}, refused[0]
        finally:
            bench.site.radio.faults.lift()
        await bench.until(lambda: all(bench.results(ident) for ident in idents), "a result for each")

    shared.run(story)


def test_f128_five_wrong_codes_shut_the_keypad_for_five_minutes_and_are_told(tmp_path):
    async def story():
        async with Bench(tmp_path) as bench:
            entry = await bench.adopt()
            seen = len(bench.mqtt.messages)
            for number in range(5):
                await bench.lock.panel({"do": "keys", "digits": "11002%d#" % number})
            assert not await type_code(bench, entry.admin_passcode)
            told = await bench.mqtt.wait(
                lambda m: m.topic == bench.topic("event") and m.value["event_type"] == "alarm", 30, seen
            )
            assert "110" not in json.dumps(told.value)
            await bench.until(lambda: 48 in [item["type"] for item in bench.records()], "record 48")
            await bench.leap(290)
            assert not await type_code(bench, entry.admin_passcode)
            await bench.leap(12)
            await bench.lock.panel({"do": "keys", "digits": "110029#"})  # the sixth: ten minutes now
            await bench.leap(590)
            assert not await type_code(bench, entry.admin_passcode)
            await bench.leap(12)
            assert await type_code(bench, entry.admin_passcode)

    asyncio.run(story())


def test_f035_f133_f036_a_lock_and_a_gateway_that_are_away(tmp_path):
    async def story():
        keepalive_s = 4
        async with Bench(tmp_path, gateway_settings={"keepalive_s": keepalive_s}) as bench:
            entry = await bench.adopt()
            await bench.until_linkless()
            bench.site.radio.faults.sleep(bench.lock.mac, 3600)
            await bench.leap(1810)
            gone = await bench.ask("state")
            assert (gone["code"], gone["ttlock"]) == ("not_near", -2012), gone
            await bench.mqtt.wait(lambda m: m.topic == bench.topic("availability") and m.text == "offline")

            seen = len(bench.mqtt.messages)
            status = "gatehouse/%s/status" % bench.gateway.id
            await bench.gateway.kill()
            await bench.mqtt.wait(lambda m: m.topic == status and m.text == "offline", after=seen)
            async with broker(bench) as gateways:
                with pytest.raises(HostError, match="no gateway is online"):
                    await gateways.choose(lock=entry.id, wait_s=2)
            await bench.gateway.start()
            await bench.mqtt.wait(lambda m: m.topic == status and m.text == "online", after=seen)

    asyncio.run(story())


def test_a_lock_deleted_at_the_door_is_forgotten_by_the_gateway(tmp_path):
    async def story():
        async with Bench(tmp_path) as bench:
            entry = await bench.adopt()
            await bench.until_linkless()
            assert await ownership.erase(entry)
            async with broker(bench) as gateways:
                await gateways.choose(bench.gateway.id)
                assert await gateways.forget_everywhere(entry) == [bench.gateway.id]
            assert (await bench.ask("state"))["code"] == "unknown_lock"

    asyncio.run(story())
