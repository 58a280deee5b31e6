"""What a gateway says where it does not know: refused proofs, values that nobody has told."""

import unittest

from firmware.gateway import lock as locks
from firmware.lib import opcodes
from firmware.lib.errors import from_ble
from tests.unit.gateway_rig import ADDRESS


class UnknownTest(unittest.TestCase):
    def test_a_refused_proof_makes_the_header_suspect_before_the_keys(self):
        for command in (opcodes.CHECK_USER, opcodes.CHECK_ADMIN):  # hardware-facts.md F22
            for ble in range(256):
                meant = ble in (0x0A, 0x0D, 0x0E, 0x11, 0x1C, 0x1E)
                text = str(from_ble(command, ble))
                self.assertEqual("header" in text, not meant, "%02x" % ble)
                self.assertTrue(len(text) <= 120)  # all of it is published
        self.assertFalse("header" in str(from_ble(opcodes.UNLOCK, 8)))

    def test_what_was_never_told_is_null_and_not_a_value(self):
        told = locks.Lock(ADDRESS, bytes(16)).summary()
        for key in ("model", "hardware", "firmware", "features", "battery", "lock"):
            self.assertEqual(told[key], None, key)
        self.assertEqual(locks.Lock(ADDRESS, bytes(16)).lacks("unlock"), False)


if __name__ == "__main__":
    unittest.main()
