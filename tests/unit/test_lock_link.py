"""The lock's end of the link: pairing, login, unlock, log, settings, reset, and what is refused how."""

import unittest

from firmware.lib import advert, crypto, frame, opcodes, records
from firmware.lib.messages import log_client, passcode_client, settings_client
from firmware.lib.messages import pairing_client as pairing
from firmware.lib.messages import session_client as session
from tests.scratch import scratch
from tests.unit.lock_rig import ADMIN_PS, UNLOCK_KEY, Refused, Rig

FOLDER = scratch("lock-link")


class LinkCase(unittest.TestCase):
    def setUp(self):
        self.rig = Rig(FOLDER)

    def tearDown(self):
        from tests.unit.lock_rig import erase

        erase(FOLDER)

    def refused(self, error, command, plain=b"", **how):
        try:
            self.rig.ask(command, plain, **how)
        except Refused as err:
            self.assertEqual(err.error, error)
            return
        self.fail("%02x was not refused" % command)

    def types(self):
        """Walk the whole log; the types of its records."""
        found = []
        cursor = 0
        while True:
            cursor, page = log_client.page(self.rig.ask(opcodes.LOG, log_client.request(cursor)))
            if not page:
                return found
            found.extend(records.decode(raw).type for raw in page)


class TestPairing(LinkCase):
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
        self.assertFalse(rig.device.keys.is_paired)
        rig.start()
        self.assertFalse(rig.device.keys.is_paired)
        self.assertEqual(rig.device.keys.admin_passcode, b"")

    def test_survives_a_power_cut_after_finish(self):
        rig = self.rig
        rig.pair()
        self.assertTrue(rig.device.pairing.is_final)
        rig.start()
        self.assertTrue(rig.device.keys.is_paired)
        self.assertFalse(rig.device.clock.is_trusted)
        rig.connect()
        self.assertEqual(self.types(), [14])

    def test_three_failures_close_the_window(self):
        rig = self.rig
        for _ in range(3):
            self.assertFalse(rig.device.keys.is_paired)
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
        self.assertTrue(rig.device.keys.is_paired)

    def test_damaged_keys_are_not_a_factory_state(self):
        rig = self.rig.paired()
        for name in ("keys.a", "keys.b"):
            path = FOLDER + "/vault/" + name
            with open(path, "rb") as file:
                sealed = bytearray(file.read())
            sealed[30] ^= 1
            with open(path, "wb") as file:
                file.write(sealed)
        rig.start()
        self.assertFalse(rig.device.keys.is_paired)
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
        self.refused(0x07, opcodes.INIT, empty=True)
        self.refused(0x07, opcodes.GET_AES_KEY, b"SCIENER")
        self.refused(0x07, opcodes.ADD_ADMIN, pairing.add_admin(1, 2))

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
        self.assertEqual((rig.pins.movements, len(rig.device.ring)), (0, 0))
        rig.disconnect()
        self.assertEqual(len(rig.device.ring), 0)
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


