"""R-03, SES-1: a stranger takes the lock's only connection. The lock throws it out, and the owner gets his turn."""

import asyncio
import re
import statistics
import time

import pytest

from firmware.lib.errors import FirmwareError
from host_tools.errors import HostError
from host_tools.near import lock_link, sightings
from host_tools.sim.air.squatter import Squatter
from tests.system.bench import Bench

EVICTED_S = 10.0  # SES-1: no valid frame within 10 s of connecting
SLACK_S = 1.5  # the lock looks every 60 ms and says goodbye
_LINK = re.compile(r"^ *(?P<s>[0-9.]+) I (peripheral|lock) (?P<what>connected|dropping) epoch=(?P<epoch>[0-9]+)")
OWNER_MEDIAN_S = 30.0
OWNER_WORST_S = 180.0


async def _owner(bench: Bench, entry) -> float:
    """Seconds until the owner has logged in, trying as a person with a phone does."""
    began_s = time.monotonic()
    while time.monotonic() - began_s < OWNER_WORST_S:
        try:
            found = await sightings.scan(lambda heard: heard.mac == entry.mac, 15)
            if found is None:
                continue
            async with lock_link.connect(found, bytes.fromhex(entry.aes), timeout_s=15) as link:
                await link.login(entry.admin_ps, entry.unlock_key)
                return time.monotonic() - began_s
        except (FirmwareError, HostError):
            continue
    return float("inf")


def _links_s(lock) -> list[float]:
    """How long each link to the lock lasted that somebody else did not end, by the lock's own clock."""
    began_s: dict[str, float] = {}
    lasted_s = []
    for line in lock.lines:
        at = _LINK.search(line)
        if at and at["what"] == "connected":
            began_s[at["epoch"]] = float(at["s"])
        elif at:
            lasted_s.append(float(at["s"]) - began_s[at["epoch"]])
    return lasted_s


async def _tries(bench: Bench, entry, squatter: Squatter, number: int) -> list[float]:
    took_s = []
    for _ in range(number):
        await bench.until(lambda: squatter.is_connected, "somebody squats")
        took_s.append(await _owner(bench, entry))
        if not took_s[-1] < OWNER_WORST_S:
            break
    return took_s


@pytest.mark.row("R-03", "peer squats the lock's only connection:")
def test_owner_gets_past_a_squatter(tmp_path, row):
    async def story():
        async with Bench(tmp_path, gateways=0, profile="home", seed=row.seed) as bench:
            entry = await bench.pair()
            air = bench.site.radio.air
            for name, per_min, number in (("silent", None, row.count(0, 15)), ("100_per_min", 100, row.count(2, 30))):
                squatter = await Squatter(air, bench.lock.mac, per_min=per_min).start()
                took_s = await _tries(bench, entry, squatter, number)
                await bench.until(lambda squatter=squatter: squatter.stays_s, "thrown out")
                await squatter.stop()
                await bench.until_linkless()
                for each_s in took_s:
                    row.check(each_s < OWNER_WORST_S, "%s: the owner never got in" % name)
                if took_s:
                    middle_s = statistics.median(took_s)
                    row.check(middle_s <= OWNER_MEDIAN_S, "%s: median %.1f s" % (name, middle_s))
                    row.figure(name + "_p50_s", round(middle_s, 1))
                    row.figure(name + "_p95_s", round(sorted(took_s)[len(took_s) * 95 // 100], 1))
            stays_s = _links_s(bench.lock)
            row.check(stays_s, "nobody was thrown out")
            for stay_s in stays_s:
                row.check(stay_s <= EVICTED_S + SLACK_S, "a squatter stayed for %.1f s" % stay_s)
            row.figure("longest_stay_s", round(max(stays_s), 2))

    asyncio.run(story())
