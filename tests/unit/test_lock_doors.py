"""What is around the bolt: the door's contact, the case's, and the privacy knob inside."""

import unittest

from firmware.lib import opcodes, records
from firmware.lib.messages import pairing_client, passcode_client, session_client, settings_client
from tests.scratch import scratch
from tests.unit.lock_rig import UNLOCK_KEY, Refused, Rig, erase

FOLDER = scratch("lock-doors")
CODE = "864209"
ADMIN_CODE = "7319246"


def kinds(rig, after=0):
    """Types of the records, the oldest first."""
    return [records.decode(raw).type for raw in rig.device.stores.ring.since(0)][after:]


class Case(unittest.TestCase):
    def setUp(self):
        self.rig = Rig(FOLDER, door_sensor=True).paired()
        self.rig.wait(200)
        self.as_admin(opcodes.PASSCODE, passcode_client.add(passcode_client.PERMANENT, CODE))
        self.as_admin(opcodes.SET_ADMIN_PASSCODE, pairing_client.set_admin_passcode(ADMIN_CODE))
        self.seen = len(kinds(self.rig))

    def tearDown(self):
        erase(FOLDER)

    def new(self):
        return kinds(self.rig, self.seen)

    def as_admin(self, opcode, plain):
        rig = self.rig
        rig.connect()
        rig.log_in()
        data = rig.ask(opcode, plain)
        rig.disconnect()
        return data

    def switch(self, bit, is_on):
        self.as_admin(opcodes.SWITCHES, settings_client.switch_set(bit, is_on))

    def types(self, digits, ms=400):
        self.rig.type(digits + "#")
        self.rig.wait(ms)


class TestDoor(Case):
    def test_the_contact_is_told_and_recorded(self):
        rig = self.rig
        rig.connect()
        self.assertEqual(session_client.status(rig.ask(opcodes.STATUS, b"SCIENER")), (100, 0, 1))
        rig.door.active = False
        pushed = rig.wait(1500)
        self.assertEqual(len(pushed), 1)
        self.assertEqual(session_client.status(rig.ask(opcodes.STATUS, b"SCIENER")), (100, 0, 0))
        rig.door.active = True
        rig.wait(200)
        self.assertEqual(self.new(), [31, 30])

    def test_a_lock_without_contact_does_not_know(self):
        rig = self.rig
        rig.settings = {}
        rig.start(False)
        rig.wait(300)
        rig.connect()
        self.assertEqual(session_client.status(rig.ask(opcodes.STATUS, b"SCIENER"))[2], 2)
        self.assertFalse(rig.engine.features >> 50 & 1)

    def test_auto_lock_waits_for_the_door_to_close(self):
        rig = self.rig
        self.types(CODE)
        rig.door.active = False
        rig.wait(9000)
        self.assertEqual(rig.device.bolt.state, "unlocked")
        rig.door.active = True
        rig.wait(1000)
        self.assertEqual(rig.device.bolt.state, "locked")

    def test_a_door_left_open_is_told_once_after_the_set_time(self):
        rig = self.rig
        rig.door.active = False
        rig.wait(9000)
        self.assertEqual(self.new(), [31])  # 0 s: off
        self.as_admin(opcodes.SETTING, settings_client.number_set(settings_client.DOOR_ALARM_S, 20))
        rig.wait(8000)
        self.assertEqual(self.new(), [31])
        rig.wait(30000, 50)
        self.assertEqual(self.new(), [31, 64])
        rig.door.active = True
        rig.wait(200)
        rig.door.active = False
        rig.wait(21000, 50)
        self.assertEqual(self.new(), [31, 64, 30, 31, 64])


class TestTamper(Case):
    def test_off_nothing_happens(self):
        self.rig.case.active = False
        self.rig.wait(500)
        self.assertEqual(self.new(), [])
        self.assertFalse(self.rig.device.feedback.is_alarming)

    def test_on_it_is_recorded_and_heard_for_a_minute_even_without_sound(self):
        rig = self.rig
        self.switch(settings_client.TAMPER, True)
        self.as_admin(opcodes.SOUND, settings_client.sound_set(False))
        rig.case.active = False
        rig.wait(500)
        self.assertEqual(self.new(), [44])
        rig.wait(58000, 50)
        self.assertTrue(rig.device.feedback.is_alarming and rig.output.hz and rig.output.volume == 5)
        rig.wait(2500, 50)
        self.assertFalse(rig.device.feedback.is_alarming)
        self.assertEqual(rig.output.hz, 0)

    def test_a_valid_unlock_ends_the_siren_and_a_wrong_code_does_not(self):
        rig = self.rig
        self.switch(settings_client.TAMPER, True)
        rig.case.active = False
        rig.wait(500)
        self.types("000111")
        self.assertTrue(rig.device.feedback.is_alarming)
        self.types(CODE)
        self.assertFalse(rig.device.feedback.is_alarming)
        rig.case.active = True
        rig.wait(200)
        rig.case.active = False
        rig.wait(200)
        self.assertEqual(self.new(), [44, 7, 4, 44])


class TestPrivacy(Case):
    def test_the_knob_does_nothing_while_the_setting_is_off(self):
        rig = self.rig
        rig.knob.active = True
        rig.wait(300)
        self.types(CODE)
        self.assertEqual((self.new(), rig.pins.movements), ([4], 1))

    def test_a_double_locked_door_opens_for_the_administrator_only(self):
        rig = self.rig
        self.switch(settings_client.PRIVACY, True)
        rig.knob.active = True
        rig.wait(300)
        self.types(CODE)
        rig.connect()
        try:
            rig.operate(opcodes.UNLOCK)
            self.fail("a double-locked door opened")
        except Refused as err:
            self.assertEqual(err.error, 0x1E)
        rig.disconnect()
        self.assertEqual((self.new(), rig.pins.movements), ([59, 38, 41], 0))
        rig.start(False)  # a cut of power frees nobody
        rig.wait(300)
        self.types(CODE)
        self.assertEqual(rig.pins.movements, 0)
        self.types(ADMIN_CODE)
        self.assertEqual((self.new(), rig.pins.movements), ([59, 38, 41, 38, 92, 60], 1))

    def test_the_administrators_phone_opens_it(self):
        rig = self.rig
        self.switch(settings_client.PRIVACY, True)
        rig.knob.active = True
        rig.wait(300)
        challenge = rig.reach("admin")
        rig.ask(opcodes.UNLOCK, session_client.operate(challenge, UNLOCK_KEY, 1778509387))
        self.assertEqual(self.new(), [59, 1, 60])

    def test_knob_button_and_setting_end_it(self):
        rig = self.rig
        for end in ("knob", "button", "setting"):
            self.switch(settings_client.PRIVACY, True)
            rig.knob.active = True
            rig.wait(300)
            self.assertEqual(rig.device.stores.options.double_locked, 1)
            if end == "knob":
                rig.knob.active = False
            elif end == "button":
                rig.button.active = True
                rig.wait(100)
                rig.button.active = False
            else:
                self.switch(settings_client.PRIVACY, False)
            rig.wait(400)
            self.assertEqual(rig.device.stores.options.double_locked, 0, end)
            rig.knob.active = False
            rig.wait(8000)
        self.assertEqual(self.new(), [59, 60, 59, 46, 60, 59, 60])

    def test_an_open_door_is_locked_first(self):
        rig = self.rig
        self.switch(settings_client.PRIVACY, True)
        self.types(CODE)
        rig.knob.active = True
        rig.wait(600)
        self.assertEqual(rig.device.bolt.state, "locked")
        self.assertEqual(self.new(), [4, 47, 59])
