import unittest

from firmware.lib import dns_packet
from firmware.lib.errors import ProtocolError

# An answer of a resolver: question, an alias, and behind it the address (RFC 1035 4.1, with compression)
_HEAD = bytes.fromhex("1234818000010002000000000662726f6b657204686f6d650000010001")
_ALIAS = bytes.fromhex("c00c0005000100000004000603766961c013")
_ADDRESS = bytes.fromhex("c02900010001000000040004c0a80107")
_ANSWER = _HEAD + _ALIAS + _ADDRESS


class DnsTest(unittest.TestCase):
    def test_question(self):
        self.assertEqual(
            dns_packet.encode_query("broker.home", 0x1234),
            bytes.fromhex("1234010000010000000000000662726f6b657204686f6d650000010001"),
        )
        self.assertEqual(dns_packet.encode_query("a.b.", 1), dns_packet.encode_query("a.b", 1))
        for host in ("", "a..b", "x" * 64 + ".y", "a." * 127 + "b", "."):
            with self.assertRaises(ProtocolError):
                dns_packet.encode_query(host, 1)

    def test_answer_behind_an_alias(self):
        self.assertEqual(dns_packet.decode_answer(_ANSWER, 0x1234), "192.168.1.7")
        self.assertEqual(dns_packet.decode_answer(memoryview(_ANSWER), 0x1234), "192.168.1.7")

    def test_what_is_refused(self):
        for size in range(len(_ANSWER)):
            with self.assertRaises(ProtocolError):
                dns_packet.decode_answer(_ANSWER[:size], 0x1234)
        for at, octet in ((0, 0x13), (2, 0x01), (3, 0x83), (3, 0x82)):
            bad = bytearray(_ANSWER)
            bad[at] = octet
            with self.assertRaises(ProtocolError):
                dns_packet.decode_answer(bad, 0x1234)
        with self.assertRaises(ProtocolError):
            dns_packet.decode_answer(_HEAD[:7] + b"\x01" + _HEAD[8:] + _ALIAS, 0x1234)

    def test_addresses_of_ip_6(self):
        question = dns_packet.encode_query("broker.home", 0x1234, 28)
        self.assertEqual(question[-4:], b"\x00\x1c\x00\x01")
        head = _HEAD[:-4] + b"\x00\x1c\x00\x01"

        def record(address):
            return bytes.fromhex("c029001c0001000000040010") + bytes.fromhex(address)

        ula, local = "fd000000000000000000000000000007", "fe800000000000000000000000000001"
        whole = head + _ALIAS + record(ula)
        self.assertEqual(dns_packet.decode_answer(whole, 0x1234, 28), "fd00:0:0:0:0:0:0:7")
        self.assertTrue(dns_packet.is_address("fd00:0:0:0:0:0:0:7"))
        three = head[:7] + b"\x03" + head[8:] + _ALIAS + record(local) + record(ula)
        self.assertEqual(dns_packet.decode_answer(three, 0x1234, 28), "fd00:0:0:0:0:0:0:7")
        for raw, kind in ((whole, 1), (_ANSWER, 28), (head + _ALIAS + record(local), 28)):
            with self.assertRaises(ProtocolError):
                dns_packet.decode_answer(raw, 0x1234, kind)
        for size in range(len(whole)):
            with self.assertRaises(ProtocolError):
                dns_packet.decode_answer(whole[:size], 0x1234, 28)

    def test_garbage_raises_nothing_else(self):
        state = 1
        for turn in range(3000):
            raw = bytearray(_ANSWER)
            for _ in range(1 + turn % 4):
                state = (state * 1103515245 + 12345) & 0x7FFFFFFF
                raw[state % len(raw)] = state >> 16 & 0xFF
            try:
                found = dns_packet.decode_answer(raw, 0x1234)
                self.assertTrue(dns_packet.is_address(found))
            except ProtocolError:
                pass

    def test_addresses(self):
        self.assertTrue(dns_packet.is_address("10.0.0.255"))
        for text in ("10.0.0.256", "10.0.0", "a.b.c.d", "1.2.3.4.5", ""):
            self.assertFalse(dns_packet.is_address(text))
        for text in ("::1", "fd00::2", "FD00::2", "::ffff:10.0.0.1", "fe80::1%eth0", "2001:db8:0:0:0:0:0:1"):
            self.assertTrue(dns_packet.is_address(text))
        self.assertFalse(dns_packet.is_address("broker:1883"))

    def test_what_only_writing_needs_is_taken_off(self):
        for text, wanted in (
            ("[::1]", "::1"),
            ("::1", "::1"),
            ("fd00::2.", "fd00::2"),
            ("broker.home.", "broker.home"),
            ("Broker.LOCAL.", "Broker.LOCAL"),
            ("10.0.0.7", "10.0.0.7"),
            ("", ""),
        ):
            self.assertEqual(dns_packet.bare(text), wanted)
