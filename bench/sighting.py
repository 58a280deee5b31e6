"""How soon a gateway hears a lock it knows: from its power-on to the sighting in its log, and to MQTT.

The lock has been left alone, so that it advertises as it does when asleep. The gateway is switched off and on again
for each measurement; the log line is read at its console, the retained availability is cleared before.
"""

import asyncio
import random
import tempfile
import time
from pathlib import Path

from rich.table import Table

from bench.measure import PROFILES, conditions, parser, run, show, spread
from tests.system.bench import Bench

_ASLEEP_S = 12  # a lock that nobody has touched for so long advertises at its slow interval
_GIVE_UP_S = 30


async def measure(profile: str, n: int, seed: int) -> dict[str, list[float]]:
    """Seconds from power-on, by what happened."""
    found: dict[str, list[float]] = {"sighted": [], "availability on MQTT": []}
    draw = random.Random(seed)
    with tempfile.TemporaryDirectory() as folder:
        async with Bench(Path(folder), profile=profile, seed=seed) as bench:
            await bench.adopt()
            await bench.until_linkless()
            topic = bench.topic("availability")
            await asyncio.sleep(_ASLEEP_S)
            for _ in range(n):
                await bench.gateway.kill()
                await bench.mqtt.publish(topic, "", retain=True)
                await asyncio.sleep(draw.random())
                seen, printed = len(bench.mqtt.messages), len(bench.gateway.lines)
                began_s = time.monotonic()
                await bench.gateway.start()
                await bench.gateway.wait_line("registry sighted", _GIVE_UP_S, after=printed)
                found["sighted"].append(time.monotonic() - began_s)
                heard = await bench.mqtt.wait(lambda m: m.topic == topic and m.text == "online", _GIVE_UP_S, seen)
                found["availability on MQTT"].append(heard.at - began_s)
                await bench.until_linkless()
    return found


def table(n: int, seed: int, profiles: tuple[str, ...] = PROFILES) -> Table:
    """The table of all profiles."""
    made = Table(
        "air", "from the gateway's power-on to", "p50 ms", "p95 ms", "worst ms", title="time to first sighting"
    )
    for profile in profiles:
        for what, took_s in run(measure(profile, n, seed)).items():
            made.add_row(profile, what, *spread(took_s))
    made.caption = conditions(seed, n)
    return made


def main() -> None:
    """Entry point."""
    chosen = parser(__doc__ or "", 6).parse_args()
    show(table(chosen.n, chosen.seed))


if __name__ == "__main__":
    main()
