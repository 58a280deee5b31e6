"""R-14: wrong clocks, absent and lying time servers, ticks that wrap."""

import asyncio
import time
from datetime import UTC, datetime

import pytest

from host_tools.sim.site import owner
from tests.faults.rows import FULL, Row, run_program
from tests.system.bench import HANG_S, Bench

_WRAP_S = (1 << 30) / 1000
_AUTO_LOCK_S = 5


@pytest.mark.row("R-14", "lying time servers, start-up clocks, edges of dates")
def test_clock_believes_nobody_too_early(row: Row) -> None:
    row.take(run_program("clock_lies", row.seed, row.count(2500, 100000), heapsize="2M"))


@pytest.mark.row("T-CLK-2/3", "clocks walked by one hostile time server, by all three, and by a client at the lock")
def test_no_code_opens_on_another_day(row: Row) -> None:
    row.take(run_program("time_walks", row.seed, row.count(24, 1000), heapsize="8M"))


async def _expiring(bench: Bench, signed: bool = True) -> str:
    """The result of a command that is good for ten seconds by the true time."""
    return (await bench.ask("lock", exp=int(bench.site.now()) + 10, signed=signed))["code"]


async def _reachable(bench: Bench) -> None:
    """After a leap over its keepalive, a gateway is connected again when it answers, and has heard the lock soon."""
    await bench.until_answers()
    async with asyncio.timeout(HANG_S):
        while (await bench.ask("state"))["code"] != "ok":
            await asyncio.sleep(0.2)


async def _off_s(bench: Bench) -> float:
    """How far the lock's clock, as it shows it, is from the true time."""
    shown = (await bench.lock.panel({"do": "state"}))["clock"]
    return datetime.fromisoformat(shown).replace(tzinfo=UTC).timestamp() - bench.site.now()


@pytest.mark.skipif(not FULL, reason="half a minute: make faults")
@pytest.mark.row("T-CLK-1", "a gateway whose time servers are silent from the first start")
def test_gateway_refuses_what_it_cannot_judge(row: Row, tmp_path) -> None:
    async def story() -> None:
        bench = Bench(tmp_path)
        bench.site.ntp.is_silent = True
        async with bench:
            entry = await bench.pair()
            row.check(await _expiring(bench, False) == "no_clock", "exp was judged")
            await owner.hand_over(bench.site, bench.gateway, entry)  # signed, by which it has the time
            row.check(await _expiring(bench) == "ok", "a signed command opens")
            row.check(await _expiring(bench, False) == "ok", "exp is judged by the signed time")
            row.check((await bench.ask("lock", exp=int(bench.site.now()) - 5))["code"] == "expired", "a late one acted")
            row.check((await bench.ask("time_sync"))["code"] == "ok", "a signed time sets the lock's clock")

            await bench.until_linkless()
            await bench.gateway.restart()
            await _reachable(bench)
            row.check((await bench.ask("unlock"))["code"] == "ok", "a signed unlock after a restart")

    asyncio.run(story())


@pytest.mark.skipif(not FULL, reason="a minute: make faults")
@pytest.mark.parametrize("is_late", [False, True], ids=["start", "later"])
@pytest.mark.parametrize("lie_s", [7 * 86400, -7 * 86400, 3600, "walk"])
@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.row("T-CLK-2", "a house whose time servers lie, one or all three, at the start or later")
def test_no_door_opens_on_another_day(row: Row, tmp_path, count, lie_s, is_late) -> None:
    def lie(bench: Bench, hours: int) -> None:
        for server in bench.site.ntp.servers[:count]:
            server.lie_s = 290.0 * hours if lie_s == "walk" else lie_s

    async def story() -> None:
        bench = Bench(tmp_path)
        if not is_late:
            lie(bench, 1)
        async with bench:
            printed = len(bench.gateway.lines)
            entry = await bench.pair()
            if count == 1 or is_late or lie_s == "walk":
                await bench.gateway.wait_line("clock synced", after=printed)
            await owner.hand_over(bench.site, bench.gateway, entry)
            for code, from_h, until_h in (("864201", 6 * 24, 8 * 24), ("975310", -48, -2), ("753197", -24, 30 * 24)):
                hours = {"start": int(bench.site.now()) + from_h * 3600, "end": int(bench.site.now()) + until_h * 3600}
                told = await bench.ask("passcode_add", {"code": code, "type": "period"} | hours)
                row.check(told["code"] == "ok" or until_h < 0, told)
            for hour in range(1, 7):
                lie(bench, hour)
                await bench.leap(3605)
                await _reachable(bench)
                row.check(await _expiring(bench, False) in ("ok", "busy"), "exp is judged by a lie, hour %d" % hour)
                off_s = await _off_s(bench)
                row.check(abs(off_s) <= 330, "the lock is %.0f s off" % off_s)
            row.check(not await bench.opens({"do": "keys", "digits": "864201#"}), "a code of next week opens")
            row.check(not await bench.opens({"do": "keys", "digits": "975310#"}), "an expired code opens")
            row.check(await bench.opens({"do": "keys", "digits": "753197#"}), "a code of today does not open")

    asyncio.run(story())


@pytest.mark.skipif(not FULL, reason="half a minute: make faults")
@pytest.mark.row("R-14", "both boards' ticks wrap while the bolt is drawn")
def test_timers_are_right_across_the_wrap(row: Row, tmp_path) -> None:
    async def story() -> None:
        async with Bench(tmp_path, gateway_settings={"keepalive_s": 3600}) as bench:
            began = time.monotonic()  # the boards have been up for a second or two
            await bench.adopt()
            await bench.until_linkless()
            for _ in range(3):
                await bench.site.leap(_WRAP_S / 4)
                await asyncio.sleep(0.2)
            await bench.leap(_WRAP_S / 4 - (time.monotonic() - began) - 20)
            leapt = time.monotonic()
            await _reachable(bench)
            await asyncio.sleep(max(0.0, 16 - (time.monotonic() - leapt)))
            assert (await bench.ask("unlock"))["code"] == "ok"
            moved = len(bench.lock.movements)
            opened = time.monotonic()
            await bench.until(lambda: bench.lock.bolt == "locked", "auto-lock over the wrap")
            shut_s = time.monotonic() - opened
            row.check(_AUTO_LOCK_S - 2 < shut_s < _AUTO_LOCK_S + 6, "auto-lock after %.1f s" % shut_s)
            row.figure("auto_lock_s", "%.1f" % shut_s)
            row.check(len(bench.lock.movements) > moved, "who locked it?")
            for _ in range(row.count(1, 5)):
                found = await bench.ask("time_get")
                row.check(found["code"] == "ok" and abs(found["data"]["drift_s"]) <= 3, found)
            row.check(await _expiring(bench) == "ok", "exp after the wrap")
            await bench.until_linkless()
            seen = len(bench.mqtt.messages)
            await bench.site.leap(61)
            told = await bench.mqtt.wait(lambda m: m.topic.endswith("/metrics"), after=seen)
            row.check(_WRAP_S < told.value["uptime_s"] < _WRAP_S + 300, "uptime %s" % told.value["uptime_s"])
            for board in bench.site.boards:
                row.check(board.starts == 1 and not board.crashes, "%s was reset" % board.name)

    asyncio.run(story())
