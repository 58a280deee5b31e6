"""Runs unit-test modules under MicroPython's unix port, the way `tests/host/test_on_micropython.py` needs it."""

import os
import subprocess
import sys
from pathlib import Path

from host_tools.fetch32 import find32

ROOT = Path(__file__).resolve().parent.parent
LIBRARY = ROOT / ".cache" / "micropython-lib"
_RUN = """
import sys, unittest
module = __import__("%(module)s", None, None, ["*"])
suite = unittest.TestSuite()
for name in dir(module):
    case = getattr(module, name)
    if isinstance(case, type) and issubclass(case, unittest.TestCase) and case is not unittest.TestCase:
        suite.addTest(case)
result = unittest.TestRunner().run(suite)
for text in result.exceptions:
    print(text)
sys.exit(0 if result.wasSuccessful() and result.testsRun else 1)
"""


def interpreter() -> str:
    """Path of the MicroPython that tests use: GATEHOUSE_MICROPYTHON, else the one of the environment."""
    return os.environ.get("GATEHOUSE_MICROPYTHON") or str(Path(sys.executable).parent / "micropython")


def interpreters() -> list[str]:
    """That one, and the 32-bit MicroPython beside it when set-up could fetch it."""
    beside = find32()
    return [interpreter(), *([str(beside)] if beside and str(beside) != interpreter() else [])]


def run_module(path: Path, timeout_s: int = 100, on: str | None = None) -> subprocess.CompletedProcess:
    """Run one test module; exit status 0 only if it ran a test and none failed. `on`: another interpreter."""
    module = ".".join(path.relative_to(ROOT).with_suffix("").parts)
    env = dict(os.environ, MICROPYPATH=".frozen:%s:%s" % (ROOT, LIBRARY))
    return subprocess.run(
        [on or interpreter(), "-X", "heapsize=64M", "-c", _RUN % {"module": module}],
        cwd=ROOT,
        env=env,
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
    )
