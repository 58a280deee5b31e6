"""Signed commands under attack (mqtt.md 2; security.md CMD-1 to CMD-3): against the real bridge under MicroPython, and
floods over a real broker to a gateway board."""

import pytest

from tests.faults.rows import Row, run_program

_HEAP = "4M"


@pytest.mark.row("SIGN-1", "signed commands, a member altered, dropped, doubled, reordered")
def test_no_altered_envelope_is_accepted(row: Row) -> None:
    row.take(run_program("signed_games", row.seed, row.count(1500, 100000), "envelope", heapsize=_HEAP))


@pytest.mark.row("SIGN-2", "signed commands again: elsewhere, later, reconnected, same number")
def test_no_signed_command_acts_twice_or_elsewhere(row: Row) -> None:
    row.take(run_program("signed_games", row.seed, row.count(1000, 30000), "replay", heapsize=_HEAP))


@pytest.mark.row("SIGN-3", "imports by strangers: 63 locks, random keys")
def test_no_stranger_imports_a_key(row: Row) -> None:
    row.take(run_program("signed_games", row.seed, row.count(30, 1000), "strangers", heapsize=_HEAP))
