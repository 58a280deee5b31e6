"""R-13: mutated frames to whoever takes frames apart; over the air, in `test_garbage_air.py`."""

import pytest

from tests.faults.rows import Row, run_program

# Level: share of the frames that go to the lock there
_LEVELS = {"S0": 4, "S1": 4, "user": 3, "admin": 2, "S3": 4, "factory": 1, "open": 2, "keyed": 2, "P": 2}
_SHARES = sum(_LEVELS.values())


@pytest.mark.row(
    "R-13", "mutated frames to the lock at nine levels, to the gateway's link, to the advertisement's parser"
)
def test_mutated_frames_crash_nothing_and_move_nothing(row: Row) -> None:
    lock, gateway = row.count(9000, 700000), row.count(3000, 300000)
    for level, share in _LEVELS.items():
        row.take(run_program("garbage_lock", lock * share // _SHARES, row.seed, level))
    row.take(run_program("garbage_gateway", gateway, row.seed))
