import unittest

from firmware.lib import records

DATE = (2026, 5, 11, 14, 23, 7)


class Records(unittest.TestCase):
    def test_mask_keeps_lengths_and_layout(self):
        raw = records.encode(4, DATE, 90, records.by_code(b"123456", b"987654321"))
        masked = records.mask(raw)
        self.assertEqual(len(masked), len(raw))
        fields = records.fields(records.decode(masked))
        self.assertEqual(fields, {"code": "******", "new_code": "*********"})

    def test_mask_of_every_form_with_a_code(self):
        tails = (
            (7, records.by_wrong_code(b"1234")),
            (8, records.codes_cleared(DATE) + b"\x041234"),
            (93, records.code_added(b"1234", b"\x1a\x05\x11\x0c\x30", b"\x1a\x05\x12\x0c\x00")),
        )
        for kind, tail in tails:
            masked = records.mask(records.encode(kind, DATE, 90, tail))
            self.assertTrue(b"\x04****" in masked)
            self.assertFalse(b"1234" in masked)

    def test_records_without_codes_are_left_alone(self):
        raw = records.encode(17, DATE, 90, records.by_card(b"1234"))
        self.assertEqual(records.mask(raw), raw)

    def test_unknown_type_is_kept(self):
        record = records.decode(records.encode(200, DATE, 90, b"whatever"))
        self.assertEqual((record.type, records.fields(record), record.tail), (200, {}, b"whatever"))
        self.assertEqual(records.meaning(200), ("other", "unknown", True))

    def test_tails_that_nobody_has_seen_are_kept_and_not_read(self):
        for kind in (107, 111, 115, 116, 249):
            for tail in (b"", b"\x01\x02\x03\x04", b"\x06123456"):
                record = records.decode(records.encode(kind, DATE, 7, tail))
                self.assertEqual((record.type, record.tail, records.fields(record)), (kind, tail, {}))

    def test_unset_clock_costs_the_date_only(self):
        record = records.decode(b"\x0e" + b"\x00" * 6 + b"\x5a")
        self.assertEqual((record.date, record.battery), (None, 90))

    def test_meanings(self):
        table = (
            (1, ("unlock", "app", True)),
            (4, ("unlock", "passcode", True)),
            (7, ("unlock_failed", "passcode", False)),
            (17, ("unlock", "card", True)),
            (20, ("unlock", "fingerprint", True)),
            (26, ("lock", "app", True)),
            (28, ("unlock", "gateway", True)),
            (44, ("alarm", "unknown", True)),
            (45, ("lock", "auto_lock", True)),
            (48, ("alarm", "unknown", True)),
            (93, ("credential_changed", "passcode", True)),
            (107, ("other", "unknown", True)),
            (111, ("unlock", "sensor", True)),
            (115, ("alarm", "sensor", True)),
            (116, ("alarm", "sensor", True)),
            (249, ("other", "unknown", True)),
        )
        for kind, wanted in table:
            self.assertEqual(records.meaning(kind), wanted)
        for kind in range(256):
            event, method, _ = records.meaning(kind)
            self.assertTrue(event in records.EVENTS and method in records.METHODS + records.OTHER_METHODS)


class Listed(unittest.TestCase):
    def test_card_and_fingerprint_have_other_numbers_in_the_list(self):  # the two published samples
        self.assertEqual((records.listed(17), records.listed(20)), ((7, False), (8, False)))

    def test_failures_and_what_is_not_listed(self):
        self.assertEqual(records.listed(11), (4, True))
        for type in (111, 115, 116):  # nothing that concerns the door or the house stays out of the list
            self.assertEqual(records.listed(type), (type, False))
        for type in (0, 2, 14, 93, 101, 102, 107, 200, 249, 255):
            self.assertEqual(records.listed(type), (None, False))

    def test_what_the_list_calls_a_failure_is_not_reported_as_done(self):
        for type in range(256):
            if records.listed(type)[1]:
                self.assertFalse(records.meaning(type)[2])
