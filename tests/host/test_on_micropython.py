"""The unit suite once more on MicroPython as wide as the chip, 32 bits, where set-up has found one, and the vectors on
the simulator's; under GATEHOUSE_FAULTS all of them on both.
"""

import os
from pathlib import Path

import pytest

from tests.micropython import ROOT, interpreters, run_module

FULL = bool(os.environ.get("GATEHOUSE_FAULTS"))
DEFAULT, NARROW = interpreters()[0], interpreters()[-1]
UNITS = sorted((ROOT / "tests/unit").glob("test_*.py"))
VECTORS = sorted((ROOT / "tests/vectors").glob("test_*.py"))
RUNS = [(path, NARROW) for path in UNITS] + [(path, DEFAULT) for path in VECTORS]
if FULL:
    RUNS = [(path, on) for path in UNITS + VECTORS for on in interpreters()]


@pytest.mark.parametrize(
    "path,on", RUNS, ids=["%s-%s" % (path.stem, "32 bits" if "micropython32" in on else "default") for path, on in RUNS]
)
def test_module_passes_on_micropython(path: Path, on: str) -> None:
    done = run_module(path, on=on)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
