"""The lock's switches and numbers over the link: what is stored, what is refused, and what the lock does by it."""

from firmware.lib import opcodes
from firmware.lib.messages import passcode_client, settings_client
from tests.scratch import scratch
from tests.unit.link_case import LinkCase

CODE = "864209"


class TestSwitches(LinkCase):
    folder = scratch("lock-switches")

    def setUp(self):
        super().setUp()
        self.rig.paired()
        self.rig.connect()
        self.rig.log_in()

    def _switch(self, bit, is_on):
        return settings_client.switches(self.rig.ask(opcodes.SWITCHES, settings_client.switch_set(bit, is_on)))

    def test_switches_are_kept_one_by_one(self):
        rig = self.rig
        self.assertEqual(settings_client.switches(rig.ask(opcodes.SWITCHES, settings_client.query())), 4)
        self.assertEqual(self._switch(settings_client.PRIVACY, True), 5)
        self.assertEqual(self._switch(settings_client.RESET_BUTTON, False), 1)
        self.assertEqual(self._switch(settings_client.PASSAGE_UNLOCK, True), 9)
        self.refused(0x1B, opcodes.SWITCHES, b"\x02\x10\x10")  # low-battery unlock is not built
        self.refused(0x1B, opcodes.SWITCHES, b"\x03")
        rig.start()
        options = rig.device.stores.options
        found = (options.privacy, options.tamper, options.reset_button, options.passage_auto_unlock)
        self.assertEqual(found, (1, 0, 0, 1))

    def test_numbers_have_their_ranges(self):
        rig = self.rig
        for which, name, good, bad in (
            (settings_client.LANGUAGE, "language", 5, 9),
            (settings_client.WRONG_LIMIT, "wrong_limit", 3, 6),
            (settings_client.LOCKOUT_S, "lockout_s", 600, 299),
        ):
            rig.ask(opcodes.SETTING, settings_client.number_set(which, good))
            self.refused(0x1D, opcodes.SETTING, settings_client.number_set(which, bad))
            asked = rig.ask(opcodes.SETTING, settings_client.number_query(which))
            self.assertEqual(settings_client.number_of(asked, which), good)
            self.assertEqual(getattr(rig.device.stores.options, name), good)
        for which in (2, 5, 6, 7):  # no such part, or no contact at the door
            self.refused(0x1B, opcodes.SETTING, settings_client.number_query(which))

    def test_a_stricter_limit_locks_the_keypad_out_sooner(self):
        rig = self.rig
        rig.ask(opcodes.SETTING, settings_client.number_set(settings_client.WRONG_LIMIT, 2))
        rig.ask(opcodes.SETTING, settings_client.number_set(settings_client.LOCKOUT_S, 900))
        for _ in range(2):
            rig.type("000111#")
        wait_ms = rig.device.stores.limits.keypad.wait_ms(rig.now_ms)
        self.assertTrue(890000 < wait_ms <= 900000, wait_ms)

    def test_volume_and_silence(self):
        rig = self.rig
        data = rig.ask(opcodes.SOUND, settings_client.query())
        self.assertEqual(settings_client.sound(data), (100, True, 5))
        rig.ask(opcodes.SOUND, settings_client.sound_set(True, 2))
        rig.type("1")
        self.assertEqual(rig.output.volume, 2)
        rig.ask(opcodes.SOUND, settings_client.sound_set(False))
        rig.wait(1000)
        rig.output.hz = 0
        rig.type("1")
        self.assertEqual(rig.output.hz, 0)
        self.refused(0x1D, opcodes.SOUND, b"\x02\x01\x06\x00")
        rig.ask(opcodes.SOUND, settings_client.sound_set(True, 3))  # turns it on
        self.assertEqual((rig.device.stores.options.sound, rig.device.stores.options.volume), (1, 3))

    def test_direction_turns_the_motor_round(self):
        rig = self.rig
        rig.ask(opcodes.UNLOCK_DIRECTION, settings_client.direction_set(2))
        rig.lock.motion.move("unlocked", print_nothing, rig.now_ms)
        self.assertEqual(rig.pins.motor.direction, 1)
        rig.lock.motion.give_up(rig.now_ms)
        rig.ask(opcodes.UNLOCK_DIRECTION, settings_client.direction_set(1))
        rig.start()
        rig.lock.motion.move("unlocked", print_nothing, rig.now_ms)
        self.assertEqual(rig.pins.motor.direction, -1)

    def test_the_lamp_is_lit_for_its_time_after_a_touch(self):
        rig = self.rig
        rig.lock.keypad.touch(rig.now_ms)
        rig.wait(1000)
        self.assertEqual(rig.device.feedback.colour, "off")
        rig.ask(opcodes.LAMP, settings_client.lamp_set(3))
        rig.lock.keypad.touch(rig.now_ms)
        rig.wait(1000)
        self.assertEqual(rig.device.feedback.colour, "white")
        rig.wait(2200)
        self.assertEqual(rig.device.feedback.colour, "off")

    def test_below_an_admin_session_nothing_is_told_or_changed(self):
        rig = self.rig
        rig.disconnect()
        rig.connect()
        rig.ask(opcodes.STATUS, b"SCIENER")
        for opcode in (opcodes.SWITCHES, opcodes.LAMP, opcodes.UNLOCK_DIRECTION, opcodes.FREEZE, opcodes.SETTING):
            self.refused(0x02, opcode, b"\x01" if opcode != opcodes.SETTING else b"\x01\x01")

    def test_a_frozen_lock_opens_for_nobody_and_changes_nothing_until_it_is_thawed(self):
        rig = self.rig
        rig.ask(opcodes.PASSCODE, passcode_client.add(passcode_client.PERMANENT, CODE))
        rig.ask(opcodes.FREEZE, settings_client.freeze(True))
        self.assertTrue(settings_client.frozen(rig.ask(opcodes.FREEZE, settings_client.query()))[1])
        for opcode, plain in (
            (opcodes.PASSCODE, passcode_client.delete(1, CODE)),
            (opcodes.AUTO_LOCK, settings_client.auto_lock_set(9)),
            (opcodes.SOUND, settings_client.sound_set(False)),
            (opcodes.SWITCHES, settings_client.switch_set(0, True)),
            (opcodes.PASSAGE, b"\x04"),
            (opcodes.REMOTE_UNLOCK, b"\x02\x01"),
            (opcodes.SET_ADMIN_PASSCODE, b"\x01\x02\x03\x04"),
        ):
            self.refused(0x1C, opcode, plain)
        rig.ask(opcodes.AUTO_LOCK, settings_client.query())
        rig.ask(opcodes.SWITCHES, settings_client.query())
        rig.ask(opcodes.PASSCODE_LIST, passcode_client.list_request(0))
        rig.ask(opcodes.LOG, b"\xff\xff")
        for command in (opcodes.UNLOCK, opcodes.LOCK):
            try:
                rig.operate(command)
                self.fail("a frozen lock moved")
            except Exception as err:
                self.assertEqual(getattr(err, "error", err), 0x1C)
        rig.type(CODE + "#")
        rig.wait(500)
        self.assertEqual(rig.pins.movements, 0)
        rig.start()  # frozen it stays
        rig.connect()
        rig.log_in()
        rig.ask(opcodes.FREEZE, settings_client.freeze(False))
        rig.type(CODE + "#")
        rig.wait(500)
        self.assertEqual(rig.pins.movements, 1)

    def test_the_reset_button_is_dead_while_its_switch_is_off(self):
        rig = self.rig
        self._switch(settings_client.RESET_BUTTON, False)
        for is_on in (False, True):
            rig.button.active = True
            rig.wait(5200)
            rig.button.active = False
            rig.type("000#")
            self.assertEqual(rig.device.stores.keys.is_paired, not is_on)
            if not is_on:
                rig.disconnect()
                rig.connect()
                rig.log_in()
                self._switch(settings_client.RESET_BUTTON, True)


def print_nothing(arrived):
    pass
