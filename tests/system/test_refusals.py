"""What must not open a door: retained, expired, repeated, switched off."""

import asyncio
import time

from host_tools.near import pairing
from tests.system.bench import Bench


def test_retained_expired_repeated_and_switched_off_unlocks_move_nothing(tmp_path):
    async def story():
        async with Bench(tmp_path) as bench:
            entry = await bench.adopt()
            assert (await bench.ask("autolock_set", {"seconds": 0}))["ok"]
            still = len(bench.lock.movements)

            seen = len(bench.mqtt.messages)
            await bench.mqtt.publish(bench.topic("set"), "UNLOCK", retain=True)
            first = await bench.mqtt.wait(lambda m: m.topic == bench.topic("rsp"), after=seen)
            # a broker hands a message published with retain to those already subscribed without the flag, and with it
            # to a gateway that connects later: restart it to be that gateway
            if first.value["code"] == "ok":
                await bench.until(lambda: bench.lock.bolt == "unlocked", "unlocked")
                assert (await bench.ask("lock"))["ok"]
            still = len(bench.lock.movements)
            seen = len(bench.mqtt.messages)
            printed = len(bench.gateway.lines)
            await bench.gateway.restart()
            reply = await bench.mqtt.wait(lambda m: m.topic == bench.topic("rsp"), after=seen)
            assert (reply.value["id"], reply.value["code"]) == (None, "retained"), reply.text
            await bench.mqtt.publish(bench.topic("set"), "", retain=True)
            assert len(bench.lock.movements) == still

            await bench.gateway.wait_line("clock synced", after=printed)
            expired = await bench.ask("unlock", id="late", exp=int(time.time()) - 5)
            assert (expired["ok"], expired["code"]) == (False, "expired"), expired
            assert len(bench.lock.movements) == still

            once = await bench.ask("unlock", id="same")
            assert once["code"] == "ok"
            assert (await bench.ask("lock"))["code"] == "ok"
            moved = len(bench.lock.movements)
            again = await bench.ask("unlock", id="same")
            assert again == once
            assert (await bench.ask("lock", id="same"))["code"] == "conflict"
            assert len(bench.lock.movements) == moved and bench.lock.bolt == "locked"
            assert entry.mac

    asyncio.run(story())


def test_no_unlock_while_the_remote_unlock_switch_is_off(tmp_path):
    async def story():
        async with Bench(tmp_path) as bench:
            await bench.adopt(remote_unlock=False)
            still = len(bench.lock.movements)
            result = await bench.ask("unlock")
            assert (result["ok"], result["code"], result["ttlock"]) == (False, "remote_unlock_disabled", -3046), result
            assert len(bench.lock.movements) == still

    asyncio.run(story())


def test_a_switch_turned_off_beside_the_lock_counts_at_once(tmp_path):
    async def story():
        async with Bench(tmp_path) as bench:
            entry = await bench.adopt()
            assert (await bench.ask("autolock_set", {"seconds": 0}))["ok"]
            assert (await bench.ask("unlock"))["ok"] and (await bench.ask("lock"))["ok"]
            await bench.until_linkless()
            assert not await pairing.set_remote_unlock(entry, False)
            still = len(bench.lock.movements)
            assert (await bench.ask("unlock"))["code"] == "remote_unlock_disabled"
            assert len(bench.lock.movements) == still

    asyncio.run(story())


def test_no_unlock_from_unsigned_commands_unless_the_owner_allowed_them(tmp_path):
    async def story():
        async with Bench(tmp_path) as bench:
            await bench.adopt()
            still = len(bench.lock.movements)
            assert (await bench.ask("unlock", signed=False))["code"] == "forbidden"
            assert (await bench.ask("state", signed=False))["code"] == "ok"
            assert len(bench.lock.movements) == still

    asyncio.run(story())
