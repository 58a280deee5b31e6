"""How much Python heap both images take in 32-bit objects, step by step: `python -m bench.heap`.

Two figures. `alive`: bytes that are in use after a step once garbage is collected; with them the most that was in use
while the board waited during the step. `need`: the smallest heap, a hard limit, in which the whole story succeeds: it
covers what a step needs in passing, and fragmentation. From both the simulator's share is subtracted: what is alive on
a board that runs no firmware but has the simulator's modules loaded and its radio at work, from `need` with the bits
that MicroPython's collector keeps of it. MicroPython's table of names doubles when it is full; the firmware is charged
for its names, not for the empty half.

Two builds. `stock`: .mpy files on littlefs, as `flash.sh` puts them on a board; bytecode is on the heap. `frozen`: the
firmware frozen into MicroPython (boards/README.md), here into the 32-bit unix port that `make frozen` builds: bytecode,
strings, constants and tables of functions stay in flash. What every interpreter has (asyncio, what it is built of)
counts; TLS, Wi-Fi and the radio's own memory do not come from this heap and are not measured.

`--record` writes bench/heap.json, which tests/system/test_heap.py compares with.
"""

import argparse
import asyncio
import contextlib
import io
import json
import subprocess
from collections.abc import Coroutine
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from bench import heap_story
from bench.heap_story import BUILDS, STORIES, Story
from host_tools.boards import fetch32, frozen, stage
from host_tools.boards.debian import Unavailable

RECORDED = Path(__file__).parent / "heap.json"
KIB = 1024
SLACK = 1.05
BUDGET_KIB = {("gateway", "stock"): 270, ("lock", "stock"): 215, ("gateway", "frozen"): 104, ("lock", "frozen"): 80}
_PARALLEL = 3  # stories wait most of their time
_TRIALS = 4
_LARGEST = 12
_GUARD_RUNS = 3


def _quietly(doing: Coroutine[Any, Any, Any]):
    """Run it without what the bench says about its site."""
    with contextlib.redirect_stdout(io.StringIO()):
        return asyncio.run(doing)


def play(story: str, build: str, heaps: dict[str, str], mode: str = "") -> heap_story.Run:
    """One run of a story."""
    return _quietly(Story(story, build, heaps, mode).play())


