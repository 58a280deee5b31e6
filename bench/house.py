"""A house of sixteen locks at one gateway, under mixed load: six unlocks a minute, durable jobs, records that appear.

    python -m bench.house --profile home --profile mix -n 60

`-n` is the number of unlocks, one in ten seconds: 60 are ten minutes. Between them codes are added and deleted, six
jobs a minute, and somebody enters a code at a door, six times a minute. `home`: our locks; `real`: all have the manners
of other makers' locks; `mix`: every second one, on the air `home`. Every lock is a board with the real firmware. What
the bolts did is told by the mechanics, who was connected by the air.

Who acts on which lock when is drawn from the seed; a lock has rested for a while before it is chosen, so that each
opening has one cause. `connections`: the most by which a lock's links exceed what happened with it (commands, jobs,
entries at its keypad).
"""

import asyncio
import random
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

from rich.table import Table

from bench.measure import conditions, p50, p95, parser, run, show
from bench.real import good_air
from bench.scale import Load
from firmware.lib import opcodes
from firmware.lib.messages import settings_client
from host_tools.sim.air.real import PROFILE
from host_tools.sim.board.board import Board
from host_tools.sim.site.site_plan import Plan
from tests.system.bench import Bench

HOME, REAL, MIX = "home", PROFILE, "mix"
_EVERY_S = 10.0
_REST_S = 12.0  # between two things that happen to one lock
_EXP_S = 30
_CODE = "246810"
_RELOCK_S = 2
_FAILED = 0x3E  # how an attempt to connect ends that fails
_QUIET_S = 20.0  # at the end: what is under way comes to its end


@dataclass
class Happening:
    """Something that happened to a lock, by Unix seconds; `took_s` and `code` of what was asked over MQTT."""

    lock: Board
    what: str  # unlock, job, keypad
    at_s: float
    is_cold: bool = True
    took_s: float = 0.0
    code: str = ""
    answers: int = 0


@dataclass
class Found:
    """What a run has shown."""

    happened: list[Happening] = field(default_factory=list)
    links: dict[str, int] = field(default_factory=dict)  # by the lock's address
    doubled: int = 0
    false_ok: int = 0
    unanswered: int = 0
    records: tuple[int, int] = (0, 0)  # (of entries at keypads, of these told)
    load: str = ""

    def of(self, what: str) -> list[Happening]:
        """All of one kind."""
        return [each for each in self.happened if each.what == what]

    def cold(self, locks: set[str] | None = None) -> list[float]:
        """Seconds of the cold unlocks that succeeded, of some locks."""
        return [
            each.took_s
            for each in self.of("unlock")
            if each.is_cold and each.code == "ok" and (locks is None or each.lock.mac in locks)
        ]

    def excess(self) -> int:
        """The most links of a lock beyond one for each thing that happened to it."""
        return max(count - sum(each.lock.mac == mac for each in self.happened) for mac, count in self.links.items())


