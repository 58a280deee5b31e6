"""R-08: bytes of the flash change; nothing damaged is believed, and no lock forgets its owner. A part of R-07: the
flash is full (security.md 4.2)."""

import pytest

from tests.faults.rows import Row, run_program


@pytest.mark.row("R-08", "flipped bytes of files, blocks and NVS")
@pytest.mark.parametrize(("role", "short", "full"), [("lock", 120, 70000), ("gateway", 60, 30000)])
def test_damaged_flash_is_never_believed(row: Row, role: str, short: int, full: int) -> None:
    count = row.count(short, full)
    row.take(run_program("flips", row.seed, count, role, timeout_s=7200))
    assert row.n == count


@pytest.mark.row("R-07a", "file system full: the door works")
def test_door_works_with_a_full_flash(row: Row) -> None:
    row.take(run_program("full_flash"))
