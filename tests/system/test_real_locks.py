"""The gateway with locks that behave as those of other makers (profile `real`): hardware-facts.md F1, F3, F33, F35."""

import asyncio

from host_tools.near import sightings
from tests.system.bench import Bench


def _states(bench, after: int = 0) -> list[dict]:
    mine = bench.topic("state")
    return [message.value for message in bench.mqtt.messages[after:] if message.topic == mine and message.text]


def test_a_door_left_open_and_dormant_is_never_called_locked(tmp_path):
    async def story():
        async with Bench(tmp_path, profile="real", seed=4) as bench:
            entry = await bench.adopt()
            assert (await bench.ask("autolock_set", {"seconds": 0}))["ok"]
            exp = int(bench.site.now()) + 30
            opened = await bench.ask("unlock", exp=exp)
            assert opened["code"] == "ok" and bench.lock.bolt == "unlocked", opened
            seen = len(bench.mqtt.messages)
            for _ in range(3):
                await bench.until_linkless()
                await bench.leap(8 * 3600)
                found = await sightings.scan(lambda heard: heard.mac == entry.mac and heard.advert.is_dormant, 60)
                assert found and found.advert.unlocked is None
            told = await bench.ask("state")
            assert told["data"]["lock"] == "UNLOCKED", told
            assert [each for each in _states(bench, seen) if each["lock"] != "UNLOCKED"] == []
            assert all(each["assumed"] is False and each["src"] and each["ts"] for each in _states(bench, seen))
            assert {each["battery"] for each in _states(bench, seen)} <= {None, opened["data"]["battery"]}
            closed = await bench.ask("lock", exp=int(bench.site.now()) + 30)
            assert closed["code"] == "ok" and len(bench.lock.movements) == 2, closed

    asyncio.run(story())


def test_a_constant_status_leads_to_no_false_ok_and_is_called_assumed(tmp_path):
    async def story():
        async with Bench(tmp_path, profile="real", variants=("constant-status",), seed=6) as bench:
            await bench.adopt()
            assert (await bench.ask("autolock_set", {"seconds": 0}))["ok"]
            for op in ("unlock", "lock", "unlock", "lock"):
                moved = len(bench.lock.movements)
                result = await bench.ask(op, exp=int(bench.site.now()) + 30)
                assert result["code"] in ("ok", "outcome_unknown", "link"), result
                assert len(bench.lock.movements) - moved <= 1
                if result["code"] == "ok":
                    assert bench.lock.bolt == op + "ed"
                    await bench.until_linkless()
                    assert _states(bench)[-1]["lock"] == (op + "ed").upper()
            told = await bench.ask("state")
            assert told["data"]["assumed"] is True and told["data"]["lock"] == "LOCKED", told

    asyncio.run(story())
