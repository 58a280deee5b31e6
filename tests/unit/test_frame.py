import unittest

from firmware.lib import frame
from firmware.lib.errors import ProtocolError


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
