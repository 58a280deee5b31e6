"""Cold unlocks of locks of other makers (profile `real`), beside `ttlock-ble` on the same air. See `bench.unlock`.

Owns one judged unlock, which `tests/faults/test_real_locks.py` uses too. What the bolt did is told by the mechanics.
Each command has 30 s. Ours is answered over MQTT. The client connects again for as long as its 30 s last, and does not
repeat an unlock that it has sent. Both locks lock by themselves a second after they were opened, so that nothing but
the unlock is on the air, and a while drawn from the seed passes before each.
"""

import asyncio
import collections
import contextlib
import random
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from rich.table import Table
from ttlock_ble import TTLockClient, TTLockError, VirtualKey

from bench.measure import conditions, run, spread
from firmware.lib import opcodes
from firmware.lib.messages import settings_client
from host_tools.owner import bundles
from host_tools.owner.keybook import Entry
from host_tools.sim.air.profiles import PROFILES
from host_tools.sim.board.board import Board
from tests.system.bench import Bench

GIVE_UP_S = 30
SOON_S = 10
SETTINGS = {"linger_ms": 300}  # the next unlock is a cold one sooner
_RELOCK_S = 1
_SPREAD_S = 2.0  # more than two advertisements: commands come at any moment between them
_PAUSE_S = 0.1  # of the client between two attempts to connect
_FAULTS = TTLockError, TimeoutError, OSError, ValueError  # the last for frames that it does not decrypt


@dataclass
class Tally:
    """What became of the unlocks. Times in seconds, of those that succeeded."""

    n: int = 0
    took_s: list[float] = field(default_factory=list)
    codes: collections.Counter = field(default_factory=collections.Counter)
    doubled: int = 0  # the bolt opened more than once
    false_ok: int = 0  # told ok, and the bolt had not opened
    late: int = 0  # the bolt opened after the time that the command had
    unanswered: int = 0  # not answered exactly once

    def judge(self, code: str, took_s: float, opened_after_s: Sequence[float]) -> None:
        """One unlock: its result, and when after the command the bolt opened."""
        self.n += 1
        self.codes[code] += 1
        if code == "ok":
            self.took_s.append(took_s)
            self.false_ok += not any(moment <= took_s for moment in opened_after_s)
        self.doubled += len(opened_after_s) > 1
        self.late += any(moment > GIVE_UP_S for moment in opened_after_s)

    def share(self, seconds: float) -> float:
        """Which part was told ok within so long, 0 to 1."""
        return sum(took_s <= seconds for took_s in self.took_s) / self.n if self.n else 0.0

    def cells(self) -> list[str]:
        """n, shares, times, faults."""
        shares = ["%.1f %%" % (100 * self.share(seconds)) for seconds in (SOON_S, GIVE_UP_S)]
        faults = [self.doubled, self.false_ok, self.late, self.unanswered]
        return [str(self.n), *shares, *spread(self.took_s), *(str(each) for each in faults)]


class Ours:
    """Commands over MQTT to the first lock."""

    name = "Gatehouse"

    def __init__(self, bench: Bench) -> None:
        self._bench = bench
        self.lock = bench.lock
        self._asked: list[str] = []

    async def unlock(self) -> str:
        """The code of the result."""
        self._asked.append("real-%d" % len(self._asked))
        expires_s = int(self._bench.site.now()) + GIVE_UP_S
        return (await self._bench.ask("unlock", id=self._asked[-1], exp=expires_s))["code"]

    def unanswered(self) -> int:
        """How many commands were not answered exactly once so far."""
        return sum(len(self._bench.results(ident)) != 1 for ident in self._asked)


class Theirs:
    """`ttlock-ble` and the second lock."""

    name = "ttlock-ble"

    def __init__(self, lock: Board, entry: Entry) -> None:
        self.lock = lock
        self._key = VirtualKey.from_dict(bundles.virtual_key(entry))

    async def unlock(self) -> str:
        """ok, not_reached or failed."""
        client = TTLockClient(self._key, keep_alive_after_command=0)
        is_linked = False
        try:
            async with asyncio.timeout(GIVE_UP_S):
                while not is_linked:
                    try:
                        await client.connect()
                        is_linked = True
                    except _FAULTS:
                        await client.disconnect()
                        await asyncio.sleep(_PAUSE_S)
                await client.unlock()
                return "ok"
        except _FAULTS:
            return "failed" if is_linked else "not_reached"
        finally:
            await client.disconnect()

    @staticmethod
    def unanswered() -> int:
        """Each call has returned."""
        return 0


