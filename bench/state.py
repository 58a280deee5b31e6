"""How soon a change at the lock is on MQTT: somebody turns the bolt by hand, with no link up.

From the moment at which the bolt is where it is turned to, to the retained `…/state` that says so. The lock
tells it in its advertisement, which the gateway hears while it scans.
"""

import asyncio
import random
import tempfile
import time
from pathlib import Path

from rich.table import Table

from bench.measure import PROFILES, conditions, parser, run, show, spread
from tests.system.bench import Bench

_GIVE_UP_S = 30
_STATES = {"unlocked": "UNLOCKED", "locked": "LOCKED"}


async def measure(profile: str, n: int, seed: int) -> list[float]:
    """Seconds from the bolt's arrival to the message."""
    found = []
    draw = random.Random(seed)
    with tempfile.TemporaryDirectory() as folder:
        async with Bench(Path(folder), profile=profile, seed=seed) as bench:
            await bench.adopt()
            await bench.ask("autolock_set", {"seconds": 0})
            topic = bench.topic("state")
            for _ in range(n):
                await bench.until_linkless()
                await asyncio.sleep(1 + draw.random())
                to = "locked" if bench.lock.bolt == "unlocked" else "unlocked"
                seen, moved = len(bench.mqtt.messages), len(bench.lock.movements)
                turned_s = time.monotonic()
                bench.lock.mechanics.turn(to)
                assert len(bench.lock.movements) == moved + 1
                wanted = _STATES[to]
                heard = await bench.mqtt.wait(
                    lambda m, wanted=wanted: m.topic == topic and m.value.get("lock") == wanted, _GIVE_UP_S, seen
                )
                found.append(heard.at - turned_s)
    return found


def table(n: int, seed: int, profiles: tuple[str, ...] = PROFILES) -> Table:
    """The table of all profiles."""
    made = Table("air", "n", "p50 ms", "p95 ms", "worst ms", title="bolt turned by hand, to the state on MQTT")
    for profile in profiles:
        took_s = run(measure(profile, n, seed))
        made.add_row(profile, str(len(took_s)), *spread(took_s))
    made.caption = conditions(seed, n)
    return made


def main() -> None:
    """Entry point."""
    chosen = parser(__doc__ or "", 8).parse_args()
    show(table(chosen.n, chosen.seed))


if __name__ == "__main__":
    main()
