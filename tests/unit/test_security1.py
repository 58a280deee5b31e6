"""Security 1, the device's end: the key stream and the key against vectors of others, and the handshake: every message
altered, replayed, out of order or for another session ends it."""

import unittest

from firmware.lib import protobuf, protocomm, security1, x25519
from firmware.lib.errors import AuthError, FirmwareError, ProtocolError
from tests.unit.window_rig import DEVICE, POP, PUBLIC, SECRET, wrong

# NIST SP 800-38A, F.5.5: CTR-AES256
KEY = "603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4"
START = "f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff"
PLAIN = (
    "6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e51"
    "30c81c46a35ce411e5fbc1191a0a52eff69f2445df4f9b17ad2b417be66c3710"
)
CIPHER = (
    "601ec313775789a5b7a7f504bbf3d228f443e3ca4d62b59aca84e990cacaf5c5"
    "2b0930daa23de94ce87017ba2d84988ddfc9c58db67aada613c2dd08457941a6"
)
BEGIN = bytes(range(16))


def session():
    return security1.Session(POP.encode(), DEVICE, BEGIN)


def greeting(public=PUBLIC):
    return protocomm.encode_session(protocomm.COMMAND0, protobuf.octets(1, public))


def proof(pop=POP.encode(), start=BEGIN):
    key = security1.key_of(x25519.shared(SECRET, DEVICE[1]), pop)
    stream = security1.Stream(key, start)
    return protocomm.encode_session(protocomm.COMMAND1, protobuf.octets(2, stream.take(DEVICE[1]))), stream


class StreamTest(unittest.TestCase):
    def test_the_key_stream_is_that_of_nist_in_pieces_of_any_size(self):
        plain, cipher = bytes.fromhex(PLAIN), bytes.fromhex(CIPHER)
        for size in (1, 5, 15, 16, 17, 31, 64):
            stream = security1.Stream(bytes.fromhex(KEY), bytes.fromhex(START))
            made = b""
            for at in range(0, len(plain), size):
                made += stream.take(plain[at : at + size])
            self.assertEqual(made, cipher)

    def test_the_counter_goes_on_behind_its_largest_number(self):
        first = security1.Stream(bytes.fromhex(KEY), b"\xff" * 16)
        second = security1.Stream(bytes.fromhex(KEY), bytes(16))
        first.take(bytes(16))
        self.assertEqual(first.take(bytes(40)), second.take(bytes(40)))

    def test_a_public_key_of_small_order_makes_no_key(self):
        with self.assertRaises(AuthError):
            security1.key_of(x25519.shared(SECRET, bytes(32)), POP.encode())


class HandshakeTest(unittest.TestCase):
    def test_who_knows_the_proof_of_possession_gets_a_session(self):
        one = session()
        kind, members = protocomm.decode_session(one.handshake(greeting()))
        self.assertEqual((kind, members), (protocomm.RESPONSE0, {2: DEVICE[1], 3: BEGIN}))
        self.assertFalse(one.is_open)
        message, stream = proof()
        kind, members = protocomm.decode_session(one.handshake(message))
        self.assertEqual((kind, stream.take(members[3])), (protocomm.RESPONSE1, PUBLIC))
        self.assertTrue(one.is_open)
        self.assertEqual(one.crypt(stream.take(b"there")), b"there")
        self.assertEqual(stream.take(one.crypt(b"back")), b"back")

    def test_every_other_proof_of_possession_is_refused(self):
        for pop in [b"", POP.upper().encode()] + [each for each in wrong(POP.encode())]:
            one = session()
            one.handshake(greeting())
            with self.assertRaises(AuthError):
                one.handshake(proof(pop)[0])
            self._is_over(one)

    def test_every_message_altered_ends_the_session(self):
        first, second = greeting(), proof()[0]
        accepted = 0
        for each in wrong(first):
            one = session()
            try:
                one.handshake(each)
                one.handshake(second)
                accepted += 1
            except FirmwareError:
                self._is_over(one)
        for each in wrong(second):
            one = session()
            one.handshake(first)
            try:
                one.handshake(each)
                accepted += 1
            except FirmwareError:
                self._is_over(one)
        self.assertEqual(accepted, 0)

    def test_every_other_order_ends_the_session(self):
        first, second = greeting(), proof()[0]
        for order in ((second,), (first, first), (second, first), (first, second, second), (first, second, first)):
            one = session()
            with self.assertRaises(ProtocolError):
                for each in order:
                    one.handshake(each)
            self._is_over(one)

    def test_a_proof_of_another_session_is_none(self):
        one = security1.Session(POP.encode(), DEVICE, bytes(16))
        one.handshake(greeting())
        with self.assertRaises(AuthError):
            one.handshake(proof()[0])
        self._is_over(one)

    def test_a_public_key_of_small_order_is_refused(self):
        for public in (bytes(32), b"\x01" + bytes(31)):
            one = session()
            one.handshake(greeting(public))
            with self.assertRaises(AuthError):
                one.handshake(proof()[0])
            self._is_over(one)

    def _is_over(self, one):
        self.assertFalse(one.is_open)
        with self.assertRaises(AuthError):
            one.crypt(b"any")
        for each in (greeting(), proof()[0]):
            with self.assertRaises(FirmwareError):
                one.handshake(each)
        self.assertFalse(one.is_open)


class MacTest(unittest.TestCase):
    def test_texts_come_once_in_order_and_unaltered(self):
        here, there = security1.Macs(SECRET), security1.Macs(SECRET)
        first = here.seal(security1.TO_DEVICE, b"first")
        second = here.seal(security1.TO_DEVICE, b"second")
        for each in list(wrong(first)) + [second, b"", b"short"]:
            with self.assertRaises(AuthError):
                security1.Macs(SECRET).unseal(security1.TO_DEVICE, each)
        self.assertEqual(there.unseal(security1.TO_DEVICE, first), b"first")
        with self.assertRaises(AuthError):
            security1.Macs(SECRET).unseal(security1.TO_CLIENT, first)
        self.assertEqual(there.unseal(security1.TO_DEVICE, second), b"second")
        with self.assertRaises(AuthError):
            there.unseal(security1.TO_DEVICE, second)


if __name__ == "__main__":
    unittest.main()
