import unittest

from firmware.lib import sntp
from firmware.lib.errors import ProtocolError

_TOKEN = b"\x01\x02\x03\x04\x05\x06\x07\x08"


def reply(seconds=0xEC1A3C5B, fraction=0x80000000, first=0x24, stratum=2, token=_TOKEN):
    return (
        bytes([first, stratum])
        + bytes(22)
        + token
        + bytes(8)
        + seconds.to_bytes(4, "big")
        + fraction.to_bytes(4, "big")
    )


class Sntp(unittest.TestCase):
    def test_request(self):
        got = sntp.encode_request(_TOKEN)
        self.assertEqual((len(got), got[0], got[40:]), (48, 0x23, _TOKEN))

    def test_reply(self):
        self.assertEqual(sntp.decode_reply(reply(2208988800 + 1, 0), _TOKEN), 1000)
        self.assertEqual(sntp.decode_reply(reply(0xFFFFFFFF), _TOKEN), (0xFFFFFFFF - 2208988800) * 1000 + 500)
        self.assertEqual(sntp.decode_reply(reply(first=0x1C) + b"extension", _TOKEN) % 1000, 500)

    def test_era_after_february_2036(self):
        self.assertEqual(sntp.decode_reply(reply(1, 0), _TOKEN), 2085978497000)
        self.assertEqual(sntp.decode_reply(reply(0), _TOKEN), 2085978496500)

    def test_what_is_refused(self):
        good = reply()
        for bad in (
            b"",
            good[:47],
            reply(token=bytes(8)),
            reply(first=0x23),  # a client's packet
            reply(first=0x25),  # broadcast
            reply(first=0x14),  # version 2
            reply(first=0xE4),  # server not synchronised
            reply(stratum=0),  # kiss of death
            reply(stratum=16),
            reply(0, 0),
        ):
            with self.assertRaises(ProtocolError):
                sntp.decode_reply(bad, _TOKEN)
        for size in range(48):
            with self.assertRaises(ProtocolError):
                sntp.decode_reply(good[:size], _TOKEN)
