"""Settings of the lock, freezing and the emergency, from the MQTT topic to what the lock does."""

import asyncio

from firmware.lib import opcodes
from firmware.lib.messages import settings_client
from tests.system.bench import Bench

CODE = "864209"


async def _code(bench):
    assert (await bench.ask("passcode_add", {"code": CODE, "type": "permanent"}))["ok"]


async def _types(bench, digits=CODE):
    await bench.lock.panel({"do": "keys", "digits": digits + "#"})


async def _set(bench, name, value):
    return await bench.ask("setting_set", {"name": name, "value": value})


async def _autolock(bench, seconds):
    assert (await bench.ask("autolock_set", {"seconds": seconds}))["ok"]


def test_f113_no_operation_changes_the_remote_unlock_switch_and_off_it_refuses(tmp_path):
    async def story():
        async with Bench(tmp_path) as bench:
            await bench.adopt(remote_unlock=False)
            for op, args in (
                ("setting_set", {"name": "remote_unlock", "value": True}),
                ("remote_unlock_set", {"on": True}),
                ("remote_unlock", None),
            ):
                assert (await bench.ask(op, args))["code"] == "bad_request"
            for op in ("unlock", "emergency_unlock"):
                result = await bench.ask(op)
                assert (result["code"], result["ttlock"]) == ("remote_unlock_disabled", -3046)
            assert not bench.lock.movements
            assert (await bench.ask("autolock_get"))["data"]["seconds"] == 5  # nothing of the emergency was begun

    asyncio.run(story())


def test_f114_auto_lock_locks_in_its_time_and_not_when_it_is_off(shared):
    async def story(bench):
        await _autolock(bench, 1)
        assert (await bench.ask("unlock"))["ok"]
        await bench.until(lambda: bench.lock.bolt == "locked", "auto-lock")
        result = await bench.ask("autolock_set", {"seconds": 901})
        assert (result["code"], result["ttlock"]) == ("bad_request", -4082)
        await _autolock(bench, 0)
        assert (await bench.ask("unlock"))["ok"]
        await bench.leap(1000)  # longer than any auto-lock time
        assert bench.lock.bolt == "unlocked"
        assert (await bench.ask("lock"))["ok"]

    shared.run(story)


def test_f118_sound_and_volume(shared):
    async def story(bench):
        async def touch():
            """What the buzzer has done by the mechanics when the pattern of a touch is over."""
            assert (await bench.lock.panel({"do": "touch"}))["ok"]
            for _ in range(2):  # it begins, and ends
                await bench.site.leap(1)
            return (await bench.lock.panel({"do": "state"}))["mechanics"]

        assert (await _set(bench, "volume", 2))["data"]["settings"] == {"volume": 2}
        soft = await touch()
        assert (await _set(bench, "volume", 5))["ok"]
        loud = await touch()
        assert loud["duty"] > soft["duty"] > 0 and loud["sounds"] > soft["sounds"]
        assert (await _set(bench, "sound", False))["data"]["settings"] == {"sound": False}
        await bench.site.leap(1)  # what sounded before is over
        before = (await bench.lock.panel({"do": "state"}))["mechanics"]["sounds"]
        assert (await touch())["sounds"] == before
        for value in (0, 6, True):
            assert (await _set(bench, "volume", value))["code"] == "bad_request"
        await bench.mqtt.wait(lambda m: m.topic == bench.topic("state") and m.value["sound"] == "off")
        assert (await bench.ask("setting_get"))["data"]["settings"]["volume"] == 5
        assert (await _set(bench, "sound", "on"))["ok"]

    shared.run(story)


def test_f130_a_frozen_lock_refuses_all_but_status_log_and_thawing(shared):
    async def story(bench):
        await _code(bench)
        assert (await bench.ask("freeze"))["data"] == {"frozen": True}
        moved = len(bench.lock.movements)
        for op, args in (
            ("unlock", None),
            ("lock", None),
            ("autolock_set", {"seconds": 7}),
            ("setting_set", {"name": "privacy", "value": True}),
            ("passcode_delete", {"code": CODE}),
            ("emergency_unlock", None),
        ):
            result = await bench.ask(op, args)
            assert (result["code"], result["data"]["reason"], result["ttlock"]) == ("refused", "frozen", -2025), op
        assert not await bench.opens({"do": "keys", "digits": CODE + "#"})
        assert len(bench.lock.movements) == moved
        for op in ("state", "records_read", "passcode_list", "setting_get", "time_get"):
            assert (await bench.ask(op))["ok"], op
        assert (await bench.ask("unfreeze"))["data"] == {"frozen": False}
        await _types(bench)
        await bench.until(lambda: len(bench.lock.movements) > moved, "opened by the code")
        assert (await bench.ask("lock"))["ok"]
        assert (await bench.ask("passcode_delete", {"code": CODE}))["ok"]

    shared.run(story)


def test_f131_in_an_emergency_the_door_opens_and_stays_open(shared):
    async def story(bench):
        await _autolock(bench, 1)
        assert (await bench.ask("emergency_unlock"))["ok"]
        await bench.leap(1000)  # longer than any auto-lock time
        assert bench.lock.bolt == "unlocked"
        assert (await bench.ask("autolock_get"))["data"]["seconds"] == 0
        told = bench.mqtt.heard(lambda m: m.topic == bench.topic("state"))[-1]
        assert told.value["auto_lock_s"] == 0
        assert (await bench.ask("lock"))["ok"]

    shared.run(story)


def test_f121_the_reset_button_resets_only_while_its_switch_is_on(tmp_path):
    async def story():
        async with Bench(tmp_path) as bench:
            entry = await bench.adopt()
            assert (await _set(bench, "reset_button", False))["ok"]
            await bench.until_linkless()
            await bench.lock.panel({"do": "inside_button", "s": 5.4})
            await bench.lock.panel({"do": "keys", "digits": "000#"})
            assert (await bench.lock.panel({"do": "state"}))["paired"]
            async with bench.beside(entry) as link:
                await link.exchange(opcodes.SOUND, settings_client.query())
            assert (await _set(bench, "reset_button", True))["ok"]
            await bench.until_linkless()
            await bench.lock.panel({"do": "inside_button", "s": 5.4})
            await bench.lock.panel({"do": "keys", "digits": "000#"})
            assert not (await bench.lock.panel({"do": "state"}))["paired"]

    asyncio.run(story())


def test_open_direction_reverses_the_motor_of_a_lock_that_is_mounted_the_other_way(tmp_path):
    async def story():
        async with Bench(tmp_path) as bench:
            await bench.adopt()
            await bench.lock.panel({"do": "mount"})
            result = await bench.ask("unlock")
            assert (result["code"], result["data"]["reason"]) == ("refused", "jammed")
            assert (await _set(bench, "direction", "counter_clockwise"))["ok"]
            assert (await bench.ask("unlock"))["ok"]
            assert bench.lock.bolt == "unlocked"

    asyncio.run(story())


def test_requests_of_any_length_reach_the_console_whole(shared):
    async def story(bench):
        for length in range(100, 1900, 150):
            for board in (bench.lock, bench.gateway):
                assert (await board.ask({"do": "settings", "pad": "x" * length}))["ok"], length

    shared.run(story)
