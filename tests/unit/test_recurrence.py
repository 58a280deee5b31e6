import unittest

from firmware.lib import dates, recurrence


def at(text):
    """ "2026-05-11 08:00" -> minutes since 2000"""
    return dates.to_minutes((int(text[:4]), int(text[5:7]), int(text[8:10]), int(text[11:13]), int(text[14:16])))


def open_at(windows, text):
    return any(recurrence.closes(window, at(text)) is not None for window in windows)


# 2026-05-11 is a Monday, 2024-02-26 too.
SCHEDULES = (
    # code, opens at, open at these, closed at those
    (1000, 0, ("2026-05-16 00:00", "2026-05-17 00:59"), ("2026-05-15 00:00", "2026-05-16 01:00", "2026-05-18 00:30")),
    (1023, 0, ("2026-05-16 00:00", "2026-05-17 23:59"), ("2026-05-15 23:59", "2026-05-18 00:00")),
    (1024, 480, ("2026-05-11 08:00", "2026-05-17 08:59"), ("2026-05-11 07:59", "2026-05-11 09:00")),
    (1047, 480, ("2026-05-11 08:00", "2026-05-12 07:59", "2000-01-01 08:00"), ("2000-01-01 07:59",)),
    (1048, 1020, ("2026-05-15 17:30",), ("2026-05-16 17:30", "2026-05-17 17:30")),
    (
        1048 + 9,
        1320,
        ("2026-05-15 22:00", "2026-05-16 07:59"),
        ("2026-05-16 08:00", "2026-05-16 22:00", "2026-05-11 07:59"),
    ),
    (1072 + 9, 480, ("2026-05-11 08:00", "2026-05-11 17:59"), ("2026-05-11 18:00", "2026-05-12 09:00")),
    (1096, 60, ("2026-05-12 01:00",), ("2026-05-11 01:00", "2026-05-13 01:00")),
    (1120, 60, ("2026-05-13 01:00",), ("2026-05-12 01:00",)),
    (1144, 60, ("2026-05-14 01:00", "2024-02-29 01:59"), ("2026-05-13 01:00", "2024-03-01 01:00")),
    (1168, 60, ("2026-05-15 01:00",), ("2026-05-14 01:00",)),
    (
        1192 + 7,
        1380,
        ("2026-05-16 23:00", "2026-05-17 06:59"),
        ("2026-05-17 07:00", "2026-05-16 06:59", "2026-05-17 23:00"),
    ),
    (1216, 60, ("2026-05-17 01:00",), ("2026-05-16 01:00", "2026-05-18 01:00")),
    (999, 60, (), ("2026-05-11 01:00", "2026-05-16 01:00")),
    (1240, 60, (), ("2026-05-11 01:00", "2026-05-16 01:00")),
)


class TestSchedules(unittest.TestCase):
    def test_schedule_codes(self):
        for code, opens, opened, closed in SCHEDULES:
            windows = (recurrence.schedule(code, opens),)
            for text in opened:
                self.assertTrue(open_at(windows, text), "%s %s" % (code, text))
            for text in closed:
                self.assertFalse(open_at(windows, text), "%s %s" % (code, text))

    def test_the_edges_of_the_calendar(self):
        every_night = (0x7F, 0, 0, 22 * 60, 8 * 60)
        last_of_month = (0, 31, 0, 22 * 60, 8 * 60)
        for window in (every_night, last_of_month):
            self.assertFalse(open_at((window,), "2000-01-01 05:59"))  # it would have begun in 1999
            self.assertTrue(open_at((window,), "2099-12-31 23:59"))
        self.assertIsNone(recurrence.closes(every_night, at("2099-12-31 23:59") + 1440))  # no such day

    def test_what_is_no_row(self):
        for place, opens, length in ((-1, 0, 60), (10, 0, 60), (0, 1440, 60), (0, -1, 60), (0, 0, 0), (0, 0, 1441)):
            self.assertEqual(recurrence.row(place, opens, length), recurrence.NEVER)
