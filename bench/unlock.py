"""How long an unlock takes, cold and warm, on each air, beside the client `ttlock-ble` on the same air in the same run.

Ours: from the MQTT command to its result, over broker, gateway and lock. Theirs: the program `ttlock-ble`, unmodified,
from `connect()` to the end of `unlock()`; it has no broker and no gateway on its way. Cold: no link is up, the lock
advertises (every 400 ms while it is awake), and a while drawn from the seed passes before each. Warm: the link of the
command before is still up, and nothing goes on. Two locks stand equally far from both, one for each client, so that
neither waits for the other's link; cold unlocks alternate, one of ours and one of theirs. Both times contain the travel
of the bolt.

The profile `real` asks other questions and has a table of its own, see `bench.real`.

`--against DIR` compares with another checkout of the project in the same run, the client left out: each has a site of
its own with the same seed, and they take turns, so that what else the machine does falls on both.
"""

import asyncio
import json
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from rich.table import Table
from ttlock_ble import TTLockClient, TTLockError, VirtualKey

from bench import real
from bench.measure import PROFILES, conditions, p50, parser, run, show, spread
from firmware.lib import opcodes
from firmware.lib.messages import settings_client
from host_tools.owner import bundles
from host_tools.owner.keybook import Entry
from host_tools.sim.air.real import PROFILE, VARIANTS
from host_tools.sim.ble.radio import Radio
from host_tools.sim.board.board import Board
from tests.system.bench import Bench

_LINGER_MS = 1500  # the gateway drops its link soon, so that the next unlock is cold
_SETTLE_S = 0.8  # before a warm one: the record of the command before has been fetched, the link is still up
_GIVE_UP_S = 15
_FAULTS = TTLockError, TimeoutError, OSError, ValueError  # the last for frames that it does not decrypt
OURS, THEIRS = "Gatehouse", "ttlock-ble"
OLD, NEW = "old", "new"
_ROOT = Path(__file__).resolve().parent.parent
_WORKER = _ROOT / "bench" / "programs" / "unlock_worker.py"
_BATCH = 5
KINDS = COLD, WARM = "cold", "warm"


@dataclass
class Series:
    """Times and packets of those that succeeded."""

    took_s: list[float] = field(default_factory=list)
    packets: list[int] = field(default_factory=list)
    failed: int = 0

    def cells(self) -> list[str]:
        """n, failed, p50, p95, worst, packets."""
        number = str(len(self.took_s) + self.failed)
        packets = "%d" % p50(self.packets) if self.packets else "-"
        return [number, str(self.failed), *spread(self.took_s), packets]


def _packets(radio: Radio, lock: Board, after: int) -> int:
    """Data packets delivered to and by `lock` on all links since link number `after`."""
    return sum(sum(each.packets.values()) for each in radio.links(lock.mac, after))


class Ours:
    """Commands over MQTT to the first lock."""

    def __init__(self, bench: Bench) -> None:
        self._bench = bench

    async def _ask(self, op: str) -> bool:
        return (await self._bench.ask(op, exp=int(self._bench.site.now()) + _GIVE_UP_S))["ok"]

    async def unlock(self, series: Series, is_cold: bool) -> None:
        """One measured unlock, and the bolt back."""
        radio, lock = self._bench.site.radio, self._bench.lock
        number = radio.last_link - (0 if is_cold else 1)
        before = _packets(radio, lock, number)
        began_s = time.monotonic()
        done = await self._ask("unlock")
        took_s, packets = time.monotonic() - began_s, _packets(radio, lock, number) - before
        if done:
            series.took_s.append(took_s)
            series.packets.append(packets)
        else:
            series.failed += 1
        while not await self._ask("lock"):
            pass

    async def rest(self) -> None:
        """Nothing: the gateway ends its link by itself."""


