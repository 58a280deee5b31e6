"""One row of the fault report: what was tried how often, what failed, with which seed (security.md 4.1).

Rows are short in `make test` and full in `make faults`. A row that tried nothing has failed.
"""

import json
import os
import random
from pathlib import Path

from tests.micropython import run

FULL = bool(os.environ.get("GATEHOUSE_FAULTS"))
_SHOWN = 5
_MAX_ARGUMENT = 255


class Row:
    """`count` chooses the length, `tried` and `fail` keep the score, `figure` adds what else the row must tell."""

    def __init__(self, name: str, what: str) -> None:
        self.name = name
        self.what = what
        given = os.environ.get("GATEHOUSE_SEED")
        self.seed = int(given) if given else random.SystemRandom().randrange(1 << 31) if FULL else 1
        self.n = 0
        self.failures: list[str] = []
        self.figures: dict[str, object] = {}

    @staticmethod
    def count(short: int, full: int) -> int:
        """How many: `short` in `make test`, `full` in `make faults`."""
        return full if FULL else short

    def tried(self, n: int = 1) -> None:
        """So many more attempts were made and judged."""
        self.n += n

    def fail(self, what: str) -> None:
        """One of them had a bad end. The row goes on; the test fails at its end."""
        self.failures.append(what)

    def check(self, holds: object, what: str) -> None:
        """One attempt, judged."""
        self.n += 1
        if not holds:
            self.fail(what)

    def figure(self, name: str, value: object) -> None:
        """A number that the row reports beside its score."""
        self.figures[name] = value

    def take(self, found: dict) -> None:
        """Add the result of a program, see `run_program`."""
        self.n += found["n"]
        self.failures += found["failures"]
        self.figures |= found.get("figures", {})

    def verdict(self) -> None:
        """Raise AssertionError unless everything tried went well."""
        assert self.n, "%s tried nothing" % self.name
        shown = "".join("\n  " + each for each in self.failures[:_SHOWN])
        assert not self.failures, "%s: %d / %d, seed %d%s" % (self.name, len(self.failures), self.n, self.seed, shown)

    def line(self) -> str:
        """The row as the report prints it: failures / N, the seed, for zero failures the 95 % bound 3/N."""
        bound = "" if self.failures or not self.n else "  < %.2g" % (3 / self.n)
        more = "".join("  %s %s" % pair for pair in self.figures.items())
        return "%-8s %d / %d  seed %d%s  %s%s" % (
            self.name,
            len(self.failures),
            self.n,
            self.seed,
            bound,
            self.what,
            more,
        )


def run_program(name: str, *arguments: object, timeout_s: float = 3000, heapsize: str = "64M") -> dict:
    """Run `tests/faults/programs/<name>.py` under MicroPython with JSON `arguments` in argv.

    Its last line is the result: {"n": tries, "failures": [text, …], "figures": {name: value}}.
    Raises AssertionError with what it printed when it ends otherwise.
    """
    program = Path(__file__).parent / "programs" / (name + ".py")
    arguments_json = [json.dumps(each) for each in arguments]
    assert max(map(len, arguments_json), default=0) <= _MAX_ARGUMENT, "MicroPython takes no argument of that length"
    done = run([str(program), *arguments_json], timeout_s, heapsize)
    lines = done.stdout.strip().splitlines()
    assert done.returncode == 0 and lines, (done.stdout + done.stderr)[-4000:]
    return json.loads(lines[-1])
