import unittest
from binascii import a2b_base64, b2a_base64, unhexlify

from firmware.lib import sealed, x25519
from firmware.lib.errors import AuthError, ProtocolError

_SECRET = unhexlify("77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a")
_PUBLIC = unhexlify("8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a")


class Sealed(unittest.TestCase):
    def refused(self, kind, text, id="7", op="import", secret=_SECRET, public=_PUBLIC):
        with self.assertRaises(kind):
            sealed.unseal(text, secret, public, id, op)

    def test_round_trip(self):
        for plain in (b"{}", b'{"aes":"' + b"0" * 300 + b'"}'):
            text = sealed.seal(plain, _PUBLIC, "7", "import")
            self.assertEqual(sealed.unseal(text, _SECRET, _PUBLIC, "7", "import"), plain)

    def test_generator_yields_none_until_the_bytes(self):
        seen = list(sealed.unseal_steps(sealed.seal(b"{}", _PUBLIC, "7", "x"), _SECRET, _PUBLIC, "7", "x"))
        self.assertEqual((set(seen[:-1]), seen[-1]), ({None}, b"{}"))

    def test_two_seals_differ_and_hide_the_plain_text(self):
        one = a2b_base64(sealed.seal(b"secret code", _PUBLIC, "7", "x"))
        two = a2b_base64(sealed.seal(b"secret code", _PUBLIC, "7", "x"))
        self.assertNotEqual(one, two)
        self.assertEqual((one.find(b"secret"), len(one)), (-1, 32 + 11 + 32))

    def test_is_bound_to_id_op_and_gateway(self):
        text = sealed.seal(b"{}", _PUBLIC, "7", "import")
        self.refused(AuthError, text, id="8")
        self.refused(AuthError, text, op="unlock")
        self.refused(AuthError, text, secret=bytes(31) + b"\x01", public=x25519.public_key(bytes(31) + b"\x01"))

    def test_is_bound_to_topic_and_time(self):
        place = "gatehouse/001122334455/cmd", 1790000000
        text = sealed.seal(b"{}", _PUBLIC, "7", "import", place[0], place[1])
        self.assertEqual(sealed.unseal(text, _SECRET, _PUBLIC, "7", "import", place[0], place[1]), b"{}")
        others = (("gatehouse/001122334456/cmd", place[1]), ("gatehouse/001122334455/lock/00/cmd", place[1]))
        others += ((place[0], place[1] + 1), (place[0], None), (None, place[1]))
        for topic, iat in others:
            with self.assertRaises(AuthError):
                sealed.unseal(text, _SECRET, _PUBLIC, "7", "import", topic, iat)
        with self.assertRaises(AuthError):  # and what is bound to neither does not pass for it
            old = sealed.seal(b"{}", _PUBLIC, "7", "import")
            sealed.unseal(old, _SECRET, _PUBLIC, "7", "import", place[0], place[1])

    def test_any_altered_part_is_refused(self):
        raw = a2b_base64(sealed.seal(b'{"a":1}', _PUBLIC, "7", "import"))
        for at in (0, 31, 32, len(raw) - 33, len(raw) - 32, len(raw) - 1):
            bad = bytearray(raw)
            bad[at] ^= 1
            self.refused(AuthError, b2a_base64(bytes(bad)).decode().strip())

    def test_key_of_small_order_is_refused(self):
        self.refused(AuthError, b2a_base64(bytes(32 + 2 + 32)).decode().strip())

    def test_form(self):
        short = b2a_base64(bytes(63)).decode().strip()
        for text in ("", "A", "AAA", "====", short, "!" * 88, "A" * 87 + "\n", "\u00e4" * 44, "A" * 1028):
            self.refused(ProtocolError, text)