def limit(share_bytes: int, need_kib: float) -> str:
    """Heap size for a board that may need so much beside the simulator's share. Of a heap, as of a board's, the
    collector takes three bits for each block of 16 bytes (py/gc.c): those of the share belong to the share."""
    return "%dk" % ((share_bytes * (128 + 3) // 128 + need_kib * KIB + KIB - 1) // KIB)


def find_need(story: str, build: str, role: str, share_bytes: int, hint_kib: int) -> tuple[int, str]:
    """Smallest heap (KiB, without the simulator's share) in which the story passes, and what fails one step below.

    Exact to 1 %. Where everything lies differs from run to run, so a size counts when `_TRIALS` runs in a row succeed.
    The search begins at `hint_kib` and goes in ever longer steps to where the outcome changes.
    """
    passes = fails = 0
    why = ""
    step = max(1, hint_kib // 100)
    tried = hint_kib
    while not passes or not fails or passes - fails > max(1, passes // 100):
        runs = (play(story, build, {role: limit(share_bytes, tried)}) for _ in range(_TRIALS))
        failed = next((run.failed for run in runs if run.failed), "")
        if failed:
            fails, why = tried, failed.split(":")[0]
        else:
            passes = tried
        if passes and fails:
            tried = (passes + fails) // 2
        else:
            tried += step if failed else -step
            step *= 2
    return passes, why


def _measure(role: str, story: str, build: str, share: heap_story.Share, hint_kib: int | None) -> dict:
    """Figures of one story; of the need only with `hint_kib`, 0 where nobody knows."""
    run = play(story, build, {role: ""}, "peak")
    if run.failed:
        raise SystemExit("%s %s %s failed: %s" % (role, build, story, run.failed))
    marks = run.marks[role]
    names = max(mark.names for mark in marks.values())
    entry: dict = {
        "alive": {step: mark.alive - share.without_firmware(mark.names) for step, mark in marks.items()},
        "peak": {step: mark.peak - share.without_firmware(mark.names) for step, mark in marks.items()},
        "names": names - share.names,
    }
    if hint_kib is not None:
        hint_kib = hint_kib or max(entry["alive"].values()) * 5 // 4 // KIB
        found = find_need(story, build, role, share.without_firmware(names), hint_kib)
        entry["need_kib"], entry["fails_first"] = found
    return entry


def builds() -> list[str]:
    """Those that this machine can run, the frozen one brought up to date; it says why one is left out."""
    try:
        frozen.build()
    except Unavailable as err:
        print("not measured: frozen (%s)" % err, flush=True)
        return ["stock"]
    return list(BUILDS)


def measure(recorded: dict | None, with_need: bool = True) -> dict:
    """All figures; `recorded` tells the search where to begin."""
    version = subprocess.run(
        [str(fetch32.find32()), "-c", "import sys; print(sys.version)"], capture_output=True, text=True, check=True
    )
    found: dict = {"interpreter": version.stdout.strip(), "aioble": "stand-in", "stories": {}}
    with heap_story.on_32_bits("stock"):
        if stage.find_aioble(simulator=True) != heap_story.STANDIN / "aioble":
            found["aioble"] = "upstream"
    before = (recorded or {}).get("stories", {})
    running = {}
    with ProcessPoolExecutor(_PARALLEL) as pool:
        for build in builds():
            shares = {role: _quietly(heap_story.simulators_share(role, build)) for role in ("gateway", "lock")}
            for story, role in STORIES:
                name = "%s %s %s" % (role, build, story)
                hint_kib = before.get(name, {}).get("need_kib", 0) if with_need else None
                running[name] = pool.submit(_measure, role, story, build, shares[role], hint_kib)
        for name, entry in running.items():
            found["stories"][name] = entry.result()
            print("measured", name, flush=True)
    return found


def allowed_kib(role: str, build: str, need_kib: int) -> float:
    """The heap in which a story has to succeed: 105 % of what was recorded, and no more than the budget once met."""
    budget = BUDGET_KIB[role, build]
    return min(SLACK * need_kib, budget) if need_kib <= budget else SLACK * need_kib


def grown(story: str, build: str, recorded: dict) -> list[str]:
    """Play a story with all boards in the heap that they are allowed: what succeeds no more, or takes 5 % more.

    Where things lie on a heap differs a little from run to run, so one good run of a few is enough.
    """
    roles = [role for name, role in STORIES if name == story]
    shares = {role: _quietly(heap_story.simulators_share(role, build)) for role in roles}
    entries = {role: recorded["stories"]["%s %s %s" % (role, build, story)] for role in roles}
    heaps = {}
    for role in roles:
        names = shares[role].names + round(SLACK * entries[role]["names"])
        need_kib = allowed_kib(role, build, entries[role]["need_kib"])
        heaps[role] = limit(shares[role].without_firmware(names), need_kib)
    found: list[str] = []
    for _ in range(_GUARD_RUNS):
        run = play(story, build, heaps)
        found = ["within %s: %s" % (heaps, run.failed)] if run.failed else []
        for role in roles:
            for step, mark in run.marks[role].items():
                alive, was = mark.alive - shares[role].without_firmware(mark.names), entries[role]["alive"][step]
                if alive > SLACK * was:
                    found.append("%s %s, %s: %d bytes alive, recorded %d" % (role, build, step, alive, was))
        if not found:
            break
    return found


def load() -> dict:
    """The recorded figures."""
    return json.loads(RECORDED.read_text())


def _kib(number: float | None) -> str:
    return "" if number is None else "%.1f" % (number / KIB)


def tables(found: dict, recorded: dict | None) -> list[Table]:
    """What `python -m bench.heap` prints."""
    made = Table(
        "board",
        "build",
        "story",
        "step",
        "alive",
        "peak",
        "recorded",
        title="Python heap, KiB, %(interpreter)s" % found,
    )
    needs = Table("board", "build", "story", "need KiB", "fails first", "recorded", "budget")
    for name, entry in found["stories"].items():
        role, build, story = name.split()
        before = (recorded or {}).get("stories", {}).get(name, {})
        for step, alive in entry["alive"].items():
            was = before.get("alive", {}).get(step)
            made.add_row(role, build, story, step, _kib(alive), _kib(entry["peak"][step]), _kib(was))
            role = build = story = ""
        made.add_section()
        if "need_kib" in entry:
            words = name.split()
            was = before.get("need_kib", "")
            budget_kib = BUDGET_KIB[words[0], words[1]]
            budget = "%d" % budget_kib + (", missed" if entry["need_kib"] > budget_kib else "")
            needs.add_row(*words, str(entry["need_kib"]), entry["fails_first"], str(was), budget)
    return [made, needs] if needs.row_count else [made]


def largest_modules() -> Table:
    """The modules that take most of a stock build, by board; a frozen image is one module."""
    table = Table(title="largest modules, bytes (a doubling of the table of names falls to the module that caused it)")
    columns = []
    for role in ("gateway", "lock"):
        table.add_column(role)
        table.add_column("stock", justify="right")
        sizes = _quietly(heap_story.module_sizes(role))
        ours = sorted((name for name in sizes if name not in heap_story.SIMULATED), key=lambda name: -sizes[name])
        rows = [("all %d" % len(ours), str(sum(sizes[name] for name in ours)))]
        rows += [(name.removeprefix("firmware."), str(sizes[name])) for name in ours]
        columns.append(rows[: _LARGEST + 1])
    for left, right in zip(*columns, strict=True):
        table.add_row(*left, *right)
    return table


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(description="Python heap of both images on a 32-bit MicroPython")
    parser.add_argument("--record", action="store_true", help="write bench/heap.json anew")
    parser.add_argument("--quick", action="store_true", help="what is alive only, without the search for the need")
    options = parser.parse_args()
    if not fetch32.find32():
        raise SystemExit("no 32-bit MicroPython here; `python -m host_tools.boards.fetch32` says why")
    recorded = load() if RECORDED.exists() else None
    found = measure(recorded, not options.quick or options.record)
    console = Console()
    for table in tables(found, recorded):
        console.print(table)
    console.print(largest_modules())
    if options.record:
        RECORDED.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
