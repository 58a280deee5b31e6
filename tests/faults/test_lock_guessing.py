"""Guessing at the link and at the keypad, through simulated days."""

import pytest

from tests.faults.rows import Row, run_program


@pytest.mark.row("T-BRF-1", "wrong sums and numbers for 24 h, as fast as the link allows")
def test_guesses_over_the_link_are_bounded(row: Row) -> None:
    for what in ("user", "admin", "owner"):
        for number in range(row.count(1, 20)):
            row.take(run_program("brute", what, row.seed + number))


@pytest.mark.row("T-BRF-2", "the same with a power cut after every attempt")
def test_power_cuts_refund_no_guess(row: Row) -> None:
    for number in range(row.count(1, 20)):
        row.take(run_program("brute", "cut", row.seed + number))


@pytest.mark.row("T-BRF-3", "keypad and button work throughout")
def test_guessing_over_the_link_leaves_the_keypad_alone(row: Row) -> None:
    found = run_program("brute", "user", row.seed + 1000)
    row.take(found)
    assert found["figures"]["keypad_tries"] >= 24


@pytest.mark.row("T-BRF-4", "frames that do not decrypt advance no counter")
def test_garbage_is_no_guess(row: Row) -> None:
    row.take(run_program("brute", "garbage", row.seed, row.count(2000, 100000)))


@pytest.mark.row("T-LCK-1", "lockout, doubling, what ends it and what does not")
def test_lockout_rules(row: Row) -> None:
    row.take(run_program("lockout", "rules", row.seed, row.count(3, 100)))


@pytest.mark.row("T-LCK-2", "power cut at every digit and in the evaluation, days of 24 h")
def test_power_cuts_refund_no_code(row: Row) -> None:
    row.take(run_program("lockout", "cut", row.seed, row.count(3, 200)))


@pytest.mark.row("T-LCK-3", "clock jumps by a day and more")
def test_clock_jumps_do_not_touch_a_lockout(row: Row) -> None:
    row.take(run_program("lockout", "clock", row.seed, row.count(10, 1000)))


@pytest.mark.row("T-LCK-4", "the ticks wrap during a lockout")
def test_tick_wrap_does_not_touch_a_lockout(row: Row) -> None:
    row.take(run_program("lockout", "wrap", row.seed, row.count(10, 1000)))