class Theirs:
    """`ttlock-ble` and the second lock."""

    def __init__(self, bench: Bench, entry: Entry) -> None:
        self._bench = bench
        self._lock = bench.site.locks[1]
        self._key = VirtualKey.from_dict(bundles.virtual_key(entry))
        self._client: TTLockClient | None = None

    async def unlock(self, series: Series, is_cold: bool) -> None:
        """One measured unlock, and the bolt back."""
        radio = self._bench.site.radio
        number = radio.last_link - (0 if is_cold else 1)
        before = _packets(radio, self._lock, number)
        began_s = time.monotonic()
        try:
            async with asyncio.timeout(_GIVE_UP_S):
                client = await self._connected()
                await client.unlock()
        except _FAULTS as err:
            series.failed += 1
            print("ttlock-ble: %s: %s" % (type(err).__name__, err))
            await self.rest()
        else:
            series.took_s.append(time.monotonic() - began_s)
            series.packets.append(_packets(radio, self._lock, number) - before)
        while self._lock.bolt != "locked":
            try:
                async with asyncio.timeout(_GIVE_UP_S):
                    await (await self._connected()).lock()
                    await self._bench.until(lambda: self._lock.bolt == "locked", "locked", 2)
            except (*_FAULTS, AssertionError):
                await self.rest()

    async def _connected(self) -> TTLockClient:
        if self._client is None or not self._client.is_connected:
            self._client = TTLockClient(self._key, keep_alive_after_command=0)
            await self._client.connect()
        return self._client

    async def rest(self) -> None:
        """Drop the link."""
        client, self._client = self._client, None
        if client is not None:
            await client.disconnect()


async def _both(bench: Bench, clients: dict, number: int, seed: int) -> dict[tuple[str, str], Series]:
    found = {(name, kind): Series() for kind in KINDS for name in clients}
    draw = random.Random(seed)
    for _ in range(number):
        for name, client in clients.items():
            await client.rest()
            await bench.until_linkless()
            await asyncio.sleep(draw.random())
            await client.unlock(found[name, COLD], is_cold=True)
            await client.rest()
    for name, client in clients.items():
        await bench.until_linkless()
        unmeasured = Series()
        await client.unlock(unmeasured, is_cold=True)
        for _ in range(number):
            await asyncio.sleep(_SETTLE_S)
            if not bench.site.radio.links_up():
                await client.unlock(unmeasured, is_cold=True)
                await asyncio.sleep(_SETTLE_S)
            await client.unlock(found[name, WARM], is_cold=False)
        await client.rest()
    return found


async def measure(profile: str, n: int, seed: int) -> tuple[dict[tuple[str, str], Series], float]:
    """Series by (client, cold or warm), and how long the bolt travels."""
    with tempfile.TemporaryDirectory() as folder:
        settings = {"linger_ms": _LINGER_MS}
        async with Bench(Path(folder), profile=profile, seed=seed, locks=2, gateway_settings=settings) as bench:
            for lock in bench.site.locks:
                bench.site.radio.place(lock.mac, 2.0, 0.0)
            bench.site.radio.place(bench.gateway.mac, 0.0, 0.0)
            await bench.adopt()
            entry = await bench.pair(bench.site.locks[1])
            await bench.ask("autolock_set", {"seconds": 0})
            async with bench.beside(entry) as link:
                await link.exchange(opcodes.AUTO_LOCK, settings_client.auto_lock_set(0))
            found = await _both(bench, {OURS: Ours(bench), THEIRS: Theirs(bench, entry)}, n, seed)
            return found, bench.site.spec.bolt_travel_s


def table(n: int, seed: int, profiles: tuple[str, ...] = PROFILES) -> Table:
    """The table of all profiles."""
    made = Table("air", "unlock", "client", "n", "failed", "p50 ms", "p95 ms", "worst ms", "packets", "ratio p50")
    made.title = "unlock, from command to result"
    for profile in profiles:
        found, travel_s = run(measure(profile, n, seed))
        for kind in KINDS:
            ratio = p50(found[OURS, kind].took_s) / p50(found[THEIRS, kind].took_s)
            made.add_row(profile, kind, OURS, *found[OURS, kind].cells(), "%.2f" % ratio)
            made.add_row("", "", THEIRS, *found[THEIRS, kind].cells())
        made.caption = conditions(seed, n, **{"bolt travel": "%g s" % travel_s})
    return made


