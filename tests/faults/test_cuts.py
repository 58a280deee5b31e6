"""R-05, R-06: the power goes at every flash operation of every flow that stores something (security.md 4.1)."""

import pytest

from tests.faults.rows import FULL, Row, run_program

_TEARS = ["", "prefix", "bits", "noise"]


def _explore(row: Row, program: str, every: int, nested: int) -> None:
    """Full: every operation, not made and torn in each way, and again at every operation of the recovery."""
    how = {"every": every, "tears": ["", "noise"], "nested": nested}
    if FULL:
        how = {"every": 1, "tears": _TEARS, "nested": 1}
    found = run_program(program, how | {"seed": row.seed, "names": []}, timeout_s=7200)
    row.take(found)
    assert found["figures"]["operations"] > 300


@pytest.mark.row("R-05", "lock, power cut at each flash operation")
def test_lock_outlives_a_power_cut_at_every_flash_operation(row: Row) -> None:
    _explore(row, "cut_lock", 41, 40)


@pytest.mark.row("R-06", "gateway, power cut at each flash operation")
def test_gateway_outlives_a_power_cut_at_every_flash_operation(row: Row) -> None:
    _explore(row, "cut_gateway", 31, 30)
