"""R-01: the link is cut at every packet of every flow. No half state, at most one movement, never a false ok."""

import asyncio
import random
import statistics

import pytest

from host_tools.sim.air.faults import CENTRAL
from host_tools.sim.ble import bleak_air
from host_tools.sim.site.site import Site, SiteSpec
from tests.faults.link_drops import Case, FirstUnlock, Flow, Motion, PasscodeAdd, RecordsRead, every_case, share
from tests.faults.pairing_drops import Pairing
from tests.faults.posts import FrameTap, Post
from tests.faults.rows import FULL
from tests.system.bench import Bench

SUPERVISION_S = 0.4  # instead of NimBLE's 2.56 s: both ends learn sooner, in the same order
POSTS = 3 if FULL else 1
SETTINGS = {"linger_ms": 100}


def _flows(post: Post, tap: FrameTap, row) -> list[Flow]:
    motions: list[Flow] = [Motion(post, tap, row, op) for op in ("unlock", "lock")]
    first = [FirstUnlock(post, tap, row)] if FULL else []  # takes a restart each time
    return [*motions, PasscodeAdd(post, tap, row), RecordsRead(post, tap, row), *first]


def _report(row, flows: list, counts: dict[str, dict], missed: list) -> None:
    for name, packets in counts.items():
        row.figure(name, "%d+%d packets" % (packets["central"], packets["peripheral"]))
    times_s = sorted(took_s for flow in flows for took_s in flow.recoveries_s)
    row.figure("recovery_p50_s", round(statistics.median(times_s), 2))
    row.figure("p95_s", round(times_s[len(times_s) * 95 // 100], 2))
    row.figure("not_reached", len(missed))


@pytest.mark.row("R-01", "link cut at every packet of unlock, lock, passcode add, record read:")
def test_commands_survive_a_link_cut_at_any_packet(tmp_path, row):
    async def story():
        async with Bench(tmp_path, gateways=POSTS, locks=POSTS, gateway_settings=SETTINGS, seed=row.seed) as bench:
            tap = FrameTap(bench.site.radio.air)
            posts = [await Post(bench, index).adopt() for index in range(POSTS)]
            for post in posts:
                assert (await post.ask("autolock_set", {"seconds": 0}))["ok"]
            sets = [_flows(post, tap, row) for post in posts]
            counts = {flow.name: await flow.count() for flow in sets[0]}
            cases: list[tuple[int, Case]] = []
            draw = random.Random(row.seed)
            bench.site.radio.faults.supervision_s = SUPERVISION_S
            for index, flow in enumerate(sets[0]):
                every = every_case(counts[flow.name], with_resets=FULL and not isinstance(flow, FirstUnlock))
                cases += [(index, case) for case in draw.sample(every, row.count(1, len(every)))]
            workers = [lambda each, flows=flows: flows[each[0]].attempt(each[1]) for flows in sets]
            missed = await share(cases, workers)
            _report(row, [flow for flows in sets for flow in flows], counts, missed)

    asyncio.run(story())


@pytest.mark.row("R-01", "link cut at every packet of pairing:")
def test_pairing_survives_a_link_cut_at_any_packet(tmp_path, row):
    async def story():
        spec = SiteSpec(gateways=0, locks=POSTS, profile="ideal", seed=row.seed, folder=tmp_path / "site")
        async with Site(spec) as site:
            bleak_air.install(site.radio.hci_port)
            flows = [Pairing(site, lock, tmp_path, row) for lock in site.locks]
            packets = await flows[0].count()
            site.radio.faults.supervision_s = SUPERVISION_S
            every = [case for case in every_case(packets, with_resets=FULL) if case.resets != CENTRAL]
            cases = random.Random(row.seed).sample(every, row.count(2, len(every)))
            _report(row, flows, {"pair": packets}, await share(cases, [flow.attempt for flow in flows]))

    asyncio.run(story())
