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

CYCLIC = (
    # seven bytes of 0x70, open at these, closed at those
    (
        b"\x01\x01\x00\x08\x00\x12\x00",
        ("2026-05-11 08:00", "2026-05-11 17:59"),
        ("2026-05-11 18:00", "2026-05-12 08:00"),
    ),
    (
        b"\x01\x07\x00\x16\x00\x06\x00",
        ("2026-05-17 22:00", "2026-05-18 05:59"),
        ("2026-05-18 06:00", "2026-05-17 05:00"),
    ),
    (b"\x02\x00\x00\x08\x00\x12\x00", ("2026-05-11 08:00", "2026-05-17 08:00"), ("2026-05-11 07:59",)),
    (b"\x02\x00\x00\x00\x00\x00\x00", ("2026-05-11 00:00", "2026-05-17 23:59"), ()),
    (b"\x02\x00\x00\x08\x00\x08\x00", (), ("2026-05-11 08:00", "2026-05-11 07:59")),
    (
        b"\x03\x1f\x00\x08\x00\x12\x00",
        ("2026-01-31 08:00", "2026-05-31 08:00"),
        ("2026-04-30 08:00", "2026-05-30 08:00"),
    ),
    (
        b"\x03\x1d\x00\x08\x00\x12\x00",
        ("2024-02-29 08:00", "2026-03-29 08:00"),
        ("2026-02-28 08:00", "2026-03-01 08:00"),
    ),
    (
        b"\x03\x1f\x00\x16\x00\x06\x00",
        ("2026-01-31 22:00", "2026-02-01 05:59"),
        ("2026-02-01 06:00", "2026-01-31 05:00"),
    ),
    (b"\x01\x00\x00\x08\x00\x12\x00", (), ("2026-05-11 08:00", "2026-05-17 08:00")),
    (b"\x01\x08\x00\x08\x00\x12\x00", (), ("2026-05-11 08:00", "2026-05-17 08:00")),
    (b"\x04\x01\x00\x08\x00\x12\x00", (), ("2026-05-11 08:00", "2026-05-17 08:00")),
    (b"\x02\x00\x00\x18\x00\x12\x00", (), ("2026-05-11 00:00", "2026-05-11 12:00")),
    (b"\x02\x00\x00\x08\x00\x12\x3c", (), ("2026-05-11 08:00", "2026-05-11 12:00")),
)

PASSAGE = (
    # seven bytes of 0x66, open at these, closed at those
    (
        b"\x01\x01\x00\x08\x00\x12\x00",
        ("2026-05-11 08:00", "2026-05-11 17:59"),
        ("2026-05-11 18:00", "2026-05-12 08:00"),
    ),
    (b"\x01\x00\x00\x08\x00\x12\x00", ("2026-05-11 08:00", "2026-05-17 17:59"), ("2026-05-11 18:00",)),
    (
        b"\x01\x02\x00\x00\x00\x00\x00",
        ("2026-05-12 00:00", "2026-05-12 23:59"),
        ("2026-05-11 23:59", "2026-05-13 00:00"),
    ),
    (
        b"\x01\x02\x00\x00\x00\x17\x3b",
        ("2026-05-12 00:00", "2026-05-12 23:59"),
        ("2026-05-11 23:59", "2026-05-13 00:00"),
    ),
    (
        b"\x02\x1e\x00\x08\x00\x12\x00",
        ("2026-04-30 08:00", "2026-05-30 08:00"),
        ("2026-05-31 08:00", "2026-02-28 08:00"),
    ),
    (
        b"\x02\x1d\x02\x08\x00\x12\x00",
        ("2024-02-29 08:00", "2096-02-29 08:00"),
        ("2024-03-29 08:00", "2026-03-01 08:00"),
    ),
    (b"\x01\x01\x00\x12\x00\x08\x00", (), ("2026-05-11 19:00", "2026-05-11 12:00", "2026-05-12 07:00")),
    (b"\x01\x01\x00\x08\x00\x08\x00", (), ("2026-05-11 08:00", "2026-05-11 12:00")),
    (b"\x01\x08\x00\x08\x00\x12\x00", (), ("2026-05-11 08:00", "2026-05-18 08:00")),
    (b"\x03\x01\x00\x08\x00\x12\x00", (), ("2026-05-11 08:00", "2026-05-01 08:00")),
)


