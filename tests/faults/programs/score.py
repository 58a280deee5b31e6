"""What a program of a fault row reports: tries, failures, figures; one JSON line at the end (`rows.run_program`)."""

import json
import os
import sys

_KEPT = 20


def arguments():
    """The JSON arguments given to the program."""
    return [json.loads(each) for each in sys.argv[1:]]


def scratch(name):
    """A folder for the flash of simulated boards, in memory where the machine has such a place."""
    name = "gatehouse-%s-%s" % (name, os.urandom(4).hex())
    try:
        os.listdir("/dev/shm")
        return "/dev/shm/" + name
    except OSError:
        return "/tmp/" + name


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
