"""The lock's end of the radio, on the aioble that boards of this run get (GATEHOUSE_AIOBLE, or the stand-in), and
without.
"""

import os
import subprocess
from pathlib import Path

import pytest

from host_tools.boards import stage
from tests.micropython import ROOT, interpreter


@pytest.mark.parametrize("stack", ["aioble", "direct"])
@pytest.mark.parametrize(
    "scenario",
    ["visits", "gone_at_once", "back_at_once", "second_central", "arrival_as_the_time_runs_out", "cancelled"],
)
def test_lock_serves_the_next_central_and_forgets_the_last(scenario: str, stack: str, tmp_path: Path) -> None:
    if stack == "aioble":
        (tmp_path / "aioble").symlink_to(stage.find_aioble(simulator=True))
    done = subprocess.run(
        [interpreter(), str(ROOT / "tests/host/lock_end_program.py"), scenario, stack],
        env={**os.environ, "MICROPYPATH": f".frozen:{tmp_path}:{ROOT}"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    lines = done.stdout.splitlines()
    assert lines[-1:] == ["done"] and (stack == "direct" or lines[-2] == "left 0"), done.stdout + done.stderr
