"""T-ERA-1: a dump of all flash shows nothing of what was deleted or reset (security.md 3.6 DEL-2)."""

import pytest

from tests.faults.rows import Row, run_program


@pytest.mark.row("T-ERA-1", "secrets readable in a dump of flash and NVS")
def test_nothing_deleted_or_reset_can_be_read_from_a_dump(row: Row) -> None:
    row.take(run_program("era", row.count(11, 1), timeout_s=3600))
    assert row.n > 100