class House:
    """A site and what goes on in it."""

    def __init__(self, bench: Bench, seed: int) -> None:
        self.bench = bench
        self.found = Found()
        self._draw = random.Random(seed)
        self._busy_until_s: dict[str, float] = {}
        self._numbers: dict[str, int] = {}
        self._after = 0

    async def prepare(self) -> None:
        """Pair every lock, hand it to the gateway, and give each a code for its keypad."""
        bench = self.bench
        with good_air(bench):
            for lock in bench.site.locks:
                entry = await bench.pair(lock)
                async with bench.beside(entry) as link:
                    await link.exchange(opcodes.AUTO_LOCK, settings_client.auto_lock_set(_RELOCK_S))
                await bench.hand_over(entry)
                told = await bench.ask("passcode_add", {"code": _CODE}, lock)
                assert told["code"] == "ok", told
        await bench.until_linkless()
        await asyncio.sleep(_REST_S)
        self._after = bench.site.radio.last_link

    def _choose(self) -> Board:
        """A lock at rest, which is then taken."""
        now_s = time.monotonic()
        rested = [each for each in self.bench.site.locks if self._busy_until_s.get(each.mac, 0.0) <= now_s]
        lock = self._draw.choice(rested or self.bench.site.locks)
        self._busy_until_s[lock.mac] = now_s + _REST_S
        return lock

    def _is_linked(self, lock: Board) -> bool:
        return any(each.record.peripheral == lock.mac for each in self.bench.site.radio.air.links)

    async def _asked(self, happening: Happening, op: str, args: dict | None = None, **more) -> None:
        """Ask, and note what came of it; the lock rests from then on."""
        lock, ident = happening.lock, "house-%d" % len(self.found.happened)
        self.found.happened.append(happening)
        began_s = time.monotonic()
        self._busy_until_s[lock.mac] = float("inf")
        reply = await self.bench.ask(op, args, lock, id=ident, **more)
        happening.took_s, happening.code = time.monotonic() - began_s, reply["code"]
        self._busy_until_s[lock.mac] = time.monotonic() + _REST_S
        happening.answers = len(self.bench.results(ident, lock))

    async def _unlock(self) -> None:
        lock = self._choose()
        happening = Happening(lock, "unlock", time.time(), not self._is_linked(lock))
        await self._asked(happening, "unlock", exp=int(self.bench.site.now()) + _EXP_S)

    async def _job(self) -> None:
        lock = self._choose()
        number = self._numbers[lock.mac] = self._numbers.get(lock.mac, 0) + 1
        code = "%d" % (700000 + number // 2)
        op = "passcode_add" if number % 2 == 0 else "passcode_delete"
        await self._asked(Happening(lock, "job", time.time()), op, {"code": code})

    async def _keypad(self) -> None:
        lock = self._choose()
        self.found.happened.append(Happening(lock, "keypad", time.time()))
        await lock.panel({"do": "keys", "digits": _CODE + "#"})

    async def _repeat(self, what, count: int, first_s: float) -> None:
        """Begin `what` so often, at about equal distances, whether or not the one before has ended."""
        await asyncio.sleep(first_s)
        running = []
        for _ in range(count):
            pause = asyncio.create_task(asyncio.sleep(_EVERY_S * self._draw.uniform(0.5, 1.5)))
            running.append(asyncio.create_task(what()))
            await pause
        await asyncio.gather(*running)

    async def go(self, count: int) -> Found:
        """So many unlocks, jobs and entries."""
        bench, found = self.bench, self.found
        pids = [board.pid for board in bench.site.boards]
        began_s, before = time.monotonic(), Load.now(pids)
        await asyncio.gather(
            self._repeat(self._unlock, count, 0.0),
            self._repeat(self._job, count, _EVERY_S / 3),
            self._repeat(self._keypad, count, 2 * _EVERY_S / 3),
        )
        await asyncio.sleep(_QUIET_S)
        await bench.until_linkless()
        ran_s, after = time.monotonic() - began_s, Load.now(pids)
        found.load = "cores used: site %.2f, %d boards %.2f; ready without a core %.0f %% of the time" % (
            (after.own_s - before.own_s) / ran_s,
            len(pids),
            (after.boards_s - before.boards_s) / ran_s,
            100 * (after.waited_s - before.waited_s) / ran_s,
        )
        self._judge()
        return found

    def _judge(self) -> None:
        bench, found = self.bench, self.found
        told = 0
        for lock in bench.site.locks:
            links = bench.site.radio.links(lock.mac, self._after)
            found.links[lock.mac] = sum(  # not the attempts that failed
                each.central == bench.gateway.mac and each.reason != _FAILED for each in links
            )
            mine = sorted((each for each in found.happened if each.lock is lock), key=lambda each: each.at_s)
            for at, each in enumerate(mine):
                until_s = mine[at + 1].at_s if at + 1 < len(mine) else float("inf")
                opened = sum(move.after == "unlocked" and each.at_s <= move.t < until_s for move in lock.movements)
                found.doubled += opened > 1 or (each.what == "job" and opened > 0)
                found.false_ok += each.what == "unlock" and each.code == "ok" and not opened
                found.unanswered += each.what != "keypad" and each.answers != 1
            told += len(
                {
                    each["rec"]
                    for each in bench.records(lock)
                    if (each["event"], each["method"]) == ("unlock", "passcode")
                }
            )
        found.records = len(found.of("keypad")), told


def site_of(profile: str, locks: int, seed: int) -> dict:
    """What `Bench` takes."""
    spec: dict = {"profile": REAL if profile == REAL else HOME, "seed": seed, "locks": locks}
    if profile == MIX:
        spec["lock_plans"] = [Plan(profile=REAL) if number % 2 else Plan() for number in range(locks)]
    return spec


async def measure(profile: str, count: int, locks: int, seed: int) -> Found:
    """One house."""
    with tempfile.TemporaryDirectory() as folder:
        async with Bench(Path(folder), **site_of(profile, locks, seed)) as bench:
            bench.mqtt.is_recorder = True
            house = House(bench, seed)
            await house.prepare()
            return await house.go(count)


def table(profiles: tuple[str, ...], count: int, locks: int, seed: int) -> Table:
    """One row for each house, and for each kind of locks in a mixed one."""
    made = Table(
        "house", "cold unlocks", "p50 s", "p95 s", "worst s", "other codes", "longest job s", "links beyond",
        "doubled", "false ok", "unanswered", "records",
    )  # fmt: skip
    made.title = "%d locks, %d unlocks, jobs and entries each" % (locks, count)
    loads = []
    for profile in profiles:
        found = run(measure(profile, count, locks, seed))
        loads.append("%s: %s" % (profile, found.load))
        ours = {each.lock.mac for each in found.happened if profile == HOME}
        kinds: list[tuple[str, set[str] | None]] = [(profile, None)]
        if profile == MIX:
            macs = sorted(found.links)
            ours = set(macs[::2])
            kinds += [("mix: own", ours), ("mix: real", set(macs) - ours)]
        for name, chosen in kinds:
            took_s = found.cold(chosen)
            cells = [
                name,
                str(len(took_s)),
                *("%.2f" % each for each in (p50(took_s), p95(took_s), max(took_s or [0]))),
            ]
            if chosen is None:
                others = [each.code for each in found.happened if each.code not in ("", "ok")]
                cells += [
                    ", ".join(sorted(set(others))) + " %d" % len(others) if others else "-",
                    "%.1f" % max(each.took_s for each in found.of("job")),
                    "%+d" % found.excess(),
                    *(str(each) for each in (found.doubled, found.false_ok, found.unanswered)),
                    "%d of %d" % found.records[::-1],
                ]
            made.add_row(*cells)
    made.caption = "\n".join([conditions(seed, count), *loads])
    return made


def main() -> None:
    """Entry point."""
    options = parser(__doc__ or "", 60)
    options.add_argument("--profile", choices=(HOME, REAL, MIX), action="append", help="which house (default: all)")
    options.add_argument("--locks", type=int, default=16)
    chosen = options.parse_args()
    show(table(tuple(chosen.profile or (HOME, REAL, MIX)), chosen.n, chosen.locks, chosen.seed))


if __name__ == "__main__":
    main()
