import unittest

from firmware.ble.health import Health
from firmware.gateway.healing import RadioWatch


class Signs(Health):
    """With a time of listening to be set by hand."""

    listened = (1 << 30) - 50000  # about to wrap

    def listened_ms(self):
        return self.listened & 0x3FFFFFFF


class Locks:
    def __init__(self, *ages_s):
        self.ages_s = list(ages_s)

    def all(self):
        return range(len(self.ages_s))

    def age_s(self, lock):
        return self.ages_s[lock]


class RadioWatchTest(unittest.TestCase):
    def setUp(self):
        self.signs = Signs()
        self.locks = Locks(5, None)
        self.told = []
        self.is_linked = False
        self.watch = RadioWatch(
            self.signs,
            self.locks,
            lambda why, most=None: self.told.append((why, most)),
            lambda: self.is_linked,
        )

    def pass_time(self, seconds):
        """Nothing is heard for so long."""
        for _ in range(seconds // 5):
            self.signs.listened += 5000
            if self.locks.ages_s[0] is not None:
                self.locks.ages_s[0] += 5
            self.watch.look()

    def test_health_counts_what_fails_in_a_row(self):
        signs = self.signs
        signs.attempted(is_unreported=True)
        signs.attempted(is_unreported=True)
        self.assertEqual((signs.unreported, signs.refused, signs.failed), (2, 0, 2))
        signs.attempted(is_refused=True)
        self.assertEqual((signs.unreported, signs.refused, signs.failed), (0, 1, 3))
        signs.attempted()
        self.assertEqual((signs.unreported, signs.refused, signs.failed), (0, 0, 4))
        signs.linked()
        self.assertEqual(signs.failed, 0)

    def test_silence_is_that_of_a_radio_that_scans(self):
        for _ in range(200):
            self.watch.look()
        self.assertEqual(self.told, [])
        health = Health()
        self.assertEqual(health.listened_ms(), 0)
        health.listens(True)
        health.listens(False)
        self.assertTrue(0 <= health.listened_ms() < 10000)

    def test_what_the_stack_got_wrong_may_lead_to_a_reset(self):
        self.signs.unreported = 2
        self.watch.look()
        self.signs.refused = 8
        self.watch.look()
        self.watch.look()
        self.assertEqual(self.told, [("connect_unreported", None), ("connect_refused", None)])

    def test_attempts_that_fail_are_the_radios_only_while_a_lock_is_heard(self):
        self.signs.failed = 24
        self.locks.ages_s[0] = 61
        self.watch.look()
        self.assertEqual(self.told, [])
        self.locks.ages_s[0] = 3
        self.watch.look()
        self.assertEqual(self.told, [("connects_fail", "radio_cycle")])
        self.locks.ages_s[0] = 500
        self.signs.failed = 47
        self.watch.look()
        self.assertEqual(len(self.told), 1)
        self.signs.failed = 48
        self.watch.look()
        self.assertEqual(len(self.told), 2)

    def test_silence_is_told_at_longer_and_longer_pauses(self):
        self.pass_time(85)
        self.assertEqual(self.told, [])
        self.pass_time(10)
        self.assertEqual(self.told, [("deaf", "radio_cycle")])
        self.pass_time(80)
        self.assertEqual(len(self.told), 1)
        self.pass_time(10)
        self.assertEqual(len(self.told), 2)
        self.pass_time(600)
        self.assertEqual(len(self.told), 4)
        self.signs.advertised()
        self.locks.ages_s[0] = 0
        self.pass_time(95)
        self.assertEqual(len(self.told), 5)

    def test_a_silence_without_end_is_told_every_24_minutes(self):
        self.pass_time(3600)
        told = len(self.told)
        self.pass_time(86400)
        self.assertEqual(len(self.told) - told, 60)

    def test_silence_says_nothing_without_a_lock_that_was_near(self):
        for age_s in (None, 700):
            self.locks.ages_s[0] = age_s
            self.signs.advertised()
            self.pass_time(300)
        self.assertEqual(self.told, [])

    def test_silence_says_nothing_while_a_lock_is_served(self):
        self.is_linked = True
        self.pass_time(600)
        self.is_linked = False
        self.locks.ages_s[0] = 0
        self.pass_time(80)
        self.assertEqual(self.told, [])

    def test_a_leap_of_time_is_no_silence(self):
        self.pass_time(50)
        self.signs.listened += 3600000
        self.watch.look()
        self.assertEqual(self.told, [])


if __name__ == "__main__":
    unittest.main()
