"""lib/shown: by which offset a record is read. The gateway's use of it: tests/host/test_zone_table.py."""

import unittest

from firmware.lib import shown

_T = 1792890000  # 2026-10-25 01:00 UTC: Berlin goes back from 120 to 60 minutes
_SUMMER, _WINTER = 120, 60


def wall(at_s, offset):
    return at_s + 60 * offset


def autumn(read_s=_T, first=10):
    history = shown.changed(b"", _SUMMER, 0, 0, 0, 0)
    return shown.changed(history, _WINTER, first, read_s, _T + 60, _T + 60)


class ShownTest(unittest.TestCase):
    def test_without_a_history_nothing_is_known(self):
        self.assertEqual(shown.offset_of(b"", 5, wall(_T, 60)), (None, False))
        self.assertEqual(shown.last_offset(b""), None)

    def test_records_read_before_the_change_are_of_before(self):
        self.assertEqual(shown.offset_of(autumn(), 9, wall(_T + 30, _SUMMER)), (_SUMMER, True))
        self.assertEqual(shown.offset_of(autumn(), 9, wall(_T - 1800, _SUMMER)), (_SUMMER, True))

    def test_the_hour_that_is_shown_twice_is_told_apart_when_the_log_was_read_at_the_change(self):
        history = shown.settled(autumn(), 11)  # one record came between reading and setting
        for minutes in range(2, 120):
            self.assertEqual(shown.offset_of(history, 11, wall(_T + 60 * minutes, _WINTER)), (_WINTER, True), minutes)
        found = shown.learned(autumn(), 10, wall(_T + 30, _SUMMER), None, _T + 65)
        self.assertEqual(shown.offset_of(found, 10, wall(_T + 30, _SUMMER)), (_SUMMER, True))
        found = shown.learned(autumn(), 10, wall(_T + 62, _WINTER), None, _T + 65)
        self.assertEqual(shown.offset_of(found, 10, wall(_T + 62, _WINTER)), (_WINTER, True))

    def test_a_log_that_was_not_read_leaves_that_hour_open(self):
        history = autumn(0)
        self.assertEqual(shown.offset_of(history, 10, wall(_T - 7200, _SUMMER)), (_SUMMER, True))
        self.assertEqual(shown.offset_of(history, 10, wall(_T + 1800, _WINTER))[1], False)
        self.assertEqual(shown.offset_of(history, 10, wall(_T + 7200, _WINTER)), (_WINTER, True))

    def test_order_decides_that_hour_where_the_dates_go_back(self):
        history = autumn(0)
        before, after = wall(_T - 600, _SUMMER), wall(_T + 900, _WINTER)
        self.assertEqual(shown.learned(history, 10, before, None, _T + 86400), history)
        history = shown.learned(history, 11, after, before, _T + 86400)
        self.assertEqual(shown.offset_of(history, 10, before), (_SUMMER, True))
        self.assertEqual(shown.offset_of(history, 11, after), (_WINTER, True))

    def test_what_follows_a_certain_record_is_certain(self):
        history = shown.learned(autumn(0), 12, wall(_T + 7200, _WINTER), None, _T + 86400)
        self.assertEqual(shown.offset_of(history, 13, wall(_T + 1800, _WINTER)), (_WINTER, True))
        history = shown.learned(autumn(0), 12, wall(_T - 7200, _SUMMER), None, _T + 86400)
        self.assertEqual(shown.offset_of(history, 11, wall(_T + 1800, _WINTER)), (_SUMMER, True))

    def test_numbers_wrap(self):
        history = autumn(first=65530)
        self.assertEqual(shown.offset_of(history, 65529, wall(_T - 60, _SUMMER)), (_SUMMER, True))
        self.assertEqual(shown.offset_of(history, 3, wall(_T + 1800, _WINTER)), (_WINTER, True))
        history = shown.learned(autumn(0, 65533), 65533, wall(_T - 7200, _SUMMER), None, _T + 86400)
        self.assertEqual(shown.offset_of(history, 65533, wall(_T + 1800, _WINTER)), (_SUMMER, True))

    def test_a_clock_that_showed_no_time_of_the_zone_says_nothing(self):
        history = shown.changed(b"", shown.NO_OFFSET, 0, 0, 0, 0)
        self.assertEqual(shown.offset_of(history, 3, wall(_T, _SUMMER)), (None, False))
        history = shown.changed(history, _WINTER, 10, _T, _T, _T)
        self.assertEqual(shown.offset_of(history, 3, wall(_T - 86400, _SUMMER)), (None, False))
        self.assertEqual(shown.offset_of(history, 10, wall(_T + 60, _WINTER)), (_WINTER, True))

    def test_a_history_stays_short(self):
        history = b""
        for place in range(9):
            history = shown.changed(history, 60 * (place % 2), place, 0, _T + place, _T + place)
        self.assertEqual(len(history), 4 * 18)
        self.assertEqual(shown.last_offset(history), 0)
