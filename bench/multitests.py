"""MicroPython's own two-board Bluetooth tests, and aioble's, on two bare boards of the simulator.

    python -m bench.multitests [--profile home] [--bits 64 32] [NAME ...]

The tests are those of MicroPython's source (`multi_bluetooth`, from Debian's source package) and of aioble's checkout
(its folder `multitests`, when GATEHOUSE_AIOBLE points into one); the runner is MicroPython's own, too. Prints passed of
N for each width, and what could not be had. Left out: L2CAP channels, which the simulator has not, and the deep sleep
test, which wants a board that says the name of an ESP32 when it starts.
"""

import argparse
import asyncio
import os
import re
import shlex
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from bench import multitest_board
from host_tools.boards import fetch32, frozen, stage
from host_tools.boards.debian import Unavailable
from host_tools.sim.board import flash_image
from host_tools.sim.board.board import Board, BoardSpec
from host_tools.sim.board.interpreter import interpreter
from host_tools.sim.site.site import Site, SiteSpec

LEFT_OUT = ("l2cap", "deepsleep")
_MACS = "240ac4b00100", "240ac4b00110"
_RESULT = re.compile(r"^(?P<name>\S+) on \S+: (?P<result>pass|FAIL|skip)$", re.MULTILINE)


@dataclass
class Outcome:
    """What came of a run: names of tests, and the runner's whole output."""

    passed: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    output: str = ""


def tests_of_micropython() -> list[Path]:
    """The Bluetooth tests in MicroPython's source, fetched if need be. Raises Unavailable."""
    folder = frozen.provide_source() / "tests" / "multi_bluetooth"
    return sorted(path for path in folder.glob("*.py") if not any(word in path.name for word in LEFT_OUT))


def tests_of_aioble() -> list[Path]:
    """Those of aioble, beside the package in a checkout of micropython-lib; none elsewhere."""
    package = stage.find_aioble()
    folder = package.parent / "multitests" if package else Path("multitests")
    return sorted(path for path in folder.glob("*.py") if not any(word in path.name for word in LEFT_OUT))


async def _bare_board(site: Site, base_mac: str, folder: Path) -> Board:
    """A board without firmware, with aioble, at its prompt."""
    board = site.add(BoardSpec(base_mac, "gateway", base_mac))
    tree = folder / base_mac
    tree.mkdir()
    package = stage.find_aioble(simulator=True)
    if package:
        (tree / "lib").mkdir()
        (tree / "lib" / "aioble").symlink_to(package)
    flash_image.create_from(board.image, tree)
    await board.start()
    await board.wait_line(r"^MicroPython ")
    return board


async def run(tests: list[Path], profile: str, seed: int, micropython: str) -> Outcome:
    """Run `tests` on two boards with the interpreter `micropython`."""
    os.environ["GATEHOUSE_MICROPYTHON"] = micropython
    with tempfile.TemporaryDirectory(prefix="gatehouse-multitests-") as name:
        folder = Path(name)
        async with Site(SiteSpec(gateways=0, locks=0, profile=profile, seed=seed, folder=folder / "site")) as site:
            boards = [await _bare_board(site, mac, folder) for mac in _MACS]
            server = multitest_board.Server(boards)
            await server.start()
            instances = [
                "pyb:" + board.console if await _has_raw_repl(board) else "exec:%s" % _wrapper(folder, server, at)
                for at, board in enumerate(boards)
            ]
            try:
                output = await _run(tests, instances)
            finally:
                server.stop()
    outcome = Outcome(output=output)
    for found in _RESULT.finditer(output):
        name = Path(found["name"]).stem
        {"pass": outcome.passed, "FAIL": outcome.failed}.get(found["result"], []).append(name)
    outcome.failed += sorted({test.stem for test in tests} - {*outcome.passed, *outcome.failed})
    return outcome


async def _has_raw_repl(board: Board) -> bool:
    """Whether its prompt has a raw mode: ports older than 1.26 have none, and their boards get each test as a file."""
    banner = re.compile(r"Type \"help\(\)\"|Use Ctrl-D")
    return "help" in await board.wait_line(banner.pattern)


def _wrapper(folder: Path, server: multitest_board.Server, at: int) -> Path:
    path = folder / ("board%d" % at)
    command = [sys.executable, "-m", "bench.multitest_board", str(server.port), str(at)]
    lines = ("#!/bin/sh", "cd %s" % shlex.quote(str(stage.ROOT)), 'exec %s "$@"' % shlex.join(command))
    path.write_text("\n".join(lines) + "\n")
    path.chmod(0o755)
    return path


async def _run(tests: list[Path], instances: list[str]) -> str:
    runner = frozen.SOURCE / "tests" / "run-multitests.py"
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        str(runner),
        *(part for each in instances for part in ("-i", each)),
        *(str(test) for test in tests),
        cwd=runner.parent,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await process.communicate()
    return output.decode(errors="replace")


def _widths(wanted: list[int]) -> list[tuple[int, str]]:
    found: list[tuple[int, str]] = []
    for bits in wanted:
        path = interpreter() if bits == 64 else fetch32.find32()
        if path:
            found.append((bits, str(path)))
        else:
            print("%d bits: set-up found no such MicroPython for this machine" % bits)
    return found


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(prog="python -m bench.multitests", description="MicroPython's own Bluetooth tests")
    parser.add_argument("names", nargs="*", help="tests to run (default: all)")
    parser.add_argument("--profile", default="home")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--bits", type=int, nargs="+", choices=(64, 32), default=[64, 32])
    parser.add_argument("-v", action="store_true", help="print the runner's output")
    args = parser.parse_args()
    suites: dict[str, list[Path]] = {}
    try:
        suites["multi_bluetooth"] = tests_of_micropython()
    except Unavailable as err:
        sys.exit("MicroPython's source could not be had: %s" % err)
    suites["aioble"] = tests_of_aioble()
    if not suites["aioble"]:
        print("aioble: its multitests are not here; point GATEHOUSE_AIOBLE into a checkout of micropython-lib")
    has_failed = False
    for bits, micropython in _widths(args.bits):
        for suite, tests in suites.items():
            chosen = [test for test in tests if not args.names or test.stem in args.names]
            if not chosen:
                continue
            outcome = asyncio.run(run(chosen, args.profile, args.seed, micropython))
            if args.v or outcome.failed:
                print(outcome.output)
            failed = " (failed: %s)" % ", ".join(outcome.failed) if outcome.failed else ""
            passed = "%d of %d passed%s" % (len(outcome.passed), len(chosen), failed)
            print("%s, %d bits, air %s, seed %d: %s" % (suite, bits, args.profile, args.seed, passed), flush=True)
            has_failed |= bool(outcome.failed)
    sys.exit(has_failed)


if __name__ == "__main__":
    main()
