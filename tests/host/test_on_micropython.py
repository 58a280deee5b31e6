"""The unit suite and the vectors once more, on the interpreter that ships and on the 32-bit one."""

from pathlib import Path

import pytest

from tests.micropython import ROOT, interpreters, run_module

MODULES = sorted([*(ROOT / "tests/unit").glob("test_*.py"), *(ROOT / "tests/vectors").glob("test_*.py")])


@pytest.mark.parametrize("on", interpreters(), ids=lambda on: "32 bits" if "micropython32" in on else "default")
@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.stem)
def test_module_passes_on_micropython(path: Path, on: str) -> None:
    done = run_module(path, on=on)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
