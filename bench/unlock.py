"""`make bench`: how long an unlock takes from the MQTT command to its result, cold and warm, one table.

Cold: no link is up when the command is published, and the lock advertises every 400 ms. Warm: the link of the command
before is still up. Air profile `home`; time on the air is the air's own, the rest depends on this machine.
"""

import argparse
import asyncio
import tempfile
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tests.system.bench import Bench


async def _series(bench: Bench, number: int, cold: bool) -> list[int]:
    took_ms = []
    for _ in range(number):
        if cold:
            await bench.until_linkless()
        result = await bench.ask("unlock")
        if result["code"] != "ok":
            raise SystemExit("unlock failed: %s" % result)
        took_ms.append(result["ms"])
        locked = await bench.ask("lock")
        if locked["code"] != "ok":
            raise SystemExit("lock failed: %s" % locked)
    return sorted(took_ms)


async def _measure(number: int, seed: int) -> Table:
    table = Table("unlock", "n", "p50 ms", "p95 ms", "worst ms", title="profile home, seed %d" % seed)
    with tempfile.TemporaryDirectory() as folder:
        async with Bench(Path(folder), profile="home", seed=seed) as bench:
            await bench.adopt()
            await bench.ask("autolock_set", {"seconds": 0})
            for name, cold in (("cold", True), ("warm", False)):
                took_ms = await _series(bench, number, cold)
                at = [took_ms[min(len(took_ms) - 1, len(took_ms) * part // 100)] for part in (50, 95)]
                table.add_row(name, str(number), *(str(each) for each in (*at, took_ms[-1])))
    return table


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-n", type=int, default=30, help="unlocks in each series")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    Console().print(asyncio.run(_measure(options.n, options.seed)))


if __name__ == "__main__":
    main()
