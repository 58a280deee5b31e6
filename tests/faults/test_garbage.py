"""R-13: mutated frames to whoever takes frames apart; over the air, in `test_garbage_air.py`."""

import json
import os
import subprocess
import sys

import pytest

from tests.faults.rows import FULL, Row, run_program
from tests.micropython import ROOT

# Level: share of the frames that go to the lock there
_LEVELS = {"S0": 4, "S1": 4, "user": 3, "admin": 2, "S3": 4, "factory": 1, "open": 2, "keyed": 2, "P": 2}
_SHARES = sum(_LEVELS.values())
_MODULES = [
    *["firmware/lib/%s.py" % name for name in ("frame", "messages/common")],
    *["firmware/lib/messages/%s_lock.py" % name for name in ("session", "pairing", "passcode", "settings")],
    *["firmware/lock/%s.py" % name for name in ("authority", "session", "engine")],
]


def reached(seed: int, folder: str) -> str:
    """How many lines of parser, authorization and dispatch some thousand of these frames reach, as CPython counts."""
    hit: dict[str, set] = {}
    missed: dict[str, set] = {}
    for level in _LEVELS:
        given = [json.dumps(each) for each in (_MODULES, "garbage_lock", 4000, seed, level)]
        command = [sys.executable, str(ROOT / "tests/faults/programs/reached.py"), *given]
        env = os.environ | {"GATEHOUSE_MEMORY": folder}
        found = json.loads(subprocess.run(command, env=env, capture_output=True, check=True, timeout=600).stdout)
        for name, lines in found["reached"].items():
            hit.setdefault(name, set()).update(lines)
            missed[name] = missed.get(name, set(found["missed"][name])) & set(found["missed"][name])
    lines = sum(len(each) for each in hit.values())
    return "%d of %d" % (lines, lines + sum(len(each) for each in missed.values()))


@pytest.mark.row(
    "R-13", "mutated frames to the lock at nine levels, to the gateway's link, to the advertisement's parser"
)
def test_mutated_frames_crash_nothing_and_move_nothing(row: Row, tmp_path) -> None:
    lock, gateway = row.count(9000, 700000), row.count(3000, 300000)
    for level, share in _LEVELS.items():
        row.take(run_program("garbage_lock", lock * share // _SHARES, row.seed, level))
    row.take(run_program("garbage_gateway", gateway, row.seed))
    if FULL:
        row.figure("lines_reached", reached(row.seed, str(tmp_path)))
