"""Messages of fingerprints, fobs and hours: what no vector shows."""

import unittest

from firmware.lib import windows
from firmware.lib.errors import BadRequest, ProtocolError
from firmware.lib.messages import cyclic_client, fingerprint_client, held_lock

CARD = b"\x12\x34\x56\x78"


def refusal(decode, plain):
    try:
        decode(plain)
    except BadRequest as err:
        return err.ble
    return None


class Windows(unittest.TestCase):
    def test_what_is_sent_is_what_the_lock_reads(self):
        for kind, day, opens, closes in ((1, 7, 0, 1440), (2, 0, 480, 1080), (3, 31, 1320, 360)):
            raw = cyclic_client.window(kind, day, opens, closes)
            for build in (cyclic_client.add, cyclic_client.remove):
                self.assertEqual(held_lock.decode_hours(build(2, CARD, raw))[1:], (2, CARD, raw))
            length = windows.cyclic(raw)[0][4]
            self.assertEqual(length, (closes - opens) % 1440 or 1440)

    def test_exactly_four_zeros_or_nothing_follow_a_window(self):
        good = cyclic_client.add(2, CARD, cyclic_client.window(2, 0, 480, 1080))
        self.assertEqual(held_lock.decode_hours(good), held_lock.decode_hours(good[:-4]))
        for bad in (good[:-1], good + b"\0", good[:-1] + b"\1", good[:-4] + b"\0\0\0"):
            with self.assertRaises(ProtocolError):
                held_lock.decode_hours(bad)

    def test_days_and_hours_out_of_range(self):
        head = b"\x02\x02\x04" + CARD
        tails = (b"\x01\x00\x00\x08\x00\x12\x00", b"\x01\x08\x00\x08\x00\x12\x00", b"\x02\x01\x00\x08\x00\x12\x00")
        tails += (b"\x03\x20\x00\x08\x00\x12\x00", b"\x00\x01\x00\x08\x00\x12\x00", b"\x04\x01\x00\x08\x00\x12\x00")
        tails += (b"\x01\x01\x00\x18\x00\x12\x00", b"\x01\x01\x00\x08\x3c\x12\x00", b"\x01\x01\x01\x08\x00\x12\x00")
        tails += (b"\x01\x01\x00\x08\x00\x08\x00",)
        for tail in tails:
            self.assertEqual(refusal(held_lock.decode_hours, head + tail), 0x1D, tail)
        self.assertEqual(refusal(held_lock.decode_hours, b"\x04\x03\x04" + CARD), 0x1D)
        self.assertEqual(refusal(held_lock.decode_hours, b"\x05\x02\x04" + CARD), 0x1B)
        with self.assertRaises(ProtocolError):
            held_lock.decode_hours(b"\x04\x01\x04" + CARD)
        for bad in ((1440, 60), (0, 0), (0, 1441)):
            with self.assertRaises(BadRequest):
                cyclic_client.window(2, 0, *bad)


class Prints(unittest.TestCase):
    def test_templates_are_an_unknown_operation(self):
        self.assertEqual(refusal(held_lock.decode_fingerprint, b"\x07\x00"), 0x1B)
        self.assertEqual(refusal(held_lock.decode_fingerprint, b"\x01\x00\x00"), 0x1B)

    def test_a_period_ends_after_it_begins(self):
        swapped = fingerprint_client.modify(5, (2026, 5, 1, 8, 0), (2026, 5, 1, 8, 0))
        self.assertEqual(refusal(held_lock.decode_fingerprint, swapped), 0x1D)

    def test_a_list_that_ends_with_its_last_entry(self):
        line = held_lock.encode_list(90, 0, b"\0\0\0\x2a\0\3", b"\x1a\3\1\x08\0\x63\1\1\0\0")
        after, found = fingerprint_client.entry(line)
        self.assertEqual((after, found.number), (None, 0x2A0003))

    def test_progress_with_its_count(self):
        self.assertEqual(
            fingerprint_client.added(held_lock.encode_pressed(90, 2, 4)),
            (fingerprint_client.PRESSED, None, 2, 4),
        )

    def test_a_fob_is_named_by_its_address(self):
        address = b"\xaa\xbb\xcc\x11\x22\x33"
        op, raw = held_lock.decode_fob(fingerprint_client.bind(address))
        self.assertEqual((op, raw), (2, b"\x33\x22\x11\xcc\xbb\xaa"))
        number = fingerprint_client.number_of(address)
        self.assertEqual(fingerprint_client.address_of(number), address)
        self.assertEqual(held_lock.decode_fob(fingerprint_client.delete(number))[1], raw)
        line = held_lock.encode_fob(90, 3, raw, b"\x1a\3\1\x08\0\x63\1\1\0\0", 55, 1)
        after, found = fingerprint_client.fob_entry(line)
        self.assertEqual((after, found.number, found.battery, found.flags), (3, number, 55, 1))
        self.assertEqual(fingerprint_client.fob_entry(held_lock.encode_list(90, None)), (None, None))
