"""R-18 and R-19: jobs that fail, hang, block or fall silent on real boards, and boards that keep restarting.

A probe that runs on the board before its own program makes one job misbehave (programs/probe_jobs.py).
"""

import asyncio
import contextlib
import json
import re
import time
from pathlib import Path

import pytest

from host_tools.sim.board.board import Board
from tests.faults.rows import FULL, Row
from tests.system.bench import HANG_S, Bench

_PROBE = Path(__file__).parent / "programs" / "probe_jobs.py"
_RESTART_MS = 5000
_RESET_S = 15
_TICKS = 1 << 30
_SLACK_MS = 3000  # what a loaded machine may add
_GATEWAY = (
    "housekeeping",
    "console",
    "wifi",
    "mqtt",
    "clock",
    "ladder",
    "scanner",
    "scheduler",
    "plan",
    "bridge",
    "outgoing",
    "states",
    "uploads",
)
_LOCK = ("housekeeping", "link", "mechanics", "console")


async def _start(board: Board, job: str = "", how: str = "", **more) -> int:
    """Cut the power and start with this fault; -> how many lines there were before."""
    board.env["SIM_PROBE"] = str(_PROBE)
    board.env["SIM_FAULT"] = json.dumps({"job": job, "how": how} | more) if how else "{}"
    lines = len(board.lines)
    await board.restart()
    return lines


async def _tick(board: Board, word: str, after: int, timeout_s: float = 30) -> int:
    return int((await board.wait_line("^probe %s" % word, timeout_s, after)).split()[2])


def _worst(row: Row, name: str, value: float) -> None:
    row.figure(name, max(float(str(row.figures.get(name, 0))), value))


async def _restarted(row: Row, board: Board, job: str, how: str) -> None:
    after = await _start(board, job, how)
    what = "%s of %s: " % (how, job) + board.role
    began = await _tick(board, how, after)
    try:
        again = await _tick(board, "started_again", after, 25)
    except Exception as err:
        row.check(False, "%s: %s" % (what, err))
        return
    took_ms = (again - began) % _TICKS
    limit_ms = _RESTART_MS + (_SLACK_MS if how == "hang" else 0)
    row.check(took_ms <= limit_ms, "%s: started again after %d ms" % (what, took_ms))
    _worst(row, "worst_restart_ms", took_ms)


async def _answers(bench: Bench) -> bool:
    """The gateway serves again."""
    deadline = time.monotonic() + HANG_S
    while time.monotonic() < deadline:
        try:
            if (await bench.ask("state", timeout_s=4))["code"] == "ok":
                return True
        except AssertionError:
            continue
    return False


@pytest.mark.skipif(not FULL, reason="make faults")
def test_probe_knows_every_job(tmp_path) -> None:
    """The lists above are the images' own."""

    async def story() -> None:
        async with Bench(tmp_path) as bench:
            for board, names in ((bench.gateway, _GATEWAY), (bench.lock, _LOCK)):
                after = await _start(board)
                await board.wait_line("lifeline started", after=after)
                found = {line.split()[2] for line in list(board.lines)[after:] if line.startswith("probe job")}
                assert found == set(names), found ^ set(names)

    asyncio.run(story())


@pytest.mark.row("R-18", "an exception or an infinite wait in each job of both images")
def test_a_job_is_started_again_within_five_seconds(row: Row, tmp_path) -> None:
    async def story() -> None:
        async with Bench(tmp_path) as bench:
            await bench.adopt()
            cases = [(job, how) for job in _GATEWAY for how in ("raise", "hang", "return", "memory")]
            if not FULL:
                cases = [("scheduler", "hang")]
            for job, how in cases:
                await _restarted(row, bench.gateway, job, how)
                row.check(bench.gateway.starts and await _answers(bench), "no service after %s of %s" % (how, job))
            for job in _LOCK:
                for how in ("raise", "hang", "memory") if FULL else ():
                    await _restarted(row, bench.lock, job, how)
                    row.check(await _answers(bench), "no service after %s of %s" % (how, job))
            bench.gateway.env.pop("SIM_PROBE")
            await _start(bench.gateway)
            assert await _answers(bench)
            total = (await bench.lock.panel({"do": "state"}))["records"]
            await bench.until(lambda: len({i["rec"] for i in bench.records()}) >= total, "all records")
            row.figure("records_lost", total - len({item["rec"] for item in bench.records()}))

    asyncio.run(story())


@pytest.mark.skipif(not FULL, reason="a minute: make faults")
@pytest.mark.row("R-18", "the third end of a job in ten minutes")
def test_hopeless_jobs_reset_the_board(row: Row, tmp_path) -> None:
    async def story() -> None:
        async with Bench(tmp_path) as bench:
            await bench.adopt()
            for board, jobs in ((bench.gateway, _GATEWAY), (bench.lock, _LOCK)):
                for job in jobs:
                    after = await _start(board, job, "raise", times=3)
                    line = await board.wait_line("lifeline started .*what=(?!-)", 60, after)
                    row.check("why=failing" in line and "what=%s" % job[:12] in line, line)

    asyncio.run(story())


async def _reset_latency(row: Row, board: Board, job: str, how: str, why: str) -> None:
    """From the moment of the fault to the next start of the process; the reason is told at that start."""
    after = await _start(board, job, how)
    await board.wait_line("^probe %s" % how, after=after)
    began, starts = time.monotonic(), board.starts
    while board.starts == starts and time.monotonic() - began < 40:
        await asyncio.sleep(0.05)
    took_s = time.monotonic() - began
    line = await board.wait_line("lifeline started .*quick=2", after=after)
    row.check(took_s <= _RESET_S, "%s of %s: reset after %.1f s" % (how, job, took_s))
    row.check(re.search(why, line), "%s of %s: %s" % (how, job, line))
    _worst(row, "worst_reset_s", round(took_s, 1))


