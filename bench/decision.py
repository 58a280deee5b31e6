"""What one card held to the reader costs a lock with few and many cards: steps of the search in RAM with the keys
compared, pages read from flash, bytes allocated until the motor starts (or the refusal is recorded).

Counts of the firmware's own modules under MicroPython, 64-bit, so that an object has twice the size that it has on a
board. Unlike times, they are the same on any machine; what a page costs in time is in `bench.flash`.
"""

import json
import os
import subprocess

from rich.table import Table

from bench.measure import show
from tests.micropython import LIBRARY, ROOT, interpreter

SIZES = (10, 100, 1000)


def costs(sizes: tuple[int, ...] = SIZES) -> list[dict]:
    """Rows of programs/decision.py."""
    done = subprocess.run(
        [interpreter(), "-X", "heapsize=64M", str(ROOT / "bench/programs/decision.py"), json.dumps(sizes)],
        cwd=ROOT,
        env=dict(os.environ, MICROPYPATH=".frozen:%s:%s" % (ROOT, LIBRARY)),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=600,
        check=True,
    )
    return json.loads(done.stdout.strip().splitlines()[-1])


def main() -> None:
    """Entry point."""
    table = Table(title="one decision at the reader, after a start", caption="64-bit MicroPython, one run each")
    for name in ("cards", "the card", "opened"):
        table.add_column(name)
    for name in ("comparisons", "pages read", "bytes allocated"):
        table.add_column(name, justify="right")
    for row in costs():
        counts = [str(row[name]) for name in ("comparisons", "pages", "bytes")]
        table.add_row(str(row["cards"]), row["what"], "yes" if row["opened"] else "no", *counts)
    show(table)


if __name__ == "__main__":
    main()
