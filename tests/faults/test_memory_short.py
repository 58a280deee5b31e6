"""R-17: allocations that fail, in gateway and lock."""

import pytest

from tests.faults.rows import Row, run_program


@pytest.mark.row("R-17", "the heap fails at the n-th call of an unlock's functions")
def test_no_place_without_memory_leaves_a_half_state(row: Row) -> None:
    row.take(run_program("memory_short", row.seed, row.count(40, 400), heapsize="16M"))
