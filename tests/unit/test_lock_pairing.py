"""The lock's end of the link: pairing, and what ends or undoes it."""

from firmware.lib import advert, crypto, frame, opcodes
from firmware.lib.messages import pairing_client as pairing
from firmware.lib.messages import passcode_client, settings_client
from firmware.lib.messages import session_client as session
from tests.scratch import scratch
from tests.unit.link_case import LinkCase
from tests.unit.lock_rig import UNLOCK_KEY


class TestPairing(LinkCase):
    folder = scratch("lock-pairing")

    def test_only_after_a_touch(self):
        rig = self.rig
        rig.connect()
        self.refused(0x07, opcodes.INIT, empty=True)
        self.refused(0x07, opcodes.GET_AES_KEY, b"SCIENER")
        self.refused(0x06, opcodes.STATUS, b"SCIENER")
        self.refused(0x1B, 0x02, empty=True)
        rig.disconnect()
        self.assertFalse(rig.device.flags(rig.now_ms) & advert.SETTABLE)
        rig.lock.keypad.touch(rig.now_ms)
        self.assertTrue(rig.device.flags(rig.now_ms) & advert.SETTABLE)
        rig.wait(15100, 100)
        self.assertFalse(rig.device.flags(rig.now_ms) & advert.SETTABLE)

    def test_whole_dialogue(self):
        rig = self.rig
        rig.pair()
        self.assertEqual(rig.device.feedback.word, "paired")
        rig.log_in()
        battery, uid, record_id, date = rig.operate(opcodes.UNLOCK)
        self.assertEqual((battery, uid, record_id, date[:3]), (100, 0, 1778509387, (2026, 5, 11)))
        self.assertEqual(rig.pins.movements, 1)
        self.assertEqual(session.status(rig.ask(opcodes.STATUS, session.status_request()))[1:], (1, 2))
        rig.operate(opcodes.LOCK)
        rig.ask(opcodes.REMOTE_UNLOCK, b"\x02\x01")
        rig.operate(opcodes.UNLOCK, uid=0x47415445)
        self.assertEqual(self.types(), [1, 26, 28])
        rig.wait(6000, 50)
        self.assertEqual(rig.device.bolt.state, "locked")  # auto-lock, without a record
        self.assertFalse(rig.device.flags(rig.now_ms) & (advert.RECORDS | advert.UNLOCKED | advert.SETTABLE))

    def test_rolls_back_when_the_link_drops(self):
        rig = self.rig
        rig.pair(finish=False)
        rig.ask(opcodes.SET_ADMIN_PASSCODE, pairing.set_admin_passcode("2468135"))
        self.assertFalse(rig.device.pairing.is_final)  # what the panel tells: nobody owns it yet
        rig.disconnect()
        self.assertEqual(rig.device.feedback.word, "pairing_undone")
        self.assertFalse(rig.device.stores.keys.is_paired)
        rig.start()
        self.assertFalse(rig.device.stores.keys.is_paired)
        self.assertEqual(rig.device.stores.keys.admin_passcode, b"")

    def test_survives_a_power_cut_after_finish(self):
        rig = self.rig
        rig.pair()
        self.assertTrue(rig.device.pairing.is_final)
        rig.start()
        self.assertTrue(rig.device.stores.keys.is_paired)
        self.assertFalse(rig.device.stores.clock.is_trusted)
        rig.connect()
        self.assertEqual(self.types(), [14])

    def test_three_failures_close_the_window(self):
        rig = self.rig
        for _ in range(3):
            self.assertFalse(rig.device.stores.keys.is_paired)
            rig.key = crypto.DEFAULT_KEY
            rig.pair(finish=False)
            rig.disconnect()
            if _ < 2:
                self.assertTrue(rig.device.pairing.is_open(rig.now_ms))
        self.assertFalse(rig.device.pairing.is_open(rig.now_ms))

    def test_client_that_never_finishes_is_kept_after_a_login(self):
        rig = self.rig
        rig.pair(finish=False)
        rig.log_in()
        for _ in range(4):
            rig.wait(8000, 200)
            rig.ask(opcodes.STATUS, session.status_request())
            self.assertFalse(rig.engine.is_over)
        rig.disconnect()
        self.assertTrue(rig.device.stores.keys.is_paired)

    def test_damaged_keys_are_not_a_factory_state(self):
        rig = self.rig.paired()
        for name in ("keys.a", "keys.b"):
            path = self.folder + "/vault/" + name
            with open(path, "rb") as file:
                sealed = bytearray(file.read())
            sealed[30] ^= 1
            with open(path, "wb") as file:
                file.write(sealed)
        rig.start()
        self.assertFalse(rig.device.stores.keys.is_paired)
        rig.lock.keypad.touch(rig.now_ms)
        rig.connect()
        self.refused(0x07, opcodes.INIT, empty=True)
        rig.disconnect()
        rig.button.active = True
        rig.wait(5200)
        rig.button.active = False
        rig.type("000#")
        rig.pair()

    def test_paired_lock_refuses_pairing(self):
        rig = self.rig.paired()
        rig.lock.keypad.touch(rig.now_ms)
        rig.connect()
        for _ in range(2):
            self.refused(0x07, opcodes.GET_AES_KEY, b"SCIENER")
            self.refused(0x07, opcodes.ADD_ADMIN, pairing.add_admin(1, 2))
            rig.ask(opcodes.INIT, empty=True)  # makes no difference

    def test_paired_lock_answers_a_greeting_and_tells_nothing_by_it(self):
        """hardware-facts.md F20: `45 01 B` under its own key, whatever the payload holds; no level follows."""
        rig = self.rig.paired()
        rig.device.battery_pct = 71
        rig.connect()
        unread = (b"", crypto.encrypt(rig.key, b""), crypto.encrypt(crypto.DEFAULT_KEY, b""), b"x" * 16, b"x" * 17)
        for version in (1, 3):
            for payload in unread:
                sent = rig.raw(frame.encode(opcodes.INIT, payload, 1, vendor=version == 1, version=version))
                self.assertEqual(len(sent), 1)
                answer = frame.decode(sent[0])
                self.assertEqual((answer.command, answer.protocol, answer.version), (opcodes.ANSWER, 5, 3))
                self.assertEqual(crypto.decrypt(rig.key, answer.payload), b"\x45\x01\x47")
        self.refused(0x02, opcodes.PAIRING_DONE, empty=True)  # the key was not shown by any of these
        self.assertFalse(rig.engine.session.was_bad)
        rig.device.changes += 1
        self.assertEqual(rig.wait(1000), [])  # nor is a push sent to who has not shown it

    def test_greeting_in_any_header_but_only_a_greeting(self):
        rig = self.rig.paired()
        for version, protocol, command, answered in (
            (1, 5, opcodes.INIT, True),
            (3, 5, opcodes.INIT, True),
            (2, 5, opcodes.INIT, False),
            (4, 5, opcodes.INIT, False),
            (1, 10, opcodes.INIT, False),
            (1, 5, opcodes.STATUS, False),
            (1, 5, opcodes.GET_AES_KEY, False),
            (1, 5, opcodes.UNLOCK, False),
        ):
            rig.connect()
            payload = b"" if command == opcodes.INIT else crypto.encrypt(rig.key, b"SCIENER")
            sent = rig.raw(frame.encode(command, payload, version=version, protocol=protocol))
            self.assertEqual(len(sent), int(answered), (version, protocol, command))
            rig.disconnect()

    def test_session_of_the_vendors_app(self):
        """The three requests of hardware-facts.md F20, and the frame that was captured before them."""
        rig = self.rig.paired()
        rig.connect()
        sent = rig.raw(b"\x7f\x5a\x05\x01\x01\x00\x01\x00\x01\x45\xaa\x00\xe2\r\n")
        self.assertEqual(crypto.decrypt(rig.key, frame.decode(sent[0]).payload), b"\x45\x01\x64")
        rig.operate(opcodes.UNLOCK, uid=10203040)
        self.assertEqual(rig.pins.movements, 1)
        rig.disconnect()
        rig.connect()
        self.assertEqual(self.types(), [1])

    def test_frozen_lock_answers_a_greeting(self):
        rig = self.rig.paired()
        rig.connect()
        rig.log_in()
        rig.device.stores.options.change("frozen", 1)
        self.assertEqual(rig.ask(opcodes.INIT, empty=True), b"\x64")

    def test_p_is_not_s3(self):
        rig = self.rig
        rig.pair(finish=False)
        self.refused(0x02, opcodes.PASSCODE, passcode_client.clear())
        self.refused(0x02, opcodes.AUTO_LOCK, settings_client.auto_lock_set(7))
        self.assertEqual(pairing.admin_passcode(rig.ask(opcodes.GET_ADMIN_PASSCODE, empty=True))[1], "")

    def test_bolt_rests_and_nothing_is_recorded_before_the_end(self):
        rig = self.rig
        rig.pair(finish=False)
        rig.log_in()
        rig.ask(opcodes.PASSCODE, passcode_client.add(passcode_client.PERMANENT, "123456"))
        challenge = session.challenge(rig.ask(opcodes.CHECK_USER, session.check_user()))
        self.refused(0x02, opcodes.UNLOCK, session.operate(challenge, UNLOCK_KEY, 1))
        rig.type("123456#")
        rig.wait(1000)
        self.assertEqual((rig.pins.movements, len(rig.device.stores.ring)), (0, 0))
        rig.disconnect()
        self.assertEqual(len(rig.device.stores.ring), 0)
        rig.key = crypto.DEFAULT_KEY
        rig.pair(finish=False)
        rig.log_in()
        rig.ask(opcodes.PASSCODE, passcode_client.add(passcode_client.PERMANENT, "123456"))
        rig.ask(opcodes.PAIRING_DONE, pairing.finished())
        self.assertEqual(self.types(), [93])

    def test_auto_lock_waits_for_the_end(self):
        rig = self.rig
        rig.button.active = True
        rig.wait(100)
        rig.button.active = False
        rig.wait(1000)
        self.assertEqual(rig.device.bolt.state, "unlocked")
        rig.pair(finish=False)
        rig.wait(9000)
        self.assertEqual(rig.device.bolt.state, "unlocked")
        rig.ask(opcodes.PAIRING_DONE, pairing.finished())
        rig.wait(1000)
        self.assertEqual(rig.device.bolt.state, "locked")

    def test_three_bad_administrators_close_the_window(self):
        rig = self.rig
        rig.lock.keypad.touch(rig.now_ms)
        rig.connect()
        rig.key = pairing.aes_key(rig.ask(opcodes.GET_AES_KEY, pairing.get_aes_key()))
        for n in range(3):
            self.assertFalse(rig.engine.is_over)
            self.refused(0x1D, opcodes.ADD_ADMIN, bytes(4) + (5 + n).to_bytes(4, "big") + b"SCIENER")
        self.assertTrue(rig.engine.is_over)