class Checkout:
    """A working copy of the project, this one or another, with a site of its own; see programs/unlock_worker.py."""

    def __init__(self, root: Path, profile: str, seed: int) -> None:
        own = root / ".venv" / "bin" / "python"
        command = [str(own) if own.exists() else sys.executable, str(_WORKER), profile, str(seed)]
        self._log = tempfile.TemporaryFile("w+")  # noqa: SIM115, closed in close()
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._log, text=True, cwd=root
        )

    def unlock(self, kind: str, series: Series) -> None:
        """One unlock, cold or warm."""
        assert self._process.stdin and self._process.stdout
        try:
            self._process.stdin.write(kind + "\n")
            self._process.stdin.flush()
            line = self._process.stdout.readline()
        except BrokenPipeError:
            line = ""
        if not line:
            self._log.seek(0)
            raise SystemExit("the other end has died:\n" + self._log.read())
        told = json.loads(line)
        if told["took_s"] is None:
            series.failed += 1
            return
        series.took_s.append(told["took_s"])
        series.packets.append(told["packets"])

    def close(self) -> None:
        """End its site."""
        assert self._process.stdin
        self._process.stdin.close()
        self._process.wait(60)
        self._log.close()


def compare(other: Path, profile: str, n: int, seed: int) -> dict[tuple[str, str], Series]:
    """Series by (checkout, cold or warm) of the checkout `other` and of this one, taken in turns."""
    sides = {OLD: Checkout(other.resolve(), profile, seed), NEW: Checkout(_ROOT, profile, seed)}
    found = {(name, kind): Series() for kind in KINDS for name in sides}
    try:
        for _ in range(n):
            for name, side in sides.items():
                side.unlock(COLD, found[name, COLD])
        for start in range(0, n, _BATCH):
            for name, side in sides.items():  # in batches: while one waits for the other its link ends
                for _ in range(min(_BATCH, n - start)):
                    side.unlock(WARM, found[name, WARM])
    finally:
        for side in sides.values():
            side.close()
    return found


def comparison(other: Path, n: int, seed: int, profiles: tuple[str, ...]) -> Table:
    """The table of `--against`."""
    made = Table("air", "unlock", "tree", "n", "failed", "p50 ms", "p95 ms", "worst ms", "packets", "new / old: p50")
    made.add_column("packets")
    made.title = "unlock, from command to result, against %s" % other
    for profile in profiles:
        found = compare(other, profile, n, seed)
        for kind in KINDS:
            old, new = found[OLD, kind], found[NEW, kind]
            made.add_row(profile, kind, OLD, *old.cells())
            ratios = ["%.2f" % (p50(mine) / p50(its)) for mine, its in _pairs(new, old)]
            made.add_row("", "", NEW, *new.cells(), *ratios)
    made.caption = conditions(seed, n)
    return made


def _pairs(new: Series, old: Series) -> Iterator[tuple[Sequence[float], Sequence[float]]]:
    yield new.took_s, old.took_s
    yield new.packets, old.packets


def main() -> None:
    """Entry point."""
    options = parser(__doc__ or "", 15)
    profiles = (*PROFILES, PROFILE)
    options.add_argument("--profile", choices=profiles, action="append", help="air profile (default: all but real)")
    options.add_argument("--variant", choices=VARIANTS, action="append", default=[], help="of the profile real")
    options.add_argument("--against", type=Path, metavar="DIR", help="another checkout of the project, set up")
    chosen = options.parse_args()
    if chosen.variant and PROFILE not in (chosen.profile or ()):
        options.error("--variant belongs to --profile real")
    if chosen.against:
        show(comparison(chosen.against, chosen.n, chosen.seed, tuple(chosen.profile or PROFILES)))
        return
    usual = tuple(each for each in chosen.profile or PROFILES if each != PROFILE)
    if usual:
        show(table(chosen.n, chosen.seed, usual))
    if PROFILE in (chosen.profile or ()):
        show(real.table(chosen.n, chosen.seed, tuple(chosen.variant)))


if __name__ == "__main__":
    main()
