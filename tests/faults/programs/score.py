"""What a program of a fault row reports: tries, failures, figures; one JSON line at the end (`rows.run_program`)."""

import json
import os
import sys

_KEPT = 20


def arguments():
    """The JSON arguments given to the program."""
    return [json.loads(each) for each in sys.argv[1:]]


def scratch(name):
    """A path for the flash of simulated boards, in memory where the machine has such a place. Nothing is created."""
    return (os.getenv("GATEHOUSE_MEMORY") or "/tmp") + "/" + name


class Score:
    """`check` judges one try."""

    def __init__(self):
        self.n = 0
        self.lost = 0
        self.failures = []
        self.figures = {}

    def check(self, holds, what):
        """One try, judged. Only the first failures are told, all are counted."""
        self.n += 1
        if not holds:
            self.fail(what)

    def fail(self, what):
        """A try had a bad end."""
        self.lost += 1
        if len(self.failures) < _KEPT:
            self.failures.append(what)

    def end(self):
        """Print the result."""
        if self.lost > len(self.failures):
            self.failures.append("and %d more" % (self.lost - len(self.failures)))
        print(json.dumps({"n": self.n, "failures": self.failures, "figures": self.figures}))