@pytest.mark.row("R-19", "loop blocked, feeder dead, a job that cannot be ended")
def test_a_board_that_stands_still_is_reset_within_fifteen_seconds(row: Row, tmp_path) -> None:
    async def story() -> None:
        async with Bench(tmp_path, gateways=1 if FULL else 0) as bench:
            if FULL:
                cases = [(bench.gateway, "", "feeder", "why=blocked"), (bench.lock, "", "feeder", "why=blocked")]
                for board, jobs in ((bench.gateway, _GATEWAY), (bench.lock, _LOCK)):
                    cases += [(board, job, "stubborn", "why=silent") for job in jobs if job != "housekeeping"]
                    cases += [(board, job, "block", "why=blocked") for job in jobs]
            else:
                cases = [(bench.lock, "mechanics", "stubborn", "why=silent")]
            for board, job, how, why in cases:
                await _reset_latency(row, board, job, how, ("what=%s .*" % job if how == "stubborn" else "") + why)

    asyncio.run(story())


@pytest.mark.skipif(not FULL, reason="a minute: make faults")
@pytest.mark.row("R-19", "boards that keep failing until minimal mode breaks the loop")
def test_five_quick_resets_lead_to_minimal_mode(row: Row, tmp_path) -> None:
    async def story() -> None:
        async with Bench(tmp_path) as bench:
            await bench.adopt()
            jobs = [job for job in _GATEWAY if job not in ("housekeeping", "console")]
            for board, name in [(bench.gateway, job) for job in jobs] + [(bench.lock, "console")]:
                starts = board.starts
                after = await _start(board, name, "raise", times=1000, always=True)
                await board.wait_line("lifeline started .*minimal=True", 300, after)
                quick = board.starts - starts
                row.check(quick == 6, "minimal after %d starts" % quick)
                await asyncio.sleep(12)
                row.check(board.starts - starts == quick, "%s of %s goes on restarting" % (name, board.role))
                if board is bench.gateway:
                    hello = await board.ask({"do": "hello"})
                    row.check(hello["restart"]["minimal"] and hello["restart"]["why"] == "failing", hello)
                    lit = [name for name, on in board.mechanics.light.items() if on]
                    row.check(lit == ["red"], "the light of a fault is %s" % lit)
            await _start(bench.gateway)  # the lock stays in minimal mode: the door and local Bluetooth
            row.check(await _answers(bench), "power-on did not end minimal mode")
            row.check((await bench.ask("unlock"))["code"] == "ok", "the lock's minimal mode does not open the door")

    asyncio.run(story())


@pytest.mark.skipif(not FULL, reason="minutes: make faults")
@pytest.mark.row("R-18", "every fiftieth call of the radio's interrupt handler raises")
def test_lost_events_do_not_keep_the_gateway_from_work(row: Row, tmp_path) -> None:
    async def story() -> None:
        async with Bench(tmp_path) as bench:
            await bench.adopt()
            after = await _start(bench.gateway, "", "irq", always=True)
            codes = []
            began = time.monotonic()
            while time.monotonic() - began < 240 and codes.count("ok") < 20:
                with contextlib.suppress(AssertionError):
                    codes.append((await bench.ask("state", timeout_s=35))["code"])
            found = [line.split()[3] for line in list(bench.gateway.lines)[after:] if " ladder " in line]
            row.figure("rungs", "+".join(found) or "none")
            row.figure("ok_with_lost_events", "%d/%d" % (codes.count("ok"), len(codes)))
            row.check(codes.count("ok") >= 10, "with every fiftieth event lost: %s" % codes)
            moved = len(bench.lock.movements)
            await _start(bench.gateway)
            row.check(await _answers(bench), "no service without the fault")
            row.check(len(bench.lock.movements) == moved, "queries moved the bolt")

    asyncio.run(story())


@pytest.mark.skipif(not FULL, reason="a minute: make faults")
@pytest.mark.row("R-18", "a radio that refuses to scan, up the ladder")
def test_the_ladder_heals_the_radio_or_resets_the_board(row: Row, tmp_path) -> None:
    async def story() -> None:
        async with Bench(tmp_path) as bench:
            await bench.adopt()
            await bench.until_linkless()
            after = await _start(bench.gateway, "", "deaf")
            for rung in ("rescan", "radio_cycle"):
                line = await bench.gateway.wait_line("ladder %s" % rung, after=after)
                row.check("why=scan_refused" in line, line)
                await bench.site.leap(25)
            row.check(await _answers(bench), "the radio does not work after it was switched off and on")
            row.check((await bench.ask("unlock"))["code"] == "ok", "no unlock")

            await bench.until_linkless()
            after = await _start(bench.gateway, "", "deafer")
            for rung in ("rescan", "radio_cycle", "soft_reset"):
                await bench.gateway.wait_line("ladder %s" % rung, after=after)
                if rung != "soft_reset":
                    await bench.site.leap(35)
            line = await bench.gateway.wait_line("lifeline started .*why=radio", after=after)
            row.check("what=scan_refused" in line, line)
            row.check(await _answers(bench), "no service after the soft reset")
            hello = await bench.gateway.ask({"do": "hello"})
            counts = hello["restart"]["counts"]
            row.check([counts.get(word) for word in ("rescan", "radio_cycle", "soft_reset")] == [1, 1, 1], counts)

    asyncio.run(story())
