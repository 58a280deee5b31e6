"""R-24: one to sixteen locks at one gateway, a burst of records, fifty commands a minute."""

import pytest

from tests.faults.rows import FULL, Row, run_program

_LOCKS = (1, 2, 4, 8, 16) if FULL else (16,)


@pytest.mark.row("R-24", "1 to 16 locks, a burst of records behind a broker that was away, 50 commands a minute:")
@pytest.mark.parametrize("locks", _LOCKS)
def test_many_locks_are_served_in_order_and_nothing_is_dropped(row: Row, locks: int) -> None:
    row.what += " %d" % locks
    row.take(run_program("scale", row.seed, locks, row.count(320, 5000), row.count(20, 300), heapsize="32M"))
