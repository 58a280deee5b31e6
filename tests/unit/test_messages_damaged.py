"""Truncated, oversized and corrupted input at every length, for every decoder: ProtocolError and nothing else."""

import unittest

from firmware.lib import advert, records
from firmware.lib.errors import BadRequest, ProtocolError
from tests.decoders import CLIENT, LOCK


def damaged(good):
    """Every truncation, some extensions, and every byte replaced by a few others."""
    for size in range(len(good)):
        yield good[:size]
    for tail in (b"\x00", b"\xff", b"\x00" * 5, b"\x01" * 16, b"9" * 250):
        yield good + tail
    for place in range(len(good)):
        for value in (0x00, 0x01, 0x02, 0x09, 0x0A, 0x10, 0x2A, 0x39, 0x3A, 0x5A, 0x7F, 0x80, 0x99, 0xFE, 0xFF):
            yield good[:place] + bytes((value,)) + good[place + 1 :]


class Damaged(unittest.TestCase):
    def test_decoders_of_answers(self):
        for decode, good in CLIENT:
            decode(good)
            for raw in damaged(good):
                try:
                    decode(raw)
                except ProtocolError:
                    pass

    def test_decoders_of_requests(self):
        for decode, good in LOCK:
            decode(good)
            for raw in damaged(good):
                try:
                    decode(raw)
                except ProtocolError:
                    pass
                except BadRequest as err:
                    self.assertTrue(err.ble in (0x0E, 0x0F, 0x1B, 0x1D), raw)

    def test_masking_leaves_no_digit_of_a_code_however_damaged(self):
        for kind in (4, 5, 7, 8, 93):
            good = bytes((kind,)) + b"\x1a\x05\x0b\x0e\x17\x07\x5a\x041111\x042222"
            for raw in damaged(good):
                if not raw or raw[0] != kind:
                    continue
                masked = records.mask(raw)
                self.assertEqual(len(masked), len(raw))
                self.assertFalse(b"2222" in masked[8:] or b"1111" in masked[8:])

    def test_advertisements(self):
        for good in (b"\x05\x03\x02\x0c\x64\x00\x00\x00\x00\x33\x22\x11\xcc\xbb\xaa", b"\x34\x12" + b"\x05" * 14):
            for raw in damaged(good):
                advert.decode_manufacturer(raw)
