"""Berlin's change of clocks at the door: the gateway sets the lock's clock, a guest's code that was entered before ends
at the hour that was meant, records keep their time. The site is started just before the next change of its kind."""

import asyncio
import time
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from host_tools.owner import zones
from host_tools.sim.site import owner
from tests.system.bench import HANG_S, SOAK, Bench

BERLIN = ZoneInfo("Europe/Berlin")
CODE = "864209"


def _next_change(is_spring: bool) -> int:
    now = int(time.time()) + 2 * 86400
    turns = zones.changes(BERLIN, now, now + 366 * 86400)
    return next(at_s for at_s, offset in turns if (offset == 120) is is_spring)


async def _clock_error_s(bench: Bench) -> float:
    """How far the lock's clock, as it shows it, is from the time in Berlin."""
    shown = datetime.fromisoformat((await bench.lock.panel({"do": "state"}))["clock"])
    right = datetime.fromtimestamp(bench.site.now(), BERLIN).replace(tzinfo=None, microsecond=0)
    return (shown - right).total_seconds()


async def _types(bench: Bench) -> bool:
    """Type the guest's code -> whether the door opens; it is locked again."""
    opened = await bench.opens({"do": "keys", "digits": CODE + "#"})
    if opened:
        assert (await bench.ask("lock"))["ok"]
    return opened


def _seconds(ts: str) -> float:
    return datetime.fromisoformat(ts).timestamp()


@pytest.mark.parametrize("season", ["spring", *(["autumn"] if SOAK else [])])
def test_f122_a_guest_stays_over_the_change_of_clocks(tmp_path, season):
    async def story():
        turn_s = _next_change(season == "spring")
        bench = Bench(tmp_path)
        bench.site.leap_s = bench.site.radio.air.leap_s = turn_s - 1500 - time.time()
        async with bench:
            entry = await bench.pair()
            entry.zone, entry.zone_rule = "Europe/Berlin", zones.find("Europe/Berlin").rule
            printed = len(bench.gateway.lines)
            await owner.hand_over(bench.site, bench.gateway, entry)
            await bench.gateway.wait_line("clock synced", HANG_S)
            await bench.gateway.wait_line("clocks clock_set", after=printed)  # it showed UTC
            assert abs(await _clock_error_s(bench)) <= 3

            leaves = datetime.fromtimestamp(turn_s, BERLIN).replace(hour=11, minute=0, second=0) + timedelta(days=1)
            period = {"start": int(bench.site.now()) - 7200, "end": int(leaves.timestamp())}
            assert (await bench.ask("passcode_add", {"code": CODE, "type": "period"} | period))["ok"]
            opened = [bench.site.now()]
            assert await _types(bench)

            printed = len(bench.gateway.lines)
            await bench.leap(turn_s + 60 - bench.site.now())
            await bench.gateway.wait_line("clocks clock_set", after=printed)
            assert abs(await _clock_error_s(bench)) <= 3
            opened.append(bench.site.now())
            assert await _types(bench)

            listed = (await bench.ask("passcode_list"))["data"]["items"]
            assert [_seconds(each["end"]) for each in listed] == [leaves.timestamp()]
            await bench.leap(leaves.timestamp() - 120 - bench.site.now())
            opened.append(bench.site.now())
            assert await _types(bench)
            await bench.leap(leaves.timestamp() + 1 - bench.site.now())
            assert not await _types(bench)

            def times(records: list[dict]) -> dict:
                return {(each["epoch"], each["rec"]): each["ts"] for each in records if each["type"] == 4}

            await bench.until(lambda: len(times(bench.records())) == len(opened), "the records of the guest")
            told = times(bench.records())
            assert [abs(_seconds(each) - at_s) <= 5 for each, at_s in zip(told.values(), opened, strict=True)] == [
                True
            ] * 3
            assert not any(each.get("approx") for each in bench.records())

            assert (await bench.ask("zone_set", {"zone": "<+0545>-5:45"}))["ok"]  # whatever the offset does later
            seen = len(bench.records())
            assert (await bench.ask("upload"))["ok"]
            assert times(bench.records()[seen:]) == told

    asyncio.run(story())