class TestWindows(unittest.TestCase):
    def check(self, windows, opened, closed, label):
        for text in opened:
            self.assertTrue(open_at(windows, text), "%s %s" % (label, text))
        for text in closed:
            self.assertFalse(open_at(windows, text), "%s %s" % (label, text))

    def test_schedule_codes(self):
        for code, opens, opened, closed in SCHEDULES:
            self.check((recurrence.schedule(code, opens),), opened, closed, code)

    def test_cyclic(self):
        for raw, opened, closed in CYCLIC:
            self.check(recurrence.cyclic(raw), opened, closed, raw)

    def test_passage(self):
        for raw, opened, closed in PASSAGE:
            self.check(recurrence.passage(raw), opened, closed, raw)

    def test_several_windows_are_read_one_after_the_other(self):
        raw = CYCLIC[0][0] + CYCLIC[5][0]
        self.assertEqual(recurrence.cyclic(raw), recurrence.cyclic(raw[:7]) + recurrence.cyclic(raw[7:]))
        self.assertEqual(recurrence.cyclic(b""), ())
        self.assertEqual(recurrence.passage(b""), ())

    def test_the_edges_of_the_calendar(self):
        every_night = recurrence.cyclic(b"\x02\x00\x00\x16\x00\x06\x00")
        last_of_month = recurrence.cyclic(b"\x03\x1f\x00\x16\x00\x06\x00")
        for windows in (every_night, last_of_month):
            self.assertFalse(open_at(windows, "2000-01-01 05:59"))  # it would have begun in 1999
            self.assertTrue(open_at(windows, "2099-12-31 23:59"))
        self.assertEqual(
            recurrence.open_until(every_night, at("2099-12-31 23:00")), at("2099-12-31 00:00") + 1440 + 360
        )
        self.assertIsNone(recurrence.closes(every_night[0], at("2099-12-31 23:59") + 1440))  # no such day

    def test_every_byte_is_read_without_an_error(self):
        for place in range(7):
            for value in range(256):
                raw = bytearray(b"\x03\x1f\x00\x08\x00\x12\x00")
                raw[place] = value
                for windows in (recurrence.cyclic(raw), recurrence.passage(raw)):
                    recurrence.open_until(windows, at("2026-05-31 12:00"))
                self.assertEqual(len(windows), 1)


class TestOpenUntil(unittest.TestCase):
    def until(self, raw, text):
        return recurrence.open_until(recurrence.passage(raw), at(text))

    def test_windows_that_overlap_or_touch_close_together(self):
        raw = (
            b"\x01\x01\x00\x08\x00\x0c\x00"  # Monday 8 to 12
            b"\x01\x01\x00\x0e\x00\x10\x00"  # 14 to 16
            b"\x01\x01\x00\x0b\x00\x0e\x00"  # 11 to 14
            b"\x01\x01\x00\x10\x01\x11\x00"  # 16:01 to 17
        )
        for text in ("2026-05-11 08:00", "2026-05-11 11:30", "2026-05-11 15:59"):
            self.assertEqual(self.until(raw, text), at("2026-05-11 16:00"))
        self.assertIsNone(self.until(raw, "2026-05-11 16:00"))
        self.assertEqual(self.until(raw, "2026-05-11 16:01"), at("2026-05-11 17:00"))
        self.assertIsNone(self.until(raw, "2026-05-11 07:59"))
        self.assertIsNone(self.until(b"", "2026-05-11 07:59"))

    def test_whole_days_join_at_midnight(self):
        raw = b"\x01\x01\x00\x00\x00\x00\x00\x01\x02\x00\x00\x00\x17\x3b"
        self.assertEqual(self.until(raw, "2026-05-11 10:00"), at("2026-05-13 00:00"))

    def test_a_door_open_for_ever_is_told_a_week_ahead(self):
        now = "2026-05-11 10:00"
        until = self.until(b"\x01\x00\x00\x00\x00\x00\x00", now)
        self.assertTrue(at(now) + 7 * 1440 <= until <= at(now) + 8 * 1440)


class TestFirstOpening(unittest.TestCase):
    def test_rows(self):
        for place, start, first in (
            (3, "2026-05-11 08:00", "2026-05-11 08:00"),  # Monday on a Monday
            (3, "2026-05-12 08:00", "2026-05-18 08:00"),
            (0, "2026-05-11 08:00", "2026-05-16 08:00"),
            (0, "2026-05-17 08:00", "2026-05-17 08:00"),
            (1, "2026-02-28 08:00", "2026-02-28 08:00"),
            (2, "2026-02-28 08:00", "2026-03-02 08:00"),
        ):
            window = recurrence.row(place, 480, 60)
            self.assertEqual(recurrence.first_opening(window, at(start)), at(first))
        self.assertEqual(
            recurrence.first_opening(recurrence.row(3, 480, 60), at("2026-05-11 08:01")), at("2026-05-18 08:00")
        )

    def test_what_never_opens_has_no_first_opening(self):
        self.assertIsNone(recurrence.first_opening(recurrence.NEVER, at("2026-05-11 08:01")))

    def test_what_is_no_row(self):
        for place, opens, length in ((-1, 0, 60), (10, 0, 60), (0, 1440, 60), (0, -1, 60), (0, 0, 0), (0, 0, 1441)):
            self.assertEqual(recurrence.row(place, opens, length), recurrence.NEVER)
