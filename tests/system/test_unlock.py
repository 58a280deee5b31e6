"""From the MQTT command to the bolt and back."""

import asyncio

from firmware.lib import opcodes
from firmware.lib.messages import session_client
from host_tools.near import pairing
from tests.system.bench import SOAK, Bench

COLD = 200 if SOAK else 10


def test_every_cold_unlock_moves_the_bolt_once_and_is_answered_once(tmp_path):
    async def story():
        async with Bench(tmp_path) as bench:
            await bench.adopt()
            assert (await bench.ask("autolock_set", {"seconds": 1}))["code"] == "ok"
            await bench.until(lambda: bench.lock.bolt == "locked", "locked")
            before = len(bench.lock.movements)
            for number in range(COLD):
                await bench.until_linkless()
                result = await bench.ask("unlock", id="cold-%d" % number)
                assert result["ok"] and result["code"] == "ok", result
                await bench.until(lambda: bench.lock.bolt == "locked", "auto-lock")
            moves = bench.moves(since=before)
            assert moves == [("locked", "unlocked"), ("unlocked", "locked")] * COLD
            for number in range(COLD):
                assert len(bench.results("cold-%d" % number)) == 1
            assert not bench.gateway.crashes and not bench.lock.crashes

    asyncio.run(story())


def test_set_topic_locks_and_unlocks_and_answers_with_a_null_id(tmp_path):
    async def story():
        async with Bench(tmp_path, gateway_settings={"unsigned_unlock": True}) as bench:
            await bench.adopt()
            assert (await bench.ask("autolock_set", {"seconds": 0}))["ok"]
            before = len(bench.lock.movements)
            for word, op, bolt in (("UNLOCK", "unlock", "unlocked"), ("LOCK", "lock", "locked")):
                seen = len(bench.mqtt.messages)
                await bench.mqtt.publish(bench.topic("set"), word)
                reply = await bench.mqtt.wait(lambda m: m.topic == bench.topic("rsp"), after=seen)
                assert reply.value["id"] is None
                assert (reply.value["op"], reply.value["code"]) == (op, "ok")
                assert bench.lock.bolt == bolt
            assert bench.moves(since=before) == [("locked", "unlocked"), ("unlocked", "locked")]

    asyncio.run(story())


def test_a_jammed_bolt_is_reported_as_refused_and_jammed(tmp_path):
    async def story():
        async with Bench(tmp_path) as bench:
            await bench.adopt()
            bench.lock.jam()
            result = await bench.ask("unlock")
            assert (result["ok"], result["code"], result["data"]["reason"]) == (False, "refused", "jammed"), result

    asyncio.run(story())


def test_state_changes_at_the_lock_reach_mqtt_from_the_advertisement_alone(tmp_path):
    async def story():
        async with Bench(tmp_path) as bench:
            entry = await bench.adopt()
            await bench.until_linkless()
            seen = len(bench.mqtt.messages)
            await bench.lock.panel({"do": "keys", "digits": entry.admin_passcode + "#"})
            await bench.until(lambda: bench.lock.bolt == "unlocked", "unlocked at the keypad")
            with bench.soon(5):
                told = await bench.mqtt.wait(
                    lambda m: m.topic == bench.topic("state") and m.value["lock"] == "UNLOCKED", after=seen
                )
            assert told.value["src"] in ("advert", "record")

    asyncio.run(story())


def test_a_wrong_lock_clock_is_set_right(tmp_path):
    async def story():
        async with Bench(tmp_path) as bench:
            entry = await bench.adopt()
            await bench.gateway.wait_line("clock synced")  # before that it compares with nothing
            assert abs((await bench.ask("time_get"))["data"]["drift_s"]) <= 2
            await bench.until_linkless()
            async with bench.beside(entry) as link:
                ahead = pairing.local_date6("UTC0", bench.site.now() + 600)
                await link.exchange(opcodes.SET_CLOCK, session_client.set_clock(ahead))
            assert 590 < (await bench.ask("time_get"))["data"]["drift_s"] < 610
            assert (await bench.ask("time_sync"))["ok"]
            assert abs((await bench.ask("time_get"))["data"]["drift_s"]) <= 2

    asyncio.run(story())


def test_a_passcode_given_over_mqtt_opens_at_the_keypad_until_it_is_deleted(tmp_path):
    async def story():
        async with Bench(tmp_path) as bench:
            await bench.adopt()
            assert (await bench.ask("passcode_add", {"code": "249713", "type": "permanent"}))["ok"]
            listed = (await bench.ask("passcode_list"))["data"]["items"]
            assert len(listed) == 1 and "249713" not in str(listed)
            await bench.lock.panel({"do": "keys", "digits": "249713#"})
            await bench.until(lambda: bench.lock.bolt == "unlocked", "opened by the code")
            await bench.until(lambda: bench.lock.bolt == "locked", "auto-lock")
            for _ in range(2):  # deleting what is gone is fine (domain.md 5.4)
                assert (await bench.ask("passcode_delete", {"code": "249713"}))["code"] == "ok"
            before = len(bench.lock.movements)
            assert not await bench.opens({"do": "keys", "digits": "249713#"})
            assert len(bench.lock.movements) == before
            assert not [m for m in bench.mqtt.messages if "249713" in m.text and not m.topic.endswith("/cmd")]

    asyncio.run(story())
