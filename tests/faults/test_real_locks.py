"""REAL: cold unlocks of other makers' locks, and doors that are left open until the lock falls dormant.

What happened to the bolt is told by the mechanics; what the gateway told, by the broker. The full form has the counts
and limits of budgets.md 3; the short one only asks for what holds of a single unlock.
"""

import asyncio
import collections
import random
from pathlib import Path

import pytest

from bench import real as unlocks
from bench.measure import p50
from host_tools.sim.air import real
from tests.faults.rows import FULL, Row
from tests.system.bench import Bench

_P50_S = 1.3
_SOON = 0.99
# Of one leap: longer ones than half an hour would step over what the gateway and the lock do in between
_LEAP_S = 1800


async def _unlocks(folder: Path, row: Row, n: int, variants: tuple[str, ...]) -> unlocks.Tally:
    spec: dict = {"profile": "real", "variants": variants, "seed": row.seed}
    async with Bench(folder, gateway_settings=unlocks.SETTINGS, **spec) as bench:
        (client,) = await unlocks.prepare(bench, has_client=False)
        tally = unlocks.Tally()
        draw = random.Random(row.seed)
        for _ in range(n):
            await unlocks.unlock(bench, client, tally, draw)
        tally.unanswered = client.unanswered()
    names = "n", "in 10 s", "in 30 s", "p50 ms", "p95 ms", "worst ms", "doubled", "false ok", "late", "unanswered"
    for name, value in zip(names, tally.cells(), strict=True):
        row.figure(name, value)
    row.figure("codes", dict(tally.codes))
    row.tried(n)
    for name in ("doubled", "false_ok", "late", "unanswered"):
        row.check(not getattr(tally, name), "%d %s" % (getattr(tally, name), name))
    return tally


@pytest.mark.row("REAL-1", "cold unlocks of locks that advertise every 0.9 s, half of whose connects fail")
def test_steady_locks_open_in_time(tmp_path, row: Row) -> None:
    tally = asyncio.run(_unlocks(tmp_path, row, row.count(4, 300), ()))
    row.check(tally.codes["ok"] == tally.n, "not all opened in time: %s" % dict(tally.codes))
    if FULL:
        row.check(tally.share(unlocks.SOON_S) >= _SOON, "%.1f %% within 10 s" % (100 * tally.share(unlocks.SOON_S)))
        row.check(p50(tally.took_s) <= _P50_S, "p50 %.2f s" % p50(tally.took_s))


# (variants, how many unlocks in the short form, in the full one)
_VARIANTS = (
    ((real.LOST_ANSWERS, real.CONSTANT_STATUS), 3, 100),
    ((real.LOST_ANSWERS,), 0, 100),
    ((real.CONSTANT_STATUS,), 0, 100),
    ((real.BURSTS,), 0, 40),
)


@pytest.mark.parametrize("variants, short, full", _VARIANTS, ids=["+".join(each[0]) for each in _VARIANTS])
@pytest.mark.row("REAL-2", "variants: nothing doubled, nothing false, everything answered")
def test_variants_double_nothing_and_tell_nothing_false(
    tmp_path, row: Row, variants: tuple[str, ...], short: int, full: int
) -> None:
    n = row.count(short, full)
    if not n:
        pytest.skip("in the full form only")
    row.figure("variants", "+".join(variants))
    asyncio.run(_unlocks(tmp_path, row, n, variants))


@pytest.mark.parametrize(
    "variants", [(), (real.CONSTANT_STATUS,), (real.BURSTS,)], ids=lambda each: "+".join(each) or "steady"
)
@pytest.mark.row("REAL-3", "a door left open while its lock is dormant is never told locked")
def test_a_dormant_lock_is_not_locked(tmp_path, row: Row, variants: tuple[str, ...]) -> None:
    if not FULL and variants:
        pytest.skip("in the full form only")

    async def story() -> None:
        spec: dict = {"profile": "real", "variants": variants, "seed": row.seed}
        async with Bench(tmp_path, **spec) as bench:
            with unlocks.good_air(bench):
                await unlocks.adopt(bench, bench.lock, 0)
                assert (await bench.ask("unlock", exp=int(bench.site.now()) + unlocks.GIVE_UP_S))["ok"]
            assert bench.lock.bolt == "unlocked"
            seen = len(bench.mqtt.messages)
            sent = bench.site.radio.adverts(bench.lock.mac)
            hours = row.count(2, 24)
            for _ in range(round(hours * 3600 / _LEAP_S)):
                await bench.until_linkless()
                await bench.leap(_LEAP_S)
                heard = bench.site.radio.adverts(bench.lock.mac) + 3
                await bench.until(lambda heard=heard: bench.site.radio.adverts(bench.lock.mac) >= heard, "advertised")
            assert bench.lock.bolt == "unlocked" and bench.site.radio.adverts(bench.lock.mac) > sent
            told = collections.Counter(
                str(message.value.get("lock"))
                for message in bench.mqtt.messages[seen:]
                if message.topic == bench.topic("state")
            )
            row.figure("told", dict(told))
            row.figure("hours", hours)
            row.check(not told["LOCKED"], "told LOCKED %d times" % told["LOCKED"])

    asyncio.run(story())
