import unittest

from firmware.lib.errors import ProtocolError
from firmware.lib.utf8 import decode_utf8


class DecodeUtf8(unittest.TestCase):
    def test_good(self):
        for text in ("", "a", "\u0080\u07ff\u0800\ud7ff\ue000\uffff", chr(0x10000) + chr(0x10FFFF)):
            self.assertEqual(decode_utf8(text.encode()), text)

    def test_bad(self):
        for raw in (
            b"\x80",
            b"\xc3",
            b"\xc0\x80",
            b"\xc1\xbf",
            b"\xe0\x9f\xbf",
            b"\xed\xa0\x80",
            b"\xf0\x8f\xbf\xbf",
            b"\xf4\x90\x80\x80",
            b"\xf5\x80\x80\x80",
            b"\xe2\x82",
            b"\xe2(\xa1",
            b"\xff",
        ):
            for wrap in (b"", b"ok"):
                with self.assertRaises(ProtocolError):
                    decode_utf8(wrap + raw)
                with self.assertRaises(ProtocolError):
                    decode_utf8(wrap + raw + wrap)
