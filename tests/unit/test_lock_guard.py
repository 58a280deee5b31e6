"""Pauses, budget and decay of one class of guesses, from the numbers of security.md LIM-2 and LIM-4."""

import unittest

from firmware.lock.stores.limits import Guard

_MIN = 60000
_HOUR = 3600000
_DAY = 86400000


def guard(rule=(5, 60, 100), now_ms=0, consecutive=0, spent=0):
    made = Guard(rule, lambda *kept: stored.append(kept), now_ms, consecutive, spent)
    stored = made.stored = []
    return made


class TestPauses(unittest.TestCase):
    def pauses(self, made, attempts):
        now_ms = 999  # a pause does not begin at a whole second
        found = []
        for _ in range(attempts):
            self.assertTrue(made.begin(now_ms))
            wait_ms = made.wait_ms(now_ms)
            if wait_ms:
                self.assertFalse(made.begin(now_ms + wait_ms - 1))
            found.append(wait_ms // 1000)
            now_ms += wait_ms
        return found

    def test_link(self):
        self.assertEqual(self.pauses(guard(), 13), [0] * 4 + [60, 120, 240, 480, 960, 1920, 3600, 3600, 3600])

    def test_keypad(self):
        self.assertEqual(self.pauses(guard((5, 300, 30)), 10), [0] * 4 + [300, 600, 1200, 2400, 3600, 3600])

    def test_cards_and_fingers_as_they_will_be(self):
        self.assertEqual(self.pauses(guard((10, 300, 30)), 12), [0] * 9 + [300, 600, 1200])

    def test_two_hundred_and_more_failures_in_a_row(self):
        made = guard((5, 60, 1000), 0, 255, 0)
        self.assertTrue(made.begin(_HOUR))
        self.assertEqual((made.consecutive, made.wait_ms(_HOUR)), (255, _HOUR))

    def test_restart_begins_the_pause_anew_in_full(self):
        made = guard(now_ms=7000, consecutive=6, spent=6)
        self.assertEqual(made.wait_ms(7000), 2 * _MIN)
        self.assertTrue(made.is_pausing)

    def test_attempt_is_stored_before_it_is_judged(self):
        made = guard()
        made.begin(0)
        self.assertEqual(made.stored, [(1, 1)])


class TestSuccess(unittest.TestCase):
    def test_clears_the_row_and_not_the_budget(self):
        made = guard((5, 300, 30))
        wrong = 0
        while made.begin(0):
            wrong += 1
            if wrong % 4 == 0 and made.begin(0):
                made.succeed()
        self.assertEqual(wrong, 30)
        self.assertEqual(made.wait_ms(0), _HOUR)

    def test_buys_no_guess_beyond_the_budget(self):
        made = guard((5, 300, 30), spent=30)
        now_ms = 0
        wrong = 0
        for _ in range(22):  # hours: in each an owner's right answer, and wrong ones as fast as they are looked at
            now_ms += _HOUR
            self.assertTrue(made.begin(now_ms))
            made.succeed()
            while made.begin(now_ms):
                wrong += 1
        self.assertEqual(wrong, 22)
        self.assertEqual(made.spent, 30)

    def test_withdrawn_attempt_was_none(self):
        made = guard((5, 300, 30), spent=30, consecutive=7)
        self.assertTrue(made.begin(_HOUR))
        made.withdraw()
        self.assertEqual((made.consecutive, made.spent, made.wait_ms(_HOUR)), (7, 30, 0))
        self.assertEqual(made.stored[-1], (7, 30))

    def test_clear_stores_only_what_changes(self):
        made = guard(spent=3)
        made.clear()
        self.assertEqual(made.stored, [])


class TestDays(unittest.TestCase):
    def test_row_decays_by_one_a_day_and_starts_no_new_pause(self):
        made = guard()
        for _ in range(5):
            made.begin(0)
        self.assertTrue(made.begin(_MIN))
        for day in range(1, 7):
            now_ms = _MIN + day * _DAY
            self.assertEqual(made.wait_ms(now_ms), 0)
            self.assertEqual(made.consecutive, 6 - day)

    def test_budget_slides(self):
        made = guard((1000, 60, 30))
        for n in range(30):
            self.assertTrue(made.begin(n * _MIN))
        self.assertFalse(made.begin(59 * _MIN))
        self.assertEqual(made.spent, 30)
        made.wait_ms(_DAY + 9 * _MIN)
        self.assertEqual(made.spent, 20)


if __name__ == "__main__":
    unittest.main()
