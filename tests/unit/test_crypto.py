import os
import unittest

from firmware.lib import crypto
from firmware.lib.errors import EntropyError, ProtocolError


def octets(text):
    return bytes(int(text[place : place + 2], 16) for place in range(0, len(text), 2))


class Crypto(unittest.TestCase):
    def test_hmac_rfc_4231(self):
        cases = (
            (b"\x0b" * 20, b"Hi There", "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"),
            (
                b"\xaa" * 131,
                b"Test Using Larger Than Block-Size Key - Hash Key First",
                "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54",
            ),
        )
        for key, msg, wanted in cases:
            self.assertEqual(crypto.hmac_sha256(key, msg), octets(wanted))

    def test_hkdf_rfc_5869_case_1(self):
        found = crypto.hkdf(b"\x0b" * 22, bytes(range(13)), bytes(range(0xF0, 0xFA)), 42)
        wanted = "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865"
        self.assertEqual(found, octets(wanted))

    def test_ctr_sp_800_38a(self):
        key, count = octets("2b7e151628aed2a6abf7158809cf4f3c"), octets("f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff")
        plain = octets("6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e51")
        wanted = octets("874d6191b620e3261bef6864990db6ce9806f66b7970fdff8617187bb9fffdff")
        self.assertEqual(crypto.ctr(key, count, plain), wanted)
        self.assertEqual(crypto.ctr(key, count, b""), b"")

    def test_ctr_of_long_texts_is_that_of_single_blocks(self):
        key, start = octets("2b7e151628aed2a6abf7158809cf4f3c"), (1 << 128) - 3  # the counter wraps
        for size in (1, 255, 256, 257, 512, 777):
            plain = bytes((place * 7) & 255 for place in range(size))
            whole = crypto.ctr(key, start.to_bytes(16, "big"), plain)
            self.assertEqual(len(whole), size)
            for place in range(0, size, 16):
                count = (start + place // 16) & ((1 << 128) - 1)
                block = crypto.ctr(key, count.to_bytes(16, "big"), plain[place : place + 16])
                self.assertEqual(whole[place : place + 16], block)

    def test_hmac_of_parts_is_that_of_the_whole(self):
        whole = crypto.hmac_sha256(b"key", b"onetwo")
        self.assertEqual(crypto.hmac_sha256(b"key", b"one", b"", memoryview(b"xtwo")[1:]), whole)

    def test_every_bad_length_and_padding_is_refused(self):
        for size in list(range(1, 16)) + [0, 17, 31]:
            with self.assertRaises(ProtocolError):
                crypto.decrypt(crypto.DEFAULT_KEY, b"x" * size)
        good = crypto.encrypt(crypto.DEFAULT_KEY, b"")
        for place in range(16):  # with IV = key, a changed key bit would change the block: change the cipher text
            with self.assertRaises(ProtocolError):
                crypto.decrypt(crypto.DEFAULT_KEY, good[:place] + bytes((good[place] ^ 0x55,)) + good[place + 1 :])

    def test_equal(self):
        self.assertTrue(crypto.equal(b"abc", b"abc"))
        self.assertFalse(crypto.equal(b"abc", b"abd"))
        self.assertFalse(crypto.equal(b"abc", b"ab"))

    def test_random_below_stays_below_and_reaches_all(self):
        found = set(crypto.random_below(5) for _ in range(300))
        self.assertEqual(found, {0, 1, 2, 3, 4})
        self.assertEqual(crypto.random_below(1), 0)
        self.assertEqual(len(crypto.random_bytes(7)), 7)


class Generator:
    """Stands for the module os."""

    def __init__(self, urandom):
        self.urandom = urandom


class TestRandomGenerator(unittest.TestCase):
    def tearDown(self):
        crypto.os = os

    def refuses(self, urandom, make):
        crypto.os = Generator(urandom)
        with self.assertRaises(EntropyError):
            make()

    def test_no_key_from_a_generator_that_fails_or_repeats(self):
        def fails(n):
            raise OSError(5)

        def stuck_half_way(n):
            return os.urandom(n // 2) + bytes(n - n // 2)

        block = os.urandom(16)
        for urandom in (
            fails,
            stuck_half_way,
            lambda n: bytes(n),
            lambda n: b"\xa5" * n,
            lambda n: os.urandom(n)[1:],
            lambda n: (block * (n // 16 + 1))[:n],
            lambda n: bytes(octet & 7 for octet in os.urandom(n)),
            lambda n: (block + block[::-1] * 40)[:n],
        ):
            self.refuses(urandom, lambda: crypto.new_key(16))

    def test_no_challenge_from_a_generator_that_fails_or_repeats(self):
        def fails(n):
            raise NotImplementedError

        for urandom in (fails, lambda n: b"\xff" * n):
            self.refuses(urandom, lambda: crypto.random_below(0x7FFFFFFF))
            self.refuses(urandom, lambda: crypto.random_bytes(4))

    def test_a_good_generator_is_not_refused(self):
        found = set(crypto.new_key(16) for _ in range(300))
        self.assertEqual(len(found), 300)
