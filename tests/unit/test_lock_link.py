"""The lock's end of the link: login, unlock, state, and what is refused or ended how."""

from firmware.lib import crypto, dates, frame, opcodes
from firmware.lib.messages import passcode_client
from firmware.lib.messages import session_client as session
from tests.scratch import scratch
from tests.unit.link_case import LinkCase
from tests.unit.lock_rig import ADMIN_PS, UNLOCK_KEY, Refused


class TestSessions(LinkCase):
    folder = scratch("lock-link")

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
        rig.lock.motion.guard = lambda now_ms: None
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

    def check_random_as_user(self, unlock_key=UNLOCK_KEY, **who):
        challenge = session.challenge(self.rig.ask(opcodes.CHECK_USER, session.check_user(**who)))
        return self.rig.ask(opcodes.CHECK_RANDOM, session.check_random(challenge, unlock_key))

    def test_proof_of_a_user_opens_nothing(self):
        """decisions.md DEC-19: 0x30 after 0x55 is answered, and of what needs S3 everything stays refused."""
        rig = self.rig
        rig.device.battery_pct = 71
        self.assertEqual(self.check_random_as_user(), b"\x47")
        for opcode, plain in (
            (opcodes.PASSCODE, passcode_client.clear()),
            (opcodes.CARD, b"\x01\x00\x00"),
            (opcodes.AUTO_LOCK, b"\x02\x00\x07"),
            (opcodes.GET_ADMIN_PASSCODE, b""),
            (opcodes.RESET, b""),
            (opcodes.UNLOCK, session.operate(1, UNLOCK_KEY, 5)),  # its challenge is used up
            (opcodes.CHECK_RANDOM, session.check_random(1, UNLOCK_KEY)),
        ):
            self.refused(0x02, opcode, plain)
        self.assertIsNone(rig.engine.session.s3_age_ms(rig.now_ms))
        self.assertEqual(rig.pins.movements, 0)

    def test_proof_of_a_user_moves_the_clock_no_further_than_the_key_alone(self):
        rig = self.rig
        rig.device.battery_pct = 71
        now = dates.to_seconds(rig.device.stores.clock.date6())
        for moved_s, error in ((300, None), (301, 0x02), (-1, None), (9000, 0x02), (-86400, 0x02)):
            self.check_random_as_user()
            plain = session.set_clock(dates.from_seconds(now + moved_s))
            if error is None:
                self.assertEqual(rig.ask(opcodes.SET_CLOCK, plain), b"\x47")  # with the battery
            else:
                self.refused(error, opcodes.SET_CLOCK, plain)

    def test_wrong_proof_of_a_user_counts_as_a_wrong_unlock(self):
        rig = self.rig
        rig.log_in()
        with self.assertRaises(Refused):
            self.check_random_as_user(99)
        self.assertEqual(rig.device.stores.limits.user.consecutive, 1)
        self.assertEqual(rig.device.stores.limits.admin.consecutive, 0)
        self.refused(0x02, opcodes.PASSCODE, passcode_client.clear())  # and ends the admin session

    def test_repeated_unlock_is_answered_and_not_done_again(self):
        rig = self.rig
        challenge = session.challenge(rig.ask(opcodes.CHECK_USER, session.check_user()))
        raw = frame.encode(opcodes.UNLOCK, crypto.encrypt(rig.key, session.operate(challenge, UNLOCK_KEY, 5)))
        first = rig.raw(raw)
        self.assertEqual(rig.raw(raw), first)
        self.assertEqual(rig.pins.movements, 1)
        self.assertEqual(len(rig.device.stores.ring), 1)
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

    def test_who_shows_no_key_is_let_go_after_ten_seconds(self):
        """Whatever else it sends: every request that is answered without the key, each with and without a payload."""
        rig = self.rig
        wrong = crypto.encrypt(bytes(16), bytes(4))
        frames = [b"", b"\x7f", b"\x7f\x5a\x05\x03"]
        for command in (opcodes.INIT, opcodes.FEATURES, opcodes.GET_CLOCK, opcodes.PAIRING_DONE, opcodes.RESET, 0xFE):
            frames.append(frame.encode(command, b""))
        for command in (opcodes.INIT, opcodes.GET_AES_KEY, opcodes.UNLOCK, opcodes.CHECK_RANDOM, opcodes.PASSCODE, 2):
            frames.append(frame.encode(command, wrong))
        for paired in (True, False):
            if not paired:
                rig.reset()
            for each in frames + [None]:
                rig.disconnect()
                rig.connect()
                began_ms = rig.now_ms
                while not rig.engine.is_over:
                    raw = frames[(rig.now_ms - began_ms) // 500 % len(frames)] if each is None else each
                    rig.send(raw)
                    rig.wait(500, 100)
                    self.assertTrue(rig.now_ms - began_ms <= 10000)
                self.assertTrue(each is None or rig.now_ms - began_ms == 10000 or len(each) < 6, each)

    def test_a_rival_gets_the_place_of_who_shows_no_right_to_it(self):
        """What a client has shown, when another one may connect beside it, and when it goes for that one, in s."""
        rig = self.rig

        def key():
            rig.raw(frame.encode(opcodes.STATUS, crypto.encrypt(rig.key, b"SCIENER")))  # also a recording does this

        def empty():
            rig.raw(frame.encode(opcodes.FEATURES, b""))

        for act, shares_s, yields_s in ((None, 1, 4), (empty, 1, 4), (key, 8, 8), (rig.log_in, None, None)):
            for has_rival in (False, True):
                rig.disconnect()
                rig.connect()
                rig.engine.has_rival = has_rival
                began_ms = rig.now_ms
                shared_ms = None
                while not rig.engine.is_over and rig.now_ms - began_ms < 30000:
                    if act and (act != rig.log_in or rig.now_ms == began_ms):
                        act()
                    rig.wait(100, 100)
                    if shared_ms is None and rig.engine.shares:
                        shared_ms = rig.now_ms - began_ms
                stayed_s = (rig.now_ms - began_ms) // 1000
                self.assertEqual(shared_ms and shared_ms // 1000, shares_s)
                if has_rival and yields_s:
                    self.assertEqual(stayed_s, yields_s)
                else:
                    self.assertTrue(stayed_s >= 10)
        rig.reset()
        rig.lock.keypad.touch(rig.now_ms)  # whoever pairs has no key to show
        rig.connect()
        rig.engine.has_rival = True
        rig.wait(5000, 100)
        self.assertFalse(rig.engine.shares or rig.engine.is_over)

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
            rig.device.stores.clock.set(date6, True)
            window = session.check_user((2026, 5, 1, 0, 0), (2026, 6, 1, 0, 0))
            if error is None:
                rig.ask(opcodes.CHECK_USER, window)
            else:
                self.refused(error, opcodes.CHECK_USER, window)
        rig.start()
        rig.connect()
        self.refused(0x11, opcodes.CHECK_USER, session.check_user((2026, 5, 1, 0, 0), (2026, 6, 1, 0, 0)))
        rig.ask(opcodes.CHECK_USER, session.check_user())
