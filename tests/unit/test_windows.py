import unittest

from firmware.lib import dates, recurrence, windows


def at(text):
    """ "2026-05-11 08:00" -> minutes since 2000"""
    return dates.to_minutes((int(text[:4]), int(text[5:7]), int(text[8:10]), int(text[11:13]), int(text[14:16])))


def open_at(found, text):
    return any(recurrence.closes(window, at(text)) is not None for window in found)


# 2026-05-11 is a Monday.
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
    (  # Monday 22:00 to 06:00
        b"\x01\x01\x00\x16\x00\x06\x00",
        ("2026-05-11 22:00", "2026-05-12 05:59"),
        ("2026-05-11 21:59", "2026-05-12 06:00", "2026-05-11 05:59", "2026-05-12 22:00"),
    ),
    (b"\x01\x01\x00\x16\x00\x00\x00", ("2026-05-11 23:59",), ("2026-05-12 00:00",)),
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
    (b"\x01\x01\x00\x08\x00\x08\x00", (), ("2026-05-11 08:00", "2026-05-11 12:00")),
    (b"\x01\x08\x00\x08\x00\x12\x00", (), ("2026-05-11 08:00", "2026-05-18 08:00")),
    (b"\x03\x01\x00\x08\x00\x12\x00", (), ("2026-05-11 08:00", "2026-05-01 08:00")),
)


class TestWindows(unittest.TestCase):
    def check(self, found, opened, closed, label):
        for text in opened:
            self.assertTrue(open_at(found, text), "%s %s" % (label, text))
        for text in closed:
            self.assertFalse(open_at(found, text), "%s %s" % (label, text))

    def test_cyclic(self):
        for raw, opened, closed in CYCLIC:
            self.check(windows.cyclic(raw), opened, closed, raw)

    def test_passage(self):
        for raw, opened, closed in PASSAGE:
            self.check(windows.passage(raw), opened, closed, raw)

    def test_several_windows_are_read_one_after_the_other(self):
        raw = CYCLIC[0][0] + CYCLIC[5][0]
        self.assertEqual(windows.cyclic(raw), windows.cyclic(raw[:7]) + windows.cyclic(raw[7:]))
        self.assertEqual(windows.cyclic(b""), ())
        self.assertEqual(windows.passage(b""), ())

    def test_every_byte_is_read_without_an_error(self):
        for place in range(7):
            for value in range(256):
                raw = bytearray(b"\x03\x1f\x00\x08\x00\x12\x00")
                raw[place] = value
                for found in (windows.cyclic(raw), windows.passage(raw)):
                    windows.open_until(found, at("2026-05-31 12:00"))
                self.assertEqual(len(found), 1)


class TestOpenUntil(unittest.TestCase):
    def until(self, raw, text):
        return windows.open_until(windows.passage(raw), at(text))

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

    def test_the_last_night_of_the_calendar(self):
        every_night = windows.cyclic(b"\x02\x00\x00\x16\x00\x06\x00")
        self.assertEqual(windows.open_until(every_night, at("2099-12-31 23:00")), at("2099-12-31 00:00") + 1440 + 360)