class TestSessions(LinkCase):
    def setUp(self):
        super().setUp()
        self.rig.paired()
        self.rig.connect()

    def test_challenge_is_used_once_and_dies_after_ten_seconds(self):
        rig = self.rig
        challenge = session.challenge(rig.ask(opcodes.CHECK_USER, session.check_user()))
        rig.ask(opcodes.UNLOCK, session.operate(challenge, UNLOCK_KEY, 1))
        self.refused(0x02, opcodes.UNLOCK, session.operate(challenge, UNLOCK_KEY, 2))
        challenge = session.challenge(rig.ask(opcodes.CHECK_USER, session.check_user()))
        rig.wait(10000, 100)
        self.refused(0x02, opcodes.UNLOCK, session.operate(challenge, UNLOCK_KEY, 3))

    def test_a_new_check_voids_the_challenge_before_it(self):
        rig = self.rig
        challenge = session.challenge(rig.ask(opcodes.CHECK_USER, session.check_user()))
        self.refused(0x03, opcodes.CHECK_ADMIN, session.check_admin(4711))
        self.refused(0x02, opcodes.UNLOCK, session.operate(challenge, UNLOCK_KEY, 1))

    def test_gateway_is_refused_while_its_switch_is_off(self):
        rig = self.rig
        try:
            rig.operate(opcodes.UNLOCK, uid=0x47415445)
            self.fail("moved")
        except Refused as err:
            self.assertEqual(err.error, 0x02)
        rig.operate(opcodes.LOCK, uid=0x47415445)
        self.assertEqual(rig.pins.movements, 0)
        rig.log_in()
        rig.ask(opcodes.REMOTE_UNLOCK, b"\x02\x01")
        rig.operate(opcodes.UNLOCK, uid=0x47415445)
        self.assertEqual(rig.pins.movements, 1)

    def test_slow_drip_is_no_frame(self):
        rig = self.rig
        raw = frame.encode(opcodes.STATUS, crypto.encrypt(rig.key, b"SCIENER"))
        sent = []
        for byte in raw:
            sent += rig.send(bytes((byte,)))
            rig.wait(80)
        self.assertEqual(sent, [])  # 31 bytes in 2.5 s: whoever comes is not kept waiting for the rest
        self.assertEqual(len(rig.raw(raw)), 1)

    def test_legacy_frames_are_bad_frames_like_others(self):
        rig = self.rig
        raw = bytearray(frame.encode(opcodes.STATUS, crypto.encrypt(rig.key, b"SCIENER")))
        raw[2] = 2
        for n in range(3):
            self.assertFalse(rig.engine.is_over)
            for part in frame.chunks(bytes(raw)):
                self.assertEqual(rig.send(bytes(part)), [])
        self.assertTrue(rig.engine.is_over)

    def test_nothing_of_an_older_link_counts(self):
        rig = self.rig
        rig.log_in()
        old = rig.link
        clear = frame.encode(opcodes.PASSCODE, crypto.encrypt(rig.key, passcode_client.clear()))
        rig.connect()  # the end of the first was never reported
        self.assertEqual(rig.engine.receive(old, clear, rig.now_ms), [])
        self.refused(0x02, opcodes.PASSCODE, passcode_client.clear())
        rig.engine.disconnected(old, rig.now_ms)
        rig.engine.connected(old, rig.now_ms)
        rig.log_in()
        rig.ask(opcodes.PASSCODE, passcode_client.clear())

    def test_frames_that_cannot_wait_end_the_link(self):
        rig = self.rig
        challenge = session.challenge(rig.ask(opcodes.CHECK_USER, session.check_user()))
        rig.send(frame.encode(opcodes.UNLOCK, crypto.encrypt(rig.key, session.operate(challenge, UNLOCK_KEY, 1))))
        status = frame.encode(opcodes.STATUS, crypto.encrypt(rig.key, b"SCIENER"))
        for _ in range(4):
            self.assertEqual(rig.send(status), [])
            self.assertFalse(rig.engine.is_over)
        rig.send(status)
        self.assertTrue(rig.engine.is_over)

    def test_hanging_mechanics_fail_the_unlock_and_stop_the_motor(self):
        rig = self.rig
        challenge = session.challenge(rig.ask(opcodes.CHECK_USER, session.check_user()))
        raw = frame.encode(opcodes.UNLOCK, crypto.encrypt(rig.key, session.operate(challenge, UNLOCK_KEY, 1)))
        self.assertEqual(rig.send(raw), [])
        self.assertEqual(rig.pins.motor.direction, -1)
        sent = []
        for _ in range(50):  # nobody polls the bolt
            rig.now_ms += 100
            sent += rig.engine.poll(rig.now_ms)
        self.assertEqual(rig.pins.motor.direction, 0)
        self.assertEqual(crypto.decrypt(rig.key, frame.decode(sent[0]).payload), b"\x47\x00\x13")
        rig.wait(400)
        self.assertEqual(rig.device.bolt.state, "locked")  # found out anew, by its switches

    def test_link_ends_when_nothing_brings_the_answer(self):
        rig = self.rig
        rig.device.guard = lambda now_ms: None
        challenge = session.challenge(rig.ask(opcodes.CHECK_USER, session.check_user()))
        raw = frame.encode(opcodes.UNLOCK, crypto.encrypt(rig.key, session.operate(challenge, UNLOCK_KEY, 1)))
        self.assertEqual(rig.send(raw), [])
        for _ in range(44):
            rig.now_ms += 100
            self.assertEqual(rig.engine.poll(rig.now_ms), [])
            self.assertFalse(rig.engine.is_over)
        rig.now_ms += 100
        rig.engine.poll(rig.now_ms)
        self.assertTrue(rig.engine.is_over)

    def test_five_bad_links_slow_the_advertisement_for_a_minute(self):
        rig = self.rig
        for _ in range(5):
            self.assertFalse(rig.engine.is_throttled(rig.now_ms))
            for _ in range(3):
                rig.send(frame.encode(opcodes.STATUS, b"123"))
            self.assertTrue(rig.engine.is_over)
            rig.disconnect()
            rig.wait(10000, 1000)
            rig.connect()
        rig.wait(49000, 1000)
        self.assertTrue(rig.engine.is_throttled(rig.now_ms))
        rig.wait(2000, 1000)
        self.assertFalse(rig.engine.is_throttled(rig.now_ms))

    def test_user_challenge_gives_no_admin_session(self):
        challenge = session.challenge(self.rig.ask(opcodes.CHECK_USER, session.check_user()))
        self.refused(0x02, opcodes.CHECK_RANDOM, session.check_random(challenge, UNLOCK_KEY))

    def test_repeated_unlock_is_answered_and_not_done_again(self):
        rig = self.rig
        challenge = session.challenge(rig.ask(opcodes.CHECK_USER, session.check_user()))
        raw = frame.encode(opcodes.UNLOCK, crypto.encrypt(rig.key, session.operate(challenge, UNLOCK_KEY, 5)))
        first = rig.raw(raw)
        self.assertEqual(rig.raw(raw), first)
        self.assertEqual(rig.pins.movements, 1)
        self.assertEqual(len(rig.device.ring), 1)
        rig.wait(2100, 100)
        rig.device.changes = rig.engine.session.changes_seen  # no push between
        answer = frame.decode(rig.raw(raw)[0])
        self.assertEqual(crypto.decrypt(rig.key, answer.payload), b"\x47\x00\x02")

    def test_admin_session_ends_after_two_minutes(self):
        rig = self.rig
        rig.log_in()
        for _ in range(9):
            rig.wait(13000, 500)
            rig.ask(opcodes.STATUS, session.status_request())
        rig.wait(3500, 500)
        self.refused(0x02, opcodes.PASSCODE, passcode_client.clear())

    def test_wrong_sum_ends_it_and_counts_over_a_power_cut(self):
        rig = self.rig
        rig.log_in()
        challenge = session.challenge(rig.ask(opcodes.CHECK_ADMIN, session.check_admin(ADMIN_PS)))
        self.refused(0x08, opcodes.CHECK_RANDOM, session.check_random(challenge, 99))
        self.refused(0x02, opcodes.PASSCODE, passcode_client.clear())
        for _ in range(4):
            self.refused(0x03, opcodes.CHECK_ADMIN, session.check_admin(4711))
        rig.start()
        rig.connect()
        self.refused(0x02, opcodes.CHECK_ADMIN, session.check_admin(ADMIN_PS))
        rig.wait(15000, 1000)
        rig.ask(opcodes.STATUS, session.status_request())
        rig.disconnect()
        rig.wait(50000, 1000)
        rig.connect()
        rig.log_in()

    def test_garbage_gets_silence_and_the_third_ends_the_link(self):
        rig = self.rig
        self.assertIsNone(rig.plain(opcodes.STATUS, b"SCIENEX"))
        bad = bytearray(frame.encode(opcodes.STATUS, crypto.encrypt(rig.key, b"SCIENER")))
        bad[13] ^= 1
        rig.send(bytes(bad))
        self.assertFalse(rig.engine.is_over)
        self.assertEqual(rig.send(frame.encode(opcodes.STATUS, b"123")), [])
        self.assertTrue(rig.engine.is_over)

    def test_one_bad_frame_ends_the_link_after_two_seconds(self):
        rig = self.rig
        rig.send(frame.encode(opcodes.STATUS, b"123"))
        rig.wait(1900, 100)
        self.assertFalse(rig.engine.is_over)
        rig.wait(200, 100)
        self.assertTrue(rig.engine.is_over)

    def test_idle_links_end(self):
        rig = self.rig
        rig.wait(10100, 100)
        self.assertTrue(rig.engine.is_over)
        rig.disconnect()
        rig.connect()
        rig.ask(opcodes.STATUS, session.status_request())
        rig.wait(19000, 500)
        self.assertFalse(rig.engine.is_over)
        rig.wait(1500, 500)
        self.assertTrue(rig.engine.is_over)

    def test_answers_follow_the_table_of_the_client(self):
        rig = self.rig
        kinds = set()
        for n in range(300):
            vendor = n >= 150
            raw = frame.encode(opcodes.DEVICE_INFO, crypto.encrypt(rig.key, bytes((n & 0xFF,))), vendor=vendor)
            answer = rig.send(raw)[0]
            if frame.tables_differ(answer):
                kinds.add((vendor, frame.decode(answer).crc_kind))
        self.assertTrue((False, frame.CRC_STANDARD) in kinds or not kinds)
        self.assertFalse((False, frame.CRC_VENDOR) in kinds)

    def test_state_is_pushed_after_silence(self):
        rig = self.rig
        rig.ask(opcodes.STATUS, session.status_request())
        rig.operate(opcodes.UNLOCK)
        self.assertEqual(rig.wait(280), [])
        pushed = rig.wait(100)
        self.assertEqual(crypto.decrypt(rig.key, frame.decode(pushed[0]).payload), b"\x14\x01\x64\x01\x02")

    def test_jam_is_refused_and_seen(self):
        rig = self.rig
        rig.pins.is_jammed = True
        try:
            rig.operate(opcodes.UNLOCK)
            self.fail("jam not reported")
        except Refused as err:
            self.assertEqual(err.error, 0x13)
        self.assertEqual(session.status(rig.ask(opcodes.STATUS, session.status_request()))[1], 2)
        self.assertEqual(self.types(), [65])

    def test_flat_battery_refuses(self):
        self.rig.device.battery_pct = 3
        try:
            self.rig.operate(opcodes.UNLOCK)
            self.fail("moved")
        except Refused as err:
            self.assertEqual(err.error, 0x0A)
        self.assertEqual(self.rig.pins.movements, 0)

    def test_windows_of_users(self):
        rig = self.rig
        rig.ask(opcodes.CHECK_USER, session.check_user((2026, 5, 1, 0, 0), (2026, 6, 1, 0, 0)))
        self.refused(0x0E, opcodes.CHECK_USER, session.check_user((2026, 4, 1, 0, 0), (2026, 5, 1, 0, 0)))
        self.refused(0x11, opcodes.CHECK_USER, session.check_user((2026, 6, 1, 0, 0), (2026, 7, 1, 0, 0)))
        for date6, error in (
            ((2026, 5, 31, 23, 59, 59), None),
            ((2026, 6, 1, 0, 0, 0), 0x0E),
        ):  # as for codes and cards
            rig.device.clock.set(date6, True)
            window = session.check_user((2026, 5, 1, 0, 0), (2026, 6, 1, 0, 0))
            if error is None:
                rig.ask(opcodes.CHECK_USER, window)
            else:
                self.refused(error, opcodes.CHECK_USER, window)
        rig.start()
        rig.connect()
        self.refused(0x11, opcodes.CHECK_USER, session.check_user((2026, 5, 1, 0, 0), (2026, 6, 1, 0, 0)))
        rig.ask(opcodes.CHECK_USER, session.check_user())


