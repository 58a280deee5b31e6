"""How much Python heap both images take in 32-bit objects, step by step: `python -m bench.heap`.

Two figures. `alive`: bytes that are in use after a step once garbage is collected; with them the most that was in use
while the board waited during the step. `need`: the smallest heap, a hard limit, in which the whole story succeeds: it
covers what a step needs in passing, and fragmentation. From both the simulator's share is subtracted: what is alive on
a board that runs no firmware but has the simulator's modules loaded and its radio at work. MicroPython's table of names
doubles when it is full; the firmware is charged for its names, not for the empty half.

Two builds. `stock`: .mpy files on littlefs, as `flash.sh` puts them on a board; bytecode is on the heap. `rom`: the
same .mpy files in a ROMFS image, mounted where MicroPython for ESP32 mounts its own and run in place: bytecode, strings
and tables stay in flash, functions and classes are on the heap. Frozen code would take less than `rom`, since it keeps
the tables of functions in flash, too. What every interpreter has (asyncio, what it is built of) counts; TLS, Wi-Fi and
the radio's own memory do not come from this heap and are not measured.

`--record` writes bench/heap.json, which tests/system/test_heap.py compares with.
"""

import argparse
import asyncio
import contextlib
import io
import json
import subprocess
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from bench import heap_story
from bench.heap_story import BUILDS, STORIES, Story
from host_tools.boards import fetch32, stage

RECORDED = Path(__file__).parent / "heap.json"
KIB = 1024
SLACK = 1.05
BUDGET_KIB = {("gateway", "stock"): 110, ("lock", "stock"): 96, ("gateway", "rom"): 64, ("lock", "rom"): 48}
_LARGEST = 12


def _quietly(doing: Coroutine[Any, Any, Any]):
    """Run it without what the bench says about its site."""
    with contextlib.redirect_stdout(io.StringIO()):
        return asyncio.run(doing)


def play(story: str, build: str, heaps: dict[str, str], mode: str = "") -> heap_story.Run:
    """One run of a story."""
    return _quietly(Story(story, build, heaps, mode).play())


def limit(share_bytes: int, need_kib: float) -> str:
    """Heap size for a board that may need so much beside the simulator's share."""
    return "%dk" % ((share_bytes + need_kib * KIB + KIB - 1) // KIB)


def find_need(story: str, build: str, role: str, share_bytes: int, alive: int) -> tuple[int, str]:
    """Smallest heap (KiB, without the simulator's share) in which the story passes, and what fails one step below."""
    low = high = alive // KIB
    why = ""
    is_found = False
    while not is_found or high - low > high // 50:
        middle = (low + high) // 2 if is_found else high * 5 // 4
        run = play(story, build, {role: limit(share_bytes, middle)})
        if run.failed:
            low, why = middle, run.failed.split(":")[0]
            high = high if is_found else middle
        else:
            high, is_found = middle, True
    return high, why


def measure(with_need: bool = True) -> dict:
    """All figures."""
    version = subprocess.run(
        [str(fetch32.find32()), "-c", "import sys; print(sys.version)"], capture_output=True, text=True, check=True
    )
    found: dict = {"interpreter": version.stdout.strip(), "aioble": "stand-in", "stories": {}}
    with heap_story.on_32_bits():
        if stage.find_aioble(simulator=True) != heap_story.STANDIN / "aioble":
            found["aioble"] = "upstream"
    for build in BUILDS:
        shares = {role: _quietly(heap_story.simulators_share(role, build)) for role in ("gateway", "lock")}
        for story, role in STORIES:
            share = shares[role]
            run = play(story, build, {role: ""}, "peak")
            if run.failed:
                raise SystemExit("%s %s %s failed: %s" % (role, build, story, run.failed))
            marks = run.marks[role]
            names = max(mark.names for mark in marks.values())
            entry: dict = {
                "alive": {step: mark.alive - share.beside(mark.names) for step, mark in marks.items()},
                "peak": {step: mark.peak - share.beside(mark.names) for step, mark in marks.items()},
                "names": names - share.names,
            }
            if with_need:
                alive = max(entry["alive"].values())
                entry["need_kib"], entry["fails_first"] = find_need(story, build, role, share.beside(names), alive)
            found["stories"]["%s %s %s" % (role, build, story)] = entry
            print("measured %s %s %s" % (role, build, story), flush=True)
    return found


def grown(story: str, build: str, recorded: dict) -> list[str]:
    """Play a story with all boards under 105 % of what was recorded: what succeeds no more, or takes more than that."""
    roles = [role for name, role in STORIES if name == story]
    shares = {role: _quietly(heap_story.simulators_share(role, build)) for role in roles}
    entries = {role: recorded["stories"]["%s %s %s" % (role, build, story)] for role in roles}
    heaps = {}
    for role in roles:
        names = shares[role].names + round(SLACK * entries[role]["names"])
        heaps[role] = limit(shares[role].beside(names), SLACK * entries[role]["need_kib"])
    run = play(story, build, heaps)
    found = ["within %s: %s" % (heaps, run.failed)] if run.failed else []
    for role in roles:
        for step, mark in run.marks[role].items():
            alive, was = mark.alive - shares[role].beside(mark.names), entries[role]["alive"][step]
            if alive > SLACK * was:
                found.append("%s %s, %s: %d bytes alive, recorded %d" % (role, build, step, alive, was))
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
            budget = "%d" % BUDGET_KIB[words[0], words[1]]
            needs.add_row(*words, str(entry["need_kib"]), entry["fails_first"], str(was), budget)
    return [made, needs] if needs.row_count else [made]


def largest_modules() -> Table:
    """The modules that take most, by board."""
    table = Table(title="largest modules, bytes (a doubling of the table of names falls to the module that caused it)")
    columns = []
    for role in ("gateway", "lock"):
        table.add_column(role)
        table.add_column("stock", justify="right")
        table.add_column("rom", justify="right")
        stock, rom = (_quietly(heap_story.module_sizes(role, build)) for build in BUILDS)
        ours = [name for name in stock if name not in heap_story.SIMULATED]
        rows = [(name, str(stock[name]), str(rom[name])) for name in sorted(ours, key=lambda name: -stock[name])]
        total = ("all %d" % len(ours), *(str(sum(sizes[name] for name in ours)) for sizes in (stock, rom)))
        columns.append([total, *((name.removeprefix("firmware."), *sizes) for name, *sizes in rows[:_LARGEST])])
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
    found = measure(not options.quick or options.record)
    console = Console()
    for table in tables(found, load() if RECORDED.exists() else None):
        console.print(table)
    console.print(largest_modules())
    if options.record:
        RECORDED.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
