import unittest

from firmware.lib import errors, opcodes


class FromBle(unittest.TestCase):
    """The table of domain.md 5.5, column "from BLE code"."""

    def test_words_and_reasons(self):
        table = (
            (0x01, "protocol", None),
            (0x02, "auth", None),
            (0x03, "auth", None),
            (0x04, "refused", "full"),
            (0x07, "refused", "already_paired"),
            (0x08, "auth", None),
            (0x0A, "refused", "low_battery"),
            (0x0D, "auth", None),
            (0x0E, "refused", "not_valid_now"),
            (0x0F, "bad_request", None),
            (0x13, "refused", "other"),
            (0x14, "refused", "exists"),
            (0x15, "refused", "not_found"),
            (0x16, "refused", "full"),
            (0x19, "refused", "exists"),
            (0x1B, "unsupported", None),
            (0x1C, "refused", "frozen"),
            (0x1D, "bad_request", None),
            (0x1E, "refused", "double_locked"),
            (0xEE, "refused", "other"),
        )
        for code, word, reason in table:
            err = errors.from_ble(opcodes.UNLOCK, code)
            self.assertEqual((err.code, getattr(err, "reason", None), err.ble), (word, reason, code))

    def test_error_19_to_device_info_means_no_such_item(self):
        self.assertEqual(errors.from_ble(opcodes.DEVICE_INFO, 0x19).code, "unsupported")

    def test_only_what_carries_the_byte_of_a_lock_is_its_answer(self):
        for code in (0x00, 0x01, 0x02, 0x0F, 0x15, 0x1B):
            self.assertTrue(errors.from_ble(opcodes.UNLOCK, code).is_answer, code)
        for kind in (errors.ProtocolError, errors.LinkTimeout, errors.AuthError, errors.LockRefused, errors.NetError):
            self.assertFalse(kind("by ourselves").is_answer)
