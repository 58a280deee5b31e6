"""A flash that takes nothing any more: requests are answered, nothing is half done, and the door works."""

from firmware.lib import opcodes
from firmware.lib.messages import card_client
from firmware.lib.messages import passcode_client as codes
from tests.unit.test_lock_offline import DAILY, ONCE, OfflineCase

CODE = "864209"
CARD = b"\x00\x01\x02\x03"
ALL = None


class RefusingFlash(OfflineCase):
    def refuse(self, only=ALL):
        """The vault takes no class, or none whose name begins with `only`."""
        vault = self.rig.device.stores.vault
        save = vault.save

        def refusing(name, plain):
            if only is ALL or name[: len(only)] == only:
                raise OSError(28)
            save(name, plain)

        vault.save = refusing
        return lambda: setattr(vault, "save", save)

    def test_changes_are_answered_and_nothing_has_changed(self):
        device = self.rig.device
        allow = self.refuse()
        for command, plain in (
            (opcodes.CARD, card_client.add(CARD)),
            (opcodes.SET_ERASE_CODE, b"\x01\x02\x03\x04\x05\x06\x07"),
            (opcodes.SET_ADMIN_PASSCODE, b"\x01\x02\x03\x04\x05\x06\x07"),
            (opcodes.PASSCODE, codes.add(codes.PERMANENT, CODE)),
            (opcodes.FREEZE, b"\x02\x01"),
            (opcodes.LOCK_NAME, b"door"),
        ):
            self.assertEqual(self.ask(command, plain), 0x13, "%02x" % command)
        found = (
            len(device.stores.cards),
            device.stores.keys.erase_code,
            device.stores.options.frozen,
            len(device.stores.passcodes),
            device.stores.name.text,
        )
        self.assertEqual(found, (0, b"", 0, 0, ""))
        self.assertTrue(device.stores.keys.admin_passcode != b"1234567")
        allow()
        self.assertTrue(isinstance(self.ask(opcodes.CARD, card_client.add(CARD)), bytes))

    def test_a_code_that_would_have_to_be_used_up_does_not_open(self):
        allow = self.refuse()
        for digits in (self.code(ONCE), self.code(DAILY)):
            self.assertFalse(self.opens(digits))
        allow()
        for digits in (self.code(ONCE), self.code(DAILY)):
            self.assertTrue(self.opens(digits))

    def test_a_first_use_that_was_promised_opens_and_is_kept_later(self):
        device = self.rig.device
        allow = self.refuse("codes")
        digits = self.code(DAILY)
        self.assertTrue(self.opens(digits))
        self.assertEqual(len(device.stores.passcodes), 0)
        self.assertFalse(self.opens(self.code(ONCE)))  # which would have put its mark in place of the promise
        self.rig.start(False)  # a start does not fail for it
        allow()
        self.assertTrue(self.opens(digits))
        self.assertEqual(len(self.rig.device.stores.passcodes), 1)

    def test_an_erasure_that_was_promised_holds_at_once(self):
        self.ask(opcodes.PASSCODE, codes.add(codes.PERMANENT, CODE))
        self.ask(opcodes.SET_ERASE_CODE, b"\x07\x07\x01\x02\x03\x04\x05")
        self.assertTrue(self.opens(CODE))
        allow = self.refuse("codes")
        self.rig.type("7712345#")
        self.rig.wait(500)
        self.assertFalse(self.opens(CODE))
        self.assertEqual(self.ask(opcodes.PASSCODE, codes.add(codes.PERMANENT, "975310")), 0x13)
        allow()
        self.assertTrue(isinstance(self.ask(opcodes.PASSCODE, codes.add(codes.PERMANENT, "975310")), bytes))
        self.assertFalse(self.opens(CODE))
        self.assertTrue(self.opens("975310"))
        self.assertEqual((self.types(20).count(10), self.types(20).count(8)), (1, 1))
