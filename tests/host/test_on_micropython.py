"""The unit suite and the vectors once more, on the interpreter that ships."""

from pathlib import Path

import pytest

from tests.micropython import ROOT, run_module

MODULES = sorted([*(ROOT / "tests/unit").glob("test_*.py"), *(ROOT / "tests/vectors").glob("test_*.py")])


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.stem)
def test_module_passes_on_micropython(path: Path) -> None:
    done = run_module(path)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