async def until_cold(bench: Bench, lock: Board) -> None:
    """Wait until the lock has no link and is locked."""

    def is_cold() -> bool:
        links = bench.site.radio.air.links
        return lock.bolt == "locked" and all(each.record.peripheral != lock.mac for each in links)

    await bench.until(is_cold, "%s is locked and has no link" % lock.name)


async def unlock(bench: Bench, client: Ours | Theirs, tally: Tally, draw: random.Random) -> None:
    """One unlock, judged when it cannot move the bolt any more."""
    lock = client.lock
    await until_cold(bench, lock)
    await asyncio.sleep(draw.uniform(0, _SPREAD_S))
    await until_cold(bench, lock)  # the gateway may have had work of its own
    before = len(lock.movements)
    began_s, began_unix_s = time.monotonic(), time.time()
    code = await client.unlock()
    took_s = time.monotonic() - began_s
    await asyncio.sleep(_RELOCK_S)  # an unlock that is still on its way moves the bolt now
    await until_cold(bench, lock)
    opened = [move.t - began_unix_s for move in lock.movements[before:] if move.after == "unlocked"]
    tally.judge(code, took_s, opened)


@contextlib.contextmanager
def good_air(bench: Bench) -> Iterator[None]:
    """Nothing is lost and no attempt fails meanwhile: for what is not measured."""
    air = bench.site.radio.air
    profile, manners = air.profile, air.manners
    air.manners = {}
    air.change_profile(PROFILES["ideal"])
    yield
    air.manners = manners
    air.change_profile(profile)


async def adopt(bench: Bench, lock: Board, relock_s: int) -> Entry:
    """Pair a lock and let it lock by itself after so long, 0 for never; the gateway is given the keys of the first."""
    entry = await bench.pair(lock)
    async with bench.beside(entry) as link:
        await link.exchange(opcodes.AUTO_LOCK, settings_client.auto_lock_set(relock_s))
    if lock is bench.lock:
        await bench.hand_over(entry)
    return entry


async def prepare(bench: Bench, has_client: bool = True) -> list[Ours | Theirs]:
    """Adopt the locks, as far from the gateway as from the client."""
    radio = bench.site.radio
    radio.place(bench.gateway.mac, 0.0, 0.0)
    clients: list[Ours | Theirs] = []
    with good_air(bench):
        for lock in bench.site.locks[: 2 if has_client else 1]:
            radio.place(lock.mac, 2.0, 0.0)
            entry = await adopt(bench, lock, _RELOCK_S)
            clients.append(Ours(bench) if lock is bench.lock else Theirs(lock, entry))
    return clients


async def measure(n: int, seed: int, variants: tuple[str, ...] = ()) -> dict[str, Tally]:
    """A Tally of each client."""
    with tempfile.TemporaryDirectory() as folder:
        spec: dict = {"profile": "real", "variants": variants, "seed": seed, "locks": 2}
        async with Bench(Path(folder), gateway_settings=SETTINGS, **spec) as bench:
            clients = await prepare(bench)
            tallies = {client.name: Tally() for client in clients}
            draw = random.Random(seed)
            for _ in range(n):
                for client in clients:
                    await unlock(bench, client, tallies[client.name], draw)
            for client in clients:
                tallies[client.name].unanswered = client.unanswered()
            return tallies


def table(n: int, seed: int, variants: tuple[str, ...] = ()) -> Table:
    """The table, one row for each client, and what was answered if it was not ok."""
    columns = "client", "n", "in 10 s", "in 30 s", "p50 ms", "p95 ms", "worst ms"
    made = Table(*columns, "doubled", "false ok", "late", "unanswered", "other codes")
    made.title = "cold unlock of a real lock, 30 s for each%s" % (": " + ", ".join(variants) if variants else "")
    for name, tally in run(measure(n, seed, variants)).items():
        others = ", ".join("%s %d" % pair for pair in sorted(tally.codes.items()) if pair[0] != "ok")
        made.add_row(name, *tally.cells(), others or "-")
    made.caption = conditions(seed, n)
    return made
