"""One side of `bench.unlock --against`: runs in a checkout's folder, on its environment, with that checkout's modules.

Arguments: air profile, seed. Reads a line, `cold` or `warm`, does one such unlock and answers a line of JSON:
{"took_s", "packets"}, both null when it failed.
"""

import asyncio
import json
import os
import random
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, os.getcwd())

from bench.unlock import Ours, Series
from tests.system.bench import Bench

_LINGER_MS = 1500  # the gateway drops its link soon, so that the next unlock is cold
_SETTLE_S = 0.8  # before a warm one: the record of the command before has been fetched, the link is still up


async def _cold(bench, ours, draw, series):
    await bench.until_linkless()
    await asyncio.sleep(draw.random())
    await ours.unlock(series, is_cold=True)


async def _warm(bench, ours, series):
    await asyncio.sleep(_SETTLE_S)
    while not bench.site.radio.links_up():
        await ours.unlock(Series(), is_cold=True)
        await asyncio.sleep(_SETTLE_S)
    await ours.unlock(series, is_cold=False)


async def _serve(profile, seed, answers):
    draw = random.Random(seed)
    with tempfile.TemporaryDirectory() as folder:
        settings = {"linger_ms": _LINGER_MS}
        async with Bench(Path(folder), profile=profile, seed=seed, locks=1, gateway_settings=settings) as bench:
            bench.site.radio.place(bench.lock.mac, 2.0, 0.0)
            bench.site.radio.place(bench.gateway.mac, 0.0, 0.0)
            await bench.adopt()
            await bench.ask("autolock_set", {"seconds": 0})
            ours = Ours(bench)
            while line := await asyncio.to_thread(sys.stdin.readline):
                series = Series()
                if line.strip() == "cold":
                    await _cold(bench, ours, draw, series)
                else:
                    await _warm(bench, ours, series)
                told = {"took_s": None, "packets": None}
                if series.took_s:
                    told = {"took_s": series.took_s[0], "packets": series.packets[0]}
                print(json.dumps(told), file=answers, flush=True)


def main():
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what the bench prints about its site
    asyncio.run(_serve(sys.argv[1], int(sys.argv[2]), answers))


main()
