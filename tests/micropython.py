"""Runs unit-test modules under MicroPython's unix port, the way `tests/host/test_on_micropython.py` needs it."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from subprocess import CompletedProcess

from host_tools.boards.fetch32 import find32
from tests import compiled

ROOT = Path(__file__).resolve().parent.parent
LIBRARY = ROOT / ".cache" / "micropython-lib"
# In a thread, whose stack may be large: a chain of imports from source outgrows the 40 KB of a 32-bit port's main stack
_RUN = """
import _thread, sys, time, unittest
sys.path.remove("")  # the folder it runs in, whose firmware is not compiled
_thread.stack_size(1 << 20)
ended = []

def work():
    status = 1
    try:
        module = __import__("%(module)s", None, None, ["*"])
        suite = unittest.TestSuite()
        for name in dir(module):
            case = getattr(module, name)
            if isinstance(case, type) and issubclass(case, unittest.TestCase) and case is not unittest.TestCase:
                suite.addTest(case)
        result = unittest.TestRunner().run(suite)
        for text in result.exceptions:
            print(text)
        status = 0 if result.wasSuccessful() and result.testsRun else 1
    finally:
        ended.append(status)

_thread.start_new_thread(work, ())
while not ended:
    time.sleep(0.01)
sys.exit(ended[0])
"""


def interpreter() -> str:
    """Path of the MicroPython that tests use: GATEHOUSE_MICROPYTHON, else the one of the environment."""
    return os.environ.get("GATEHOUSE_MICROPYTHON") or str(Path(sys.executable).parent / "micropython")


def interpreters() -> list[str]:
    """That one, and the 32-bit MicroPython beside it when set-up could fetch it."""
    beside = find32()
    return [interpreter(), *([str(beside)] if beside and str(beside) != interpreter() else [])]


def run(arguments: list[str], timeout_s: float, heapsize: str = "64M", on: str | None = None) -> CompletedProcess:
    """Run MicroPython with the repository, its firmware compiled, and its libraries on the path and scratch folders of
    its own.

    GATEHOUSE_SCRATCH and GATEHOUSE_MEMORY are in memory where the machine has such a place: a disk takes its time over
    many small files that are flushed, above all when others use it, too.
    """
    fast = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    with tempfile.TemporaryDirectory(prefix="gatehouse-test-", dir=fast) as folder:
        places = {"GATEHOUSE_SCRATCH": folder, "GATEHOUSE_MEMORY": folder}
        return subprocess.run(
            [on or interpreter(), "-X", "heapsize=" + heapsize, *arguments],
            cwd=ROOT,
            env=os.environ | places | {"MICROPYPATH": ".frozen:%s:%s:%s" % (compiled.firmware(ROOT), ROOT, LIBRARY)},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
        )


def run_module(path: Path, timeout_s: int = 900, on: str | None = None) -> CompletedProcess:
    """Run one test module; exit status 0 only if it ran a test and none failed. `on`: another interpreter."""
    module = ".".join(path.relative_to(ROOT).with_suffix("").parts)
    return run(["-c", _RUN % {"module": module}], timeout_s, "8M", on)  # a collection takes longer in a larger heap
