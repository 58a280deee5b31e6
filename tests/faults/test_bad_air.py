"""BAD: cold unlocks where half of the attempts to connect fail and a fifth of all packets is lost.

What happened to the bolt is told by the mechanics, when it is due by the command's own `exp`.
"""

import asyncio
import math

import pytest

from host_tools.sim.air.air import PROFILES
from tests.faults.rows import Row
from tests.system.bench import Bench

_EXPIRY_S = 10
_WANTED_PCT = 97
_SETTINGS = {"linger_ms": 300}  # the next unlock is a cold one sooner


def wilson(ok: int, n: int, z: float = 1.96) -> tuple[float, float]:
    """The 95 % interval of a rate, in per cent (Wilson)."""
    rate = ok / n
    middle = rate + z * z / (2 * n)
    spread = z * math.sqrt(rate * (1 - rate) / n + z * z / (4 * n * n))
    return tuple(100 * (middle + sign * spread) / (1 + z * z / n) for sign in (-1, 1))  # type: ignore[return-value]


def test_wilson_interval_of_known_rates() -> None:
    assert [round(each, 1) for each in wilson(300, 300)] == [98.7, 100.0]
    assert [round(each, 1) for each in wilson(81, 263)] == [25.5, 36.6]


async def _one(bench: Bench, row: Row, number: int, took_ms: list[int]) -> bool:
    """One unlock from the command to a locked bolt without a link; True when it was answered ok."""
    await bench.until_linkless()
    before = len(bench.lock.movements)
    expires_s = int(bench.site.now()) + _EXPIRY_S
    ident = "bad-%d" % number
    result = await bench.ask("unlock", id=ident, exp=expires_s)
    # an unlock that is still on its way moves the bolt now, and the lock locks again a second later
    await asyncio.sleep(1.0)
    await bench.until(lambda: bench.lock.bolt == "locked", "auto-lock")
    await bench.until_linkless()
    moves = bench.lock.movements[before:]
    opened = [move for move in moves if move.after == "unlocked"]
    is_ok = result["code"] == "ok"
    row.check(len(bench.results(ident)) == 1, "%s was answered %d times" % (ident, len(bench.results(ident))))
    row.check(len(opened) <= 1, "%s opened %d times" % (ident, len(opened)))
    row.check(all(move.t <= expires_s for move in opened), "%s opened after its exp" % ident)
    if is_ok:
        row.check(opened, "%s is ok and did not open" % ident)
        took_ms.append(result["ms"])
    elif result["code"] != "outcome_unknown":
        row.check(not opened, "%s opened and was answered %s" % (ident, result["code"]))
    return is_ok


@pytest.mark.row("BAD", "cold unlocks on a bad air: answered once, never twice, never late, nearly all done")
def test_unlocks_on_a_bad_air(tmp_path, row: Row) -> None:
    async def story() -> None:
        async with Bench(tmp_path, profile="home", seed=row.seed, gateway_settings=_SETTINGS) as bench:
            await bench.adopt()
            assert (await bench.ask("autolock_set", {"seconds": 1}))["ok"]
            bench.site.radio.air.change_profile(PROFILES["bad"])
            n = row.count(4, 300)
            ok = 0
            took_ms: list[int] = []
            for number in range(n):
                ok += await _one(bench, row, number, took_ms)
            took_ms.sort()
            low, high = wilson(ok, n)
            row.figure("ok", "%d/%d = %.1f %% (%.1f-%.1f)" % (ok, n, 100 * ok / n, low, high))
            if took_ms:
                at = [took_ms[min(len(took_ms) - 1, len(took_ms) * part // 100)] for part in (50, 95)]
                row.figure("p50/p95/worst ms", "%d/%d/%d" % (*at, took_ms[-1]))
            row.check(100 * ok >= _WANTED_PCT * n, "%d of %d were ok" % (ok, n))

    asyncio.run(story())
