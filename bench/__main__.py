"""All measurements, one table each: `python -m bench`, or `make bench`. `--scale 2` takes twice as many.

Each is a program of its own too: `python -m bench.unlock -n 200 --profile home`. What they need of the machine is
processor time; each prints the load of the moment, and figures taken on a busy machine are too high.
"""

import argparse
import subprocess
import sys

MEASUREMENTS = (
    ("unlock", 10),
    ("unlock --profile real", 10),
    ("signed", 10),
    ("sighting", 6),
    ("upload", 1),
    ("state", 8),
    ("notify", 1000),
    ("flash", 400),
)


def main() -> None:
    """Entry point. Each measurement runs in a process of its own, so that none sees what another has left behind."""
    options = argparse.ArgumentParser(description="all measurements of time, one table each")
    options.add_argument("--scale", type=float, default=1.0, help="more or fewer measurements (default 1)")
    options.add_argument("--seed", type=int, default=1)
    chosen = options.parse_args()
    failed = []
    for name, number in MEASUREMENTS:
        count = str(max(1, round(number * chosen.scale)))
        module, *options_of_it = name.split()
        command = [sys.executable, "-m", "bench." + module, *options_of_it, "-n", count, "--seed", str(chosen.seed)]
        if subprocess.run(command, check=False).returncode:
            failed.append(name)
    if failed:
        sys.exit("failed: " + ", ".join(failed))


if __name__ == "__main__":
    main()
