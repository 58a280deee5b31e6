"""R-03, SES-1: a stranger takes the lock's place for a client. The lock lets it go, and the owner gets his turn."""

import asyncio
import itertools
import random
import re
import statistics

import pytest

from firmware.lib import crypto, frame, opcodes
from firmware.lib.errors import FirmwareError
from host_tools.errors import HostError
from host_tools.near import lock_link, sightings
from host_tools.sim.air.squatter import Squatter
from tests.system.bench import HANG_S, Bench

EVICTED_S = 10.0  # SES-1: no knowledge of the key within 10 s of connecting
SLACK_S = 1.5  # the lock looks every 60 ms and says goodbye
OWNER_S = 12.0  # by the lock's clock, from the squatter's link to the owner's
TURNS = 3  # links that others get while the owner is there: the one there is, the one that waits, one that was faster
_LINK = re.compile(r"^ *(?P<s>[0-9.]+) I (peripheral|lock) (?P<what>connected|dropping) epoch=(?P<epoch>[0-9]+)")


def _kinds(key: bytes, draw: random.Random) -> dict[str, dict]:
    """What squatters do: arguments of `Squatter`."""
    empty = itertools.cycle([frame.encode(each, b"") for each in (opcodes.INIT, opcodes.FEATURES, opcodes.GET_CLOCK)])
    asking = (opcodes.UNLOCK, opcodes.CHECK_RANDOM, opcodes.PASSCODE, opcodes.EKEY)
    recorded = frame.encode(opcodes.STATUS, crypto.encrypt(key, b"SCIENER"))
    return {
        "silent": {},
        "empty": {"says": lambda: next(empty)},
        "garbage": {"says": lambda: frame.encode(opcodes.STATUS, draw.randbytes(16)), "every_s": 0.3},
        "partial": {"says": lambda: frame.encode(opcodes.STATUS, draw.randbytes(16))[:20], "every_s": 2.1},
        "100_per_min": {"per_min": 100},
        "changing": {"is_changing": True},
        "queries": {"says": lambda: frame.encode(draw.choice(asking), draw.randbytes(16))},
        "recorded": {"says": lambda: recorded},
    }


class _Owner:
    """A person with a phone: scans, connects, logs in, again and again until it works."""

    def __init__(self, bench: Bench, entry) -> None:
        self._bench = bench
        self._entry = entry

    async def _log_in(self) -> None:
        entry = self._entry
        while True:
            try:
                found = await sightings.scan(lambda heard: heard.mac == entry.mac, 15)
                if found is None:
                    continue
                async with lock_link.connect(found, bytes.fromhex(entry.aes), timeout_s=15) as link:
                    await link.login(entry.admin_ps, entry.unlock_key)
                    return
            except (FirmwareError, HostError):
                continue

    async def served(self) -> tuple[float, int]:
        """By the lock's clock: s from the beginning of the last link before now to that of the owner's link, and how
        many links of others were begun in between."""
        before = _begun(self._bench.lock)
        await asyncio.wait_for(self._log_in(), HANG_S)
        after = _begun(self._bench.lock)
        return after[-1] - before[-1], len(after) - len(before) - 1


def _begun(lock) -> list[float]:
    """When each link so far began, s by the lock's own clock."""
    found = [_LINK.search(line) for line in lock.lines]
    return [float(at["s"]) for at in found if at and at["what"] == "connected"]


def _stays_s(lock) -> list[float]:
    """How long each link to the lock lasted that somebody else did not end, by the lock's own clock."""
    began_s: dict[str, float] = {}
    lasted_s = []
    for line in lock.lines:
        at = _LINK.search(line)
        if at and at["what"] == "connected":
            began_s[at["epoch"]] = float(at["s"])
        elif at and at["epoch"] in began_s:
            lasted_s.append(float(at["s"]) - began_s[at["epoch"]])
    return lasted_s


@pytest.mark.row(
    "R-03", "squatters of each kind: silent, empty, garbage, partial, 100 a minute, changing, queries, recorded"
)
def test_owner_gets_past_a_squatter(tmp_path, row):
    async def story():
        async with Bench(tmp_path, gateways=0, profile="home", seed=row.seed) as bench:
            entry = await bench.pair()
            owner = _Owner(bench, entry)
            for name, kind in _kinds(bytes.fromhex(entry.aes), random.Random(row.seed)).items():
                number = row.count(1, 12)
                if row.count(name not in ("silent", "changing", "recorded"), False):
                    continue
                squatter = await Squatter(bench.site.radio.air, bench.lock.mac, **kind).start()
                served = []
                for _ in range(number):
                    links = len(_begun(bench.lock))
                    await bench.until(lambda links=links: len(_begun(bench.lock)) > links, "somebody squats")
                    served.append(await owner.served())
                await squatter.stop()
                await bench.until_linkless()
                for took_s, turns in served:
                    row.check(took_s <= OWNER_S, "%s: the owner was served after %.1f s" % (name, took_s))
                    row.check(turns <= TURNS, "%s: %d others were served first" % (name, turns))
                row.figure(name + "_p50_s", round(statistics.median(took_s for took_s, _ in served), 1))
                row.figure(name + "_max_s", round(max(took_s for took_s, _ in served), 1))
            for stay_s in _stays_s(bench.lock):
                row.check(stay_s <= EVICTED_S + SLACK_S, "a squatter stayed for %.1f s" % stay_s)

    asyncio.run(story())
