"""R-14: wrong clocks, absent and lying time servers, ticks that wrap."""

import asyncio
import time

import pytest

from host_tools.sim.site import owner
from tests.faults.rows import FULL, Row, run_program
from tests.system.bench import HANG_S, Bench

_WRAP_S = (1 << 30) / 1000
_YEAR_S = 365 * 86400
_AUTO_LOCK_S = 5


@pytest.mark.row("R-14", "lying time servers, start-up clocks, edges of dates")
def test_clock_believes_nobody_too_early(row: Row) -> None:
    row.take(run_program("clock_lies", row.seed, row.count(2500, 100000), heapsize="2M"))


@pytest.mark.row("T-CLK-2/3", "clocks walked by one hostile time server, by all three, and by a client at the lock")
def test_no_code_opens_on_another_day(row: Row) -> None:
    row.take(run_program("time_walks", row.seed, row.count(24, 2000), heapsize="8M"))


async def _synced(bench: Bench, after: int) -> None:
    await bench.gateway.wait_line("clock (synced|jumped)", 30, after)


async def _expiring(bench: Bench) -> str:
    """The result of a command that is good for ten seconds by the true time."""
    return (await bench.ask("lock", exp=int(bench.site.now()) + 10))["code"]


async def _reachable(bench: Bench) -> None:
    """After a leap over its keepalive, a gateway is connected again when it answers, and has heard the lock soon."""
    await bench.until_answers()
    async with asyncio.timeout(HANG_S):
        while (await bench.ask("state"))["code"] != "ok":
            await asyncio.sleep(0.2)


@pytest.mark.skipif(not FULL, reason="half a minute: make faults")
@pytest.mark.row("R-14", "a gateway whose time server is silent, alternates, or lies from the first start")
def test_gateway_refuses_what_it_cannot_judge(row: Row, tmp_path) -> None:
    async def story() -> None:
        bench = Bench(tmp_path)
        bench.site.ntp.is_silent = True
        async with bench:
            entry = await bench.pair()
            await owner.hand_over(bench.site, bench.gateway, entry)
            for lie in (None, [3600, -3600, _YEAR_S]):
                if lie:
                    bench.site.ntp.is_silent, bench.site.ntp.lie_s = False, lie
                    await asyncio.sleep(5)
                    await bench.leap(61)
                    await _reachable(bench)
                row.check(await _expiring(bench) == "no_clock", "exp was judged with lie %s" % lie)
                row.check((await bench.ask("time_sync"))["code"] == "no_clock", "the lock's clock was set")
                row.check((await bench.ask("state"))["code"] == "ok", "a query needs no clock")
            row.check((await bench.ask("unlock"))["code"] == "ok", "an unlock without exp needs no clock")

            lines = len(bench.gateway.lines)
            bench.site.ntp.lie_s = 10 * _YEAR_S
            await _synced(bench, lines)  # it has no better
            row.check(await _expiring(bench) == "expired", "a clock ten years ahead took exp for the future")
            bench.site.ntp.lie_s = 0.0
            for _ in range(8):
                await bench.leap(3605)
                await asyncio.sleep(0.5)
            await bench.gateway.wait_line("clock jumped moved_ms=-3", after=lines)
            await _reachable(bench)
            row.check(await _expiring(bench) == "ok", "the truth was not believed")

            lines = len(bench.gateway.lines)
            await bench.until_linkless()
            await bench.gateway.restart()
            await _synced(bench, lines)
            await _reachable(bench)
            row.check(await _expiring(bench) == "ok", "the lie had become the floor")

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
