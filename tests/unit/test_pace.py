"""How fast a lock's clock goes: measured over days, told once."""

import unittest

from firmware.gateway.lock import Lock
from firmware.lib import pace, timekeeper

_T = 1795481374
_DAY = 86400


def drift(packed):
    lock = Lock(bytes(6), bytes(16))
    lock.pace = packed
    return lock.drift


class PaceTest(unittest.TestCase):
    def test_nothing_is_known_before_two_looks_an_hour_apart(self):
        self.assertEqual(drift(b""), None)
        packed, is_odd = pace.looked(b"", _T, 5)
        self.assertEqual((drift(packed), is_odd), (None, False))
        packed, is_odd = pace.looked(packed, _T + 3599, 9)
        self.assertEqual((drift(packed), is_odd), (None, False))

    def test_any_drift_is_found_within_its_uncertainty_which_shrinks(self):
        for s_day in (-86400, -40, -21, -5, -1.7, 0, 0.3, 2, 19, 60, 3000):
            packed, last = b"", None
            for day in range(8):
                ahead_s = int(s_day * day // 1)
                packed = pace.looked(packed, _T + day * _DAY, ahead_s)[0]
                found = drift(packed)
                if day and -32768 < ahead_s < 32768:
                    self.assertTrue(abs(found[0] - s_day) <= found[1] + 0.1, (s_day, day, found))
                    self.assertTrue(last is None or found[1] <= last, (s_day, day, found))
                    last = found[1]

    def test_settings_in_between_do_not_disturb_and_a_better_measurement_stays(self):
        packed = pace.looked(b"", _T, 0)[0]
        packed = pace.looked(packed, _T + 8 * _DAY, 24)[0]
        self.assertEqual(drift(packed), [3.0, 0.3])
        packed = pace.was_set(packed, _T + 8 * _DAY, 0)
        self.assertEqual(drift(packed), [3.0, 0.3])
        packed = pace.looked(packed, _T + 9 * _DAY, 4)[0]
        self.assertEqual(drift(packed), [3.0, 0.3])  # +4 to within 2 is no contradiction
        packed = pace.looked(packed, _T + 10 * _DAY, 40)[0]
        self.assertEqual(drift(packed)[0], 20.0)  # this is

    def test_what_is_out_of_range_is_told_once_until_it_is_well_again(self):
        packed, told = b"", []
        for day in range(6):
            packed, is_odd = pace.looked(packed, _T + day * _DAY, -60 * day)
            told.append(is_odd)
        self.assertEqual(told, [False, True, False, False, False, False])
        packed = pace.was_set(packed, _T + 6 * _DAY, 0)  # new batteries
        for day in range(7, 12):
            packed, is_odd = pace.looked(packed, _T + day * _DAY, day - 6)
            self.assertFalse(is_odd)
        self.assertEqual(drift(packed)[0], 1.0)
        packed = pace.was_set(packed, _T + 12 * _DAY, 0)
        told = [pace.looked(packed, _T + 13 * _DAY, -40000 // day)[1] for day in (2, 200)]
        self.assertEqual(told, [True, True])

    def test_no_alarm_from_one_second_however_short_the_time(self):
        for passed_s in range(3600, 90000, 1800):
            packed = pace.looked(b"", _T, 0)[0]
            self.assertFalse(pace.looked(packed, _T + passed_s, 2)[1], passed_s)

    def test_a_clock_without_a_time_and_a_jump_of_our_own_begin_anew(self):
        for ahead_s, is_sure in ((None, True), (7200, False), (1 << 30, True)):
            packed = pace.looked(b"", _T, 0)[0]
            packed, is_odd = pace.looked(packed, _T + _DAY, ahead_s, is_sure)
            self.assertEqual((drift(packed), is_odd), (None, False))
            packed = pace.looked(packed, _T + 2 * _DAY, 7200)[0]
            packed = pace.looked(packed, _T + 3 * _DAY, 7201)[0]
            self.assertEqual(drift(packed)[0], 1.0)


class GatewaysOwnTest(unittest.TestCase):
    def keeper(self, ppm, days=3, error_ms=40):
        keeper = timekeeper.Timekeeper(_T * 1000 - 1)
        hour = 3600000
        for at in [0, 2000] + [hour * n for n in range(1, 24 * days)]:
            keeper.sample(_T * 1000 + at, at + at * ppm // 1000000, error_ms)
        return keeper

    def test_drift_is_measured_from_agreements_far_apart(self):
        for ppm in (-300, -20, 0, 7, 100):
            ms_day, error_ms = self.keeper(ppm).rate
            self.assertTrue(abs(ms_day - ppm * 86.4) <= error_ms + 1, (ppm, ms_day, error_ms))
            self.assertTrue(error_ms <= 40)
        self.assertEqual(timekeeper.Timekeeper().rate, None)

    def test_a_jump_begins_anew(self):
        keeper = self.keeper(20)
        known = keeper.rate
        base = 80 * 3600000
        for at in (base, base + 61000, base + 122000):
            keeper.sample(_T * 1000 + at + 7200000, at, 40)
        for hour in range(1, 30):
            at = base + 200000 + hour * 3600000
            keeper.sample(_T * 1000 + at + 7200000, at, 40)
        self.assertTrue(abs(keeper.rate[0] - known[0]) <= 2000, keeper.rate)


if __name__ == "__main__":
    unittest.main()
