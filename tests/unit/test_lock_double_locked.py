"""A door that somebody has double-locked from inside: whoever is refused is named in the log."""

from firmware.lib import records
from firmware.lib.messages import card_client, settings_client
from tests.unit.test_lock_fingerprints import CARD, FINGER, Case, opcodes


class DoubleLocked(Case):
    def test_a_card_and_a_finger_are_refused_and_recorded(self):
        rig = self.rig
        number = self.enrol(FINGER)
        self.ask(opcodes.CARD, card_client.add(CARD))
        self.ask(opcodes.SWITCHES, settings_client.switch_set(settings_client.PRIVACY, True))
        rig.knob.active = True
        rig.wait(300)
        self.assertFalse(self.press(FINGER))
        self.assertEqual(self.told(), [(40, number.to_bytes(6, "big"))])
        self.assertFalse(self.moved(lambda: rig.lock.reader.present("card", CARD, rig.now_ms)))
        self.assertEqual(self.told(), [(39, records.by_card(CARD))])
        rig.knob.active = False
        rig.wait(300)
        self.assertTrue(self.press(FINGER))
