"""What a code of nine digits costs the lock: digests of a search, time of it, longest time between two pauses.

On the MicroPython unix port; a board takes longer by as much as its SHA-256 and its interpreter are slower.
`python -m bench.passcode_search -n 5`
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path

from host_tools.sim.board.interpreter import interpreter

_ROOT = Path(__file__).parents[1]
_ENV = {"MICROPYPATH": ".frozen:%s" % _ROOT}
_PROGRAM = Path(__file__).with_name("programs") / "passcode_search.py"


def main() -> None:
    """Entry point."""
    options = argparse.ArgumentParser(description="the search for a passcode made without the lock")
    options.add_argument("-n", type=int, default=5, help="searches of each sort")
    options.add_argument("--seed", type=int, default=1, help="unused: the search has no chance in it")
    chosen = options.parse_args()
    command = [interpreter(), "-X", "heapsize=8M", str(_PROGRAM), str(chosen.n)]
    ran = subprocess.run(command, capture_output=True, text=True, cwd=_ROOT, env=_ENV, check=False)
    if ran.returncode:
        sys.exit(ran.stdout + ran.stderr)
    print("%-22s %8s %10s %14s" % ("search for", "digests", "ms", "longest step"))
    for line in ran.stdout.splitlines():
        row = json.loads(line)
        print("%-22s %8d %10.1f %11.2f ms" % (row["what"], row["digests"], row["ms"], row["step_ms"]))


if __name__ == "__main__":
    main()
