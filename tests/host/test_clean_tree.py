"""A run that litters the repository fails, even if every test passed."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

_CONFTEST = Path(__file__).parent.parent / "conftest.py"


@pytest.mark.parametrize("body, status", [("pass", 0), ("open('ble_secrets.json', 'w').close()", 1)])
@pytest.mark.parametrize("workers", [[], ["-n", "1"]], ids=["alone", "workers"])
def test_run_that_leaves_a_file_fails(tmp_path: Path, body: str, status: int, workers: list[str]) -> None:
    shutil.copy(_CONFTEST, tmp_path)
    (tmp_path / "test_it.py").write_text("def test_it():\n    %s\n" % body)
    command = [sys.executable, "-m", "pytest", "-q", "--rootdir", ".", "-p", "no:cacheprovider", *workers, "test_it.py"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == status, done.stdout + done.stderr
    assert ("left in the repository: ble_secrets.json" in done.stdout) == bool(status)
