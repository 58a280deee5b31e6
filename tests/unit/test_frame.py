import unittest

from firmware.lib import frame
from firmware.lib.errors import ProtocolError
from firmware.lib.frame import Reassembler

GOOD = frame.encode(0x14, b"\r\n\x7f\x5a0123456789\r\n")
LONGEST = frame.encode(0x14, b"\x7f\x5a\x05" * 85)


class TestFrame(unittest.TestCase):
    def test_fields_round_trip(self):
        found = frame.decode(frame.encode(0x47, b"payload", scene=2, group=10, org=12))
        shown = (found.command, found.payload, found.protocol, found.version, found.scene, found.group, found.org)
        self.assertEqual(shown, (0x47, b"payload", 5, 3, 2, 10, 12))

    def test_crc_kind_tells_the_table_where_they_differ(self):
        kinds = set()
        for command in range(256):
            for vendor in (False, True):
                raw = frame.encode(command, b"", vendor=vendor)
                kind = frame.decode(raw).crc_kind
                if frame.tables_differ(raw):
                    self.assertEqual(kind, frame.CRC_VENDOR if vendor else frame.CRC_STANDARD)
                else:
                    self.assertEqual(kind, frame.CRC_EITHER)
                kinds.add(kind)
        self.assertEqual(len(kinds), 3)

    def test_every_single_bit_error_but_in_ignored_places_is_refused(self):
        raw = frame.encode(0x14, b"0123456789abcdef")
        for place in range(len(raw)):
            for bit in range(8):
                bad = bytearray(raw)
                bad[place] ^= 1 << bit
                with self.assertRaises(ProtocolError):
                    frame.decode(bytes(bad))

    def test_payload_too_long(self):
        self.assertEqual(len(frame.encode(1, b"x" * 255)), frame.MAX_FRAME)
        with self.assertRaises(ProtocolError):
            frame.encode(1, b"x" * 256)

    def test_chunks(self):
        raw = b"0123456789abcdefgh\r\nxyz"
        self.assertEqual(list(frame.chunks(raw)), [raw[:20], raw[20:]])
        self.assertEqual(list(frame.chunks(raw, shaped=True)), [raw[:19], raw[19:]])
        self.assertEqual(list(frame.chunks(raw[:20], shaped=True)), [raw[:20]])


class TestReassembler(unittest.TestCase):
    def test_every_chunk_size_finds_every_frame(self):
        for size in (1, 2, 3, 7, 20, 100, 270, 600):
            parts = Reassembler()
            found = []
            for chunk in frame.chunks(GOOD + LONGEST + GOOD, size):
                found += parts.feed(chunk)
            self.assertEqual(found, [GOOD, LONGEST, GOOD])
            self.assertEqual((parts.pending, parts.dropped), (0, 0))

    def test_noise_before_a_frame_is_dropped_and_counted(self):
        parts = Reassembler()
        self.assertEqual(parts.feed(b"noise\x7f" + GOOD), [GOOD])
        self.assertEqual(parts.dropped, 6)

    def test_missing_trailer_resynchronises_inside_the_false_frame(self):
        false = b"\x7f\x5a\x05\x03\x01\x00\x01\x00\x01\x14\xaa\x20"
        parts = Reassembler()
        self.assertEqual(parts.feed(false + GOOD + GOOD), [GOOD, GOOD])

    def test_lone_header_byte_at_the_end_is_kept(self):
        parts = Reassembler()
        self.assertEqual(parts.feed(b"xx" + GOOD[:1]), [])
        self.assertEqual(parts.pending, 1)
        self.assertEqual(parts.feed(GOOD[1:]), [GOOD])

    def test_damage_is_counted_once_for_each_thing_that_was_no_frame(self):
        legacy = b"\x7f\x5a\x02" + bytes(40)
        for size in (1, 20, 600):
            parts = Reassembler()
            found = []
            for chunk in frame.chunks(legacy + legacy + b"noise" + GOOD + b"noise" + GOOD + legacy, size):
                found += parts.feed(chunk)
            self.assertEqual((len(found), parts.damaged), (2, 4))

    def test_rest_of_a_frame_is_waited_for_two_seconds(self):
        for begins in (0, 5000, (1 << 30) - 1000):  # the last: ticks that wrap meanwhile, or do not
            parts = Reassembler()
            parts.feed(GOOD[:10], begins)
            self.assertEqual(parts.feed(GOOD[10:], begins + 1999), [GOOD])
            parts.feed(GOOD[:10], begins)
            parts.feed(GOOD[10:15], begins + 1999)
            self.assertEqual(parts.feed(GOOD[15:], begins + 2000), [])  # counted from its first byte
            self.assertEqual(parts.feed(GOOD, begins + 2001), [GOOD])
        parts = Reassembler()
        parts.feed(GOOD + GOOD[:10], 1000)
        parts.feed(GOOD[10:] + GOOD[:10], 2000)
        self.assertEqual(parts.feed(GOOD[10:], 3999), [GOOD])
        parts.feed(GOOD[:10], 1000)
        self.assertEqual(parts.feed(GOOD, 5), [GOOD])  # the clock has wrapped

    def test_reset_forgets_a_part(self):
        parts = Reassembler()
        parts.feed(GOOD[:10])
        parts.reset()
        self.assertEqual((parts.pending, parts.dropped), (0, 10))
        self.assertEqual(parts.feed(GOOD), [GOOD])
