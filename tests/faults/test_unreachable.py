"""R-02: the lock sleeps, is out of range, or falls silent once connected. Waits end, others are served meanwhile."""

import asyncio
import math
import random

import pytest

from host_tools.sim.air.faults import CENTRAL, PERIPHERAL
from tests.faults.posts import Post
from tests.faults.rows import Row
from tests.system.bench import Bench

EXPIRY_S = 2.0
SLACK_S = 10.0  # a connection attempt ends by itself; the rest is for a machine that is busy
OTHER_S = 20.0  # one attempt for the absent lock, and then the other's own; a request's own time is three times that
GAPS_S = 1.0, 600.0
REFUSALS = ("expired", "not_near", "link", "link_timeout")
KINDS = ("asleep", "out of range", "silent once connected")


class Duty:
    """Looks how much of the time a gateway scans."""

    def __init__(self, bench: Bench) -> None:
        self._chips = [chip for chip in bench.site.radio.air.controllers if chip.mac == bench.gateway.mac]
        self._looks = self._scans = 0
        self._task = asyncio.create_task(self._look())

    async def _look(self) -> None:
        while True:
            for chip in self._chips:
                self._looks += 1
                self._scans += bool(chip.le_scan_enable and not chip.pending_le_connection and chip.is_listening())
            await asyncio.sleep(0.0173)

    def stop(self) -> float:
        self._task.cancel()
        return self._scans / max(1, self._looks)


class Absent:
    """One lock that cannot be reached, another that can, and one gateway for both."""

    def __init__(self, bench: Bench, absent: Post, other: Post, row: Row) -> None:
        self.bench = bench
        self.absent = absent
        self.other = other
        self.row = row
        self.waits_s: list[float] = []
        self.counts = {"expired": 0, "executed": 0, "unknown": 0}

    def _hurt(self, kind: str, draw: random.Random) -> None:
        radio, lock = self.bench.site.radio, self.absent.lock
        if kind == "asleep":
            radio.faults.sleep(lock.mac, math.exp(draw.uniform(*map(math.log, GAPS_S))))
        elif kind == "out of range":
            radio.place(lock.mac, 5000, 0)
        else:
            radio.faults.cut(lock.mac, draw.choice((CENTRAL, PERIPHERAL)), draw.randint(1, 4), bool(draw.randint(0, 1)))

    def _heal(self) -> None:
        self.bench.site.radio.faults.lift()
        self.bench.site.radio.place(self.absent.lock.mac, 2, 0)

    async def attempt(self, kind: str, draw: random.Random) -> None:
        """Hurt, ask both, look, heal."""
        absent, other = self.absent, self.other
        absent.lock.mechanics.turn("locked")
        other.lock.mechanics.turn("locked")
        await absent.until_quiet()
        await other.until_quiet()
        moved = len(absent.lock.movements)
        if kind == "asleep":  # it falls asleep while linked, so that the gateway has not heard it since
            assert (await absent.ask("state"))["ok"]
        self._hurt(kind, draw)
        await absent.until_quiet(0.1)
        both = asyncio.gather(self._timed(absent, exp=math.ceil(self.bench.site.now() + EXPIRY_S)), self._timed(other))
        (code, wait_s), (other_code, other_s) = await both
        moves = len(absent.lock.movements) - moved
        self._heal()
        self.waits_s.append(wait_s)
        self.counts[{"ok": "executed", "outcome_unknown": "unknown"}.get(code, "expired")] += 1
        told = "%s: %s after %.1f s, %d movements" % (kind, code, wait_s, moves)
        if code == "ok":
            self.row.check(moves == 1, told)
        elif code == "outcome_unknown":
            self.row.check(moves <= 1 and kind == KINDS[2], told)
        else:
            self.row.check(code in REFUSALS and not moves, told)
        self.row.check(wait_s <= EXPIRY_S + 1 + SLACK_S, told)
        self.row.check(
            other_code == "ok" and other_s <= OTHER_S, "the other lock: %s in %.1f s" % (other_code, other_s)
        )
        await asyncio.sleep(0.5)
        moves = len(absent.lock.movements) - moved
        self.row.check(moves <= (code in ("ok", "outcome_unknown")), "%s: it moved after its answer" % told)

    @staticmethod
    async def _timed(post: Post, **more) -> tuple[str, float]:
        """The result's code, and after how many seconds by the gateway's clock."""
        found = await post.ask("unlock", **more)
        return found["code"], found["ms"] / 1000


@pytest.mark.row("R-02", "lock asleep, out of range, or silent once connected:")
def test_waits_for_an_absent_lock_end_and_others_are_served(tmp_path, row):
    async def story():
        settings = {"linger_ms": 100}
        async with Bench(tmp_path, locks=2, profile="home", gateway_settings=settings, seed=row.seed) as bench:
            posts = [Post(bench, 0, lock) for lock in (0, 1)]
            for post in posts:
                await post.adopt()
                assert (await post.ask("autolock_set", {"seconds": 0}))["ok"]
            absent = Absent(bench, *posts, row)
            duty = Duty(bench)
            draw = random.Random(row.seed)
            for _ in range(row.count(1, 20)):
                for kind in KINDS:
                    await absent.attempt(kind, draw)
            for name, number in absent.counts.items():
                row.figure(name, number)
            row.figure("longest_wait_s", round(max(absent.waits_s), 1))
            row.figure("scan_duty_pct", round(100 * duty.stop()))

    asyncio.run(story())