class TestSettingsAndClock(LinkCase):
    def setUp(self):
        super().setUp()
        self.rig.paired()
        self.rig.connect()

    def test_queries_need_the_key_and_changes_an_admin(self):
        rig = self.rig
        data = rig.ask(opcodes.AUTO_LOCK, settings_client.auto_lock_query())
        self.assertEqual(settings_client.auto_lock(data), (100, 5, 1, 900))
        self.assertEqual(data[-1], 1)
        self.assertTrue(settings_client.screen(rig.ask(opcodes.PASSCODE_DISPLAY, b"\x01")))
        self.assertFalse(settings_client.remote_unlock(rig.ask(opcodes.REMOTE_UNLOCK, b"\x01"))[1])
        self.refused(0x02, opcodes.AUTO_LOCK, settings_client.auto_lock_set(30))
        self.refused(0x02, opcodes.AUTO_LOCK, settings_client.auto_lock_set(9000))
        self.refused(0x02, opcodes.REMOTE_UNLOCK, b"\x02\x01")
        self.assertIsNone(rig.plain(opcodes.AUTO_LOCK, b"\x03"))
        rig.log_in()
        self.refused(0x1D, opcodes.AUTO_LOCK, settings_client.auto_lock_set(901))
        self.refused(0x1B, opcodes.AUTO_LOCK, b"\x03")
        rig.ask(opcodes.AUTO_LOCK, settings_client.auto_lock_set(0))
        rig.ask(opcodes.REMOTE_UNLOCK, b"\x02\x01")
        rig.ask(opcodes.SOUND, settings_client.sound_set(False))
        rig.start()
        self.assertEqual(rig.device.options.autolock_s, 0)
        self.assertEqual(rig.device.options.remote_unlock, 1)
        self.assertEqual(rig.device.options.sound, 0)

    def test_clock_moves_at_most_300_s_without_admin(self):
        rig = self.rig
        date = (2026, 5, 11, 14, 24, 7)
        rig.ask(opcodes.SET_CLOCK, session.set_clock(date))
        self.assertEqual(session.clock(rig.ask(opcodes.GET_CLOCK, empty=True))[:5], date[:5])
        self.refused(0x02, opcodes.SET_CLOCK, session.set_clock((2026, 5, 11, 14, 40, 0)))
        self.refused(0x1D, opcodes.SET_CLOCK, b"\x1a\x0d\x01\x00\x00\x00")
        rig.log_in()
        rig.ask(opcodes.SET_CLOCK, session.set_clock((2026, 7, 1, 0, 0, 0)))
        self.assertEqual(rig.device.clock.date6()[:3], (2026, 7, 1))

    def test_features_and_info(self):
        rig = self.rig
        battery, mask = session.features(rig.ask(opcodes.FEATURES, empty=True))
        bits = [bit for bit in range(64) if mask >> bit & 1]
        self.assertEqual((battery, bits), (100, [0, 4, 7, 8, 9, 10, 12, 14, 15, 18, 20, 23]))
        self.assertEqual(session.device_text(rig.ask(opcodes.DEVICE_INFO, b"\x01")), "GATEHOUSE-L1")
        self.assertEqual(rig.ask(opcodes.DEVICE_INFO, b"\x05"), b"\x33\x22\x11\xcc\xbb\xaa")
        self.refused(0x19, opcodes.DEVICE_INFO, b"\x07")
        self.refused(0x17, opcodes.DEVICE_INFO, empty=True)
        self.refused(0x1B, 0x05, b"\x01\x00")
        self.refused(0x1B, 0x66, b"\x01\x00")

    def test_reset(self):
        rig = self.rig
        self.refused(0x02, opcodes.RESET, empty=True)
        rig.log_in()
        self.assertEqual(rig.plain(opcodes.RESET, empty=True), b"")
        self.assertTrue(rig.device.keys.is_paired)
        rig.disconnect()
        self.assertFalse(rig.device.keys.is_paired)
        self.assertEqual(len(rig.device.ring), 0)
        rig.start()
        self.assertFalse(rig.device.keys.is_paired)

    def test_nothing_is_valid_between_the_promise_of_a_reset_and_the_reset(self):
        rig = self.rig
        rig.log_in()
        rig.ask(opcodes.SET_ADMIN_PASSCODE, pairing.set_admin_passcode("2468135"))
        rig.plain(opcodes.RESET, empty=True)
        rig.type("2468135#")
        rig.key = crypto.DEFAULT_KEY
        self.refused(0x06, opcodes.CHECK_USER, session.check_user())
        self.refused(0x07, opcodes.INIT, empty=True)
        rig.wait(500)
        self.assertEqual(rig.pins.movements, 0)

    def test_reset_by_the_button_ends_a_link_that_is_up(self):
        rig = self.rig
        rig.log_in()
        rig.button.active = True
        rig.wait(5200)
        rig.button.active = False
        rig.type("000#")
        self.assertTrue(rig.engine.is_over)
        self.assertEqual(rig.raw(frame.encode(opcodes.STATUS, crypto.encrypt(rig.key, b"SCIENER"))), [])
        rig.disconnect()
        rig.connect()
        rig.key = crypto.DEFAULT_KEY
        self.refused(0x06, opcodes.STATUS, b"SCIENER")

    def test_reset_keeps_counters_and_the_bolt_and_switches_remote_unlock_off(self):
        rig = self.rig
        rig.log_in()
        rig.ask(opcodes.REMOTE_UNLOCK, b"\x02\x01")
        for _ in range(4):
            self.refused(0x03, opcodes.CHECK_ADMIN, session.check_admin(4711))
        rig.operate(opcodes.UNLOCK)
        rig.plain(opcodes.RESET, empty=True)
        rig.disconnect()
        rig.wait(9000)
        self.assertEqual((rig.device.bolt.state, rig.pins.movements), ("unlocked", 1))
        rig.key = crypto.DEFAULT_KEY
        rig.pair()
        self.assertFalse(settings_client.remote_unlock(rig.ask(opcodes.REMOTE_UNLOCK, b"\x01"))[1])
        self.refused(0x03, opcodes.CHECK_ADMIN, session.check_admin(4711))
        self.refused(0x02, opcodes.CHECK_ADMIN, session.check_admin(ADMIN_PS))

    def test_power_cut_after_the_promise_of_a_reset_finishes_it(self):
        rig = self.rig
        rig.log_in()
        rig.plain(opcodes.RESET, empty=True)
        rig.start()
        self.assertFalse(rig.device.keys.is_paired)
        self.assertFalse(rig.device.vault.is_wiping)

    def test_fresh_login_only(self):
        rig = self.rig
        rig.log_in()
        rig.wait(15000, 500)
        rig.ask(opcodes.STATUS, session.status_request())
        rig.wait(15500, 500)
        self.refused(0x02, opcodes.RESET, empty=True)
