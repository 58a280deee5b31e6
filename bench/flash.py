"""What lock and gateway cost their flash: programs, bytes and block erases of each thing they do.

The firmware's own modules run under MicroPython on its littlefs, with the geometry that boards have, and on NVS in
pages; block erases are what takes long (some 50 ms each on a chip, in which nothing else runs) and what wears.
"""

import json
import os
import subprocess

from rich.table import Table

from bench.measure import conditions, parser, show
from tests.micropython import LIBRARY, ROOT, interpreter

_ERASES = 100_000  # that a block of the usual NOR flash is good for
_A_DAY = 200


def costs(count: int) -> list[dict]:
    """Rows of programs/flash_cost.py, each act done `count` times."""
    program = str(ROOT / "bench" / "programs" / "flash_cost.py")
    done = subprocess.run(
        [interpreter(), "-X", "heapsize=64M", program, str(count)],
        cwd=ROOT,
        env=dict(os.environ, MICROPYPATH=".frozen:%s:%s" % (ROOT, LIBRARY)),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=600,
        check=True,
    )
    return json.loads(done.stdout.strip().splitlines()[-1])


def _years(row: dict) -> str:
    """How long the block that is erased most lasts, if this is done so often a day and nothing else is."""
    if not row["worst"]:
        return "> 1000"
    years = _ERASES * row["n"] / row["worst"] / _A_DAY / 365
    return "> 1000" if years > 1000 else "%d" % years


def main() -> None:
    """Entry point."""
    chosen = parser(__doc__ or "", 400).parse_args()
    rows = costs(chosen.n)
    table = Table(title="flash operations of each act, and erases of 50", caption=conditions(chosen.seed, chosen.n))
    table.add_column("act")
    for name in ("programs", "bytes", "erases of 50", "years at %d a day" % _A_DAY):
        table.add_column(name, justify="right")
    for row in rows:
        n = row["n"]
        per_act = ("%.1f" % (row["programs"] / n), "%d" % (row["bytes"] / n), "%.1f" % (50 * row["erases"] / n))
        table.add_row(row["act"], *per_act, _years(row))
    show(table)


if __name__ == "__main__":
    main()
