import unittest
from binascii import unhexlify

from firmware.lib import x25519
from firmware.lib.errors import ProtocolError


class Rfc7748(unittest.TestCase):
    """Known answers of RFC 7748 5.2 and 6.1."""

    def test_single_vectors(self):
        for secret, peer, want in (
            (
                "a546e36bf0527c9d3b16154b82465edd62144c0ac1fc5a18506a2244ba449ac4",
                "e6db6867583030db3594c1a424b15f7c726624ec26b3353b10a903a6d0ab1c4c",
                "c3da55379de9c6908e94ea4df28d084f32eccf03491c71f754b4075577a28552",
            ),
            (
                "4b66e9d4d1b4673c5ad22691957d6af5c11b6421e0ea01d42ca4169e7918ba0d",
                "e5210f12786811d3f4b7959d0538ae2c31dbe7106fc03c3efc4cd549c715a493",
                "95cbde9476e8907d7aade45cb4b873f88b595a68799fa152e6f8f7647aac7957",
            ),
        ):
            self.assertEqual(x25519.shared(unhexlify(secret), unhexlify(peer)), unhexlify(want))

    def test_diffie_hellman(self):
        alice = unhexlify("77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a")
        bob = unhexlify("5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb")
        alice_public = x25519.public_key(alice)
        bob_public = x25519.public_key(bob)
        self.assertEqual(alice_public, unhexlify("8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a"))
        self.assertEqual(bob_public, unhexlify("de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f"))
        want = unhexlify("4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742")
        self.assertEqual(x25519.shared(alice, bob_public), want)
        self.assertEqual(x25519.shared(bob, alice_public), want)

    def test_one_iteration(self):
        start = b"\x09" + bytes(31)
        want = unhexlify("422c8e7a6227d7bca1350b3e2bb7279f7897b87bb6854b783c60e80311ae3079")
        self.assertEqual(x25519.shared(start, start), want)


class Form(unittest.TestCase):
    def test_steps_yield_none_until_the_secret(self):
        seen = list(x25519.steps(bytes(32), b"\x09" + bytes(31)))
        self.assertEqual((len(seen), set(seen[:-1]), len(seen[-1])), (256, {None}, 32))

    def test_small_order_gives_zero(self):
        for peer in (bytes(32), b"\x01" + bytes(31)):
            self.assertEqual(x25519.shared(b"\x55" * 32, peer), bytes(32))

    def test_refuses_other_lengths(self):
        for secret, peer in ((bytes(31), bytes(32)), (bytes(32), bytes(33)), (b"", b"")):
            with self.assertRaises(ProtocolError):
                x25519.shared(secret, peer)
