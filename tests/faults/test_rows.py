"""The report itself: a row that failed, or tried nothing, fails its test and says so."""

import pytest

from tests.faults.rows import Row, run_program


def test_row_that_tried_nothing_fails() -> None:
    with pytest.raises(AssertionError, match="tried nothing"):
        Row("X-1", "nothing").verdict()


def test_row_with_a_failure_fails_and_tells_it() -> None:
    row = Row("X-1", "something")
    row.check(True, "good")
    row.check(False, "bad end")
    assert row.line().startswith("X-1      1 / 2  seed ")
    with pytest.raises(AssertionError, match="bad end"):
        row.verdict()


def test_row_without_failures_tells_the_bound() -> None:
    row = Row("X-1", "something")
    row.tried(300)
    row.figure("worst_ms", 7)
    row.verdict()
    assert "0 / 300" in row.line() and "< 0.01" in row.line() and "worst_ms 7" in row.line()


def test_program_that_crashes_is_no_result() -> None:
    with pytest.raises(AssertionError):
        run_program("no_such_program")
