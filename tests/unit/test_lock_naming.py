"""The lock's name over the link (0x4e)."""

from firmware.lib import opcodes
from firmware.lib.errors import BadRequest
from firmware.lib.messages import settings_client
from tests.scratch import scratch
from tests.unit.link_case import LinkCase


class TestName(LinkCase):
    folder = scratch("lock-naming")

    def test_an_administrator_names_the_lock_until_it_is_reset(self):
        rig = self.rig
        rig.paired()
        rig.connect()
        self.refused(0x02, opcodes.LOCK_NAME, settings_client.name("Porch"))
        rig.log_in()
        for text in ("Porch", "Tür 1", "x" * 20):
            self.assertEqual(settings_client.named(rig.ask(opcodes.LOCK_NAME, settings_client.name(text))), 100)
            rig.start()
            self.assertEqual(rig.device.stores.name.text, text)
            rig.connect()
            rig.log_in()
        for plain in (b"x" * 21, b"a\x07b", b"\xff\xfe", b"\xc3"):
            self.refused(0x1D, opcodes.LOCK_NAME, plain)
        rig.reset()
        self.assertEqual(rig.device.stores.name.text, "")

    def test_names_that_do_not_fit(self):
        for text in ("", "x" * 21, "ü" * 11):
            with self.assertRaises(BadRequest):
                settings_client.name(text)
