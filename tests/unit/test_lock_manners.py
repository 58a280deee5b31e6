"""The manners of other makers' locks: what a client of such a lock meets, beside what ours does."""

import unittest

from firmware.lib import advert, crypto, frame, opcodes, records
from firmware.lib.messages import session_client as session
from firmware.lib.messages import settings_client
from firmware.lock import manners
from tests.scratch import scratch
from tests.unit.lock_rig import ADDRESS, ADMIN_PS, UNLOCK_KEY, Refused, Rig, erase

FOLDER = scratch("lock-manners")
IDENTITY = manners.identity(ADDRESS, 2)
DORMANT = 0x10
IDLE_MS = 5000


class Case(unittest.TestCase):
    manners = "real"

    def setUp(self):
        self.rig = Rig(FOLDER, manners=self.manners)
        self.rig.header = (2, 10, 12)
        self.rig.pair()
        self.rig.log_in()
        self.rig.ask(opcodes.AUTO_LOCK, settings_client.auto_lock_set(0))
        self.rig.disconnect()

    def tearDown(self):
        erase(FOLDER)

    def seen(self):
        """(flags, battery) of what it advertises now."""
        shown = advert.decode_manufacturer(self.rig.device.advertised(IDENTITY, self.rig.now_ms))
        self.assertEqual((shown.address, shown.scene, shown.kind), (ADDRESS, 2, "v3"))
        return shown.flags, shown.battery

    def flags(self):
        return self.seen()[0]

    def wait(self, ms):
        """Let time pass as the lock's own loop does, which looks at the advertisement with each step."""
        until = self.rig.now_ms + ms
        while self.rig.now_ms < until:
            self.rig.wait(500, 500)
            self.seen()

    def moved(self, command):
        self.rig.connect()
        self.rig.operate(command)
        self.rig.disconnect()

    def refusal(self, command, plain, *header):
        """The error byte that answers a frame under another header (scene, group, org, vendor's CRC, type, version)."""
        rig = self.rig
        (sent,) = rig.raw(frame.encode(command, crypto.encrypt(rig.key, plain), *header))
        answer = crypto.decrypt(rig.key, frame.decode(sent).payload)
        return answer[2] if answer[1] == 0 else None


class TestAdvertisement(Case):
    def test_block_of_17_bytes_without_the_service(self):
        block = self.rig.device.advertised(IDENTITY, self.rig.now_ms)
        self.assertEqual((len(block), block[:3], block[-6:]), (17, b"\x05\x03\x02", bytes(reversed(ADDRESS))))
        self.assertFalse(self.rig.device.shows_service)

    def test_dormant_two_minutes_after_the_last_activity_and_the_bolt_bit_is_down(self):
        self.moved(opcodes.UNLOCK)
        self.wait(110000)
        self.assertEqual(self.flags() & (DORMANT | advert.UNLOCKED), advert.UNLOCKED)
        self.wait(15000)
        self.assertEqual(self.flags() & (DORMANT | advert.UNLOCKED), DORMANT)
        self.assertEqual(self.rig.device.bolt.state, "unlocked")
        self.assertTrue(self.flags() & advert.RECORDS)  # the other bits stay valid

    def test_a_link_alone_does_not_wake_it_and_touch_unlock_and_hand_do(self):
        rig = self.rig
        self.wait(130000)

        def read():
            rig.connect()
            rig.ask(opcodes.STATUS, session.status_request())
            rig.disconnect()

        def turn():
            rig.pins.switch_locked.active, rig.pins.switch_unlocked.active = False, True

        ways = (
            (read, True),
            (lambda: rig.lock.keypad.touch(rig.now_ms), False),
            (lambda: self.moved(opcodes.LOCK), False),  # the bolt is there already
            (lambda: self.moved(opcodes.UNLOCK), False),
            (lambda: self.moved(opcodes.LOCK), False),
            (turn, False),
        )
        for act, stays in ways:
            self.assertTrue(self.flags() & DORMANT)
            act()
            self.wait(1000)
            self.assertEqual(bool(self.flags() & DORMANT), stays)
            self.wait(130000)

    def test_battery_reads_full_a_minute_after_each_link(self):
        rig = self.rig
        rig.device.battery_pct = 40
        for _ in range(2):
            rig.connect()
            self.assertEqual(session.status(rig.ask(opcodes.STATUS, session.status_request()))[0], 40)
            rig.disconnect()
            shown = []
            for _ in range(90):
                self.wait(1000)
                shown.append(self.seen()[1])
            full = [second + 1 for second, level in enumerate(shown) if level == 100]
            self.assertEqual((full[0], len(full)), (60, 6))
            self.assertEqual(set(shown) - {100}, {40})


class TestLinks(Case):
    def test_a_silent_link_ends_after_five_seconds_and_a_busy_one_stays(self):
        rig = self.rig
        rig.connect()
        for _ in range(10):
            rig.ask(opcodes.STATUS, session.status_request())
            rig.wait(IDLE_MS - 1500)
            self.assertFalse(rig.engine.is_over)
        rig.wait(2000)
        self.assertTrue(rig.engine.is_over)

    def test_a_login_under_a_header_that_is_not_the_locks_is_refused_in_the_open(self):
        rig = self.rig
        rig.connect()
        logins = ((opcodes.CHECK_USER, session.check_user()), (opcodes.CHECK_ADMIN, session.check_admin(ADMIN_PS)))
        for command, plain in logins:
            for scene, protocol, version in ((1, 5, 3), (2, 5, 1), (2, 6, 3), (0, 5, 3)):
                header = (scene, 10, 12, True, protocol, version)
                self.assertEqual(self.refusal(command, plain, *header), 0x03)
            self.assertTrue(self.refusal(command, plain, 2, 1, 1) is None)  # group, org: not checked
        self.assertTrue(self.refusal(opcodes.STATUS, session.status_request(), 1) is None)

    def test_only_the_vendors_crc_is_taken_and_given(self):
        rig = self.rig
        rig.connect()
        differed = 0
        for cursor in range(400):  # each is another frame, and of each the tables agree or differ
            raw = frame.encode(opcodes.LOG, crypto.encrypt(rig.key, session.log_request(cursor)), 2, 10, 12, False)
            (sent,) = rig.raw(raw)
            is_refused = crypto.decrypt(rig.key, frame.decode(sent).payload)[:3] == b"\x25\x00\x01"
            self.assertEqual(is_refused, frame.tables_differ(raw))
            self.assertTrue(frame.decode(sent).crc_kind != frame.CRC_STANDARD)
            differed += is_refused
        self.assertTrue(4 < differed < 100)  # one in sixteen


class TestRecords(Case):
    N = 30

    def setUp(self):
        super().setUp()
        ring = self.rig.device.stores.ring
        while ring.read(records.NEXT_UNREAD):
            pass
        self.first = ring.next_number
        for number in range(self.N):
            ring.append(records.encode(1, (2026, 5, 11, 10, 0, number), 90, records.by_user(1, number)))
        self.rig.connect()

    def asked(self, cursor):
        """The number of the record that comes, None at the end, "refused"."""
        try:
            after, raws = session.log_page(self.rig.ask(opcodes.LOG, session.log_request(cursor)))
        except Refused:
            return "refused"
        return after - 1 if raws else None

    def has_unread(self):
        return bool(self.flags() & advert.RECORDS)

    def test_a_number_has_no_side_effect_and_ffff_brings_the_flag_down(self):
        every = list(range(self.first, self.first + self.N))
        for _ in range(2):
            self.assertEqual([self.asked(number) for number in every], every)
            self.assertTrue(self.has_unread())
        walked = [self.asked(records.NEXT_UNREAD) for _ in range(10)]
        self.rig.disconnect()
        self.assertTrue(self.has_unread())
        self.rig.connect()  # the bookmark has stayed
        walked += [self.asked(records.NEXT_UNREAD) for _ in range(20)]
        self.assertEqual(walked, every)
        self.assertFalse(self.has_unread())
        self.assertTrue(self.asked(records.NEXT_UNREAD) is None)

    def test_one_cursor_in_a_hundred_is_refused_and_the_bookmark_jumps(self):
        refused = 0
        for at in range(300):
            answer = self.asked(self.first)
            refused += answer == "refused"
            self.assertEqual(answer, "refused" if at % 100 == 99 else self.first)
        self.assertEqual(refused, 3)
        for _ in range(90):
            self.asked(self.first)
        walked = [self.asked(records.NEXT_UNREAD) for _ in range(12)]
        lost = self.first + 9
        self.assertEqual(walked[8:11], [lost - 1, "refused", lost + 1])
        self.assertEqual(self.asked(lost), lost)

    def test_a_cursor_beyond_the_end_may_bring_the_newest(self):
        newest = self.first + self.N - 1
        self.assertTrue(self.asked(newest + 1) is None)
        self.assertEqual({self.asked(newest + 1000) for _ in range(4)}, {None, newest})


class TestConstantStatus(Case):
    manners = "real_constant"

    def test_status_says_unlocked_whatever_the_bolt_does(self):
        rig = self.rig
        rig.device.battery_pct = 40
        rig.connect()
        for command in (opcodes.UNLOCK, opcodes.LOCK, opcodes.UNLOCK):
            rig.operate(command)
            status = session.status(rig.ask(opcodes.STATUS, session.status_request()))
            self.assertEqual(status[:2], (40, 1))
        self.assertEqual(rig.pins.movements, 3)
        self.assertEqual(self.flags() & advert.UNLOCKED, advert.UNLOCKED)
        rig.operate(opcodes.LOCK)
        self.assertEqual(self.flags() & advert.UNLOCKED, 0)  # the advertisement is right while it is awake


class TestPairingAnswers(unittest.TestCase):
    """hardware-facts.md F21, and what ours does in its place."""

    def outer(self, manners_word):
        """(outer byte, first bytes or None) of the answers to 0x45 and 0x19 while pairing."""
        rig = Rig(FOLDER, manners=manners_word)
        rig.header = (2, 10, 12) if manners_word == "real" else None
        rig.lock.keypad.touch(rig.now_ms)
        rig.connect()
        shown = []
        for command, payload in ((opcodes.INIT, b""), (opcodes.GET_AES_KEY, b"SCIENER")):
            body = crypto.encrypt(crypto.DEFAULT_KEY, payload) if payload else b""
            answer = frame.decode(rig.raw(frame.encode(command, body))[0])
            plain = crypto.decrypt(crypto.DEFAULT_KEY, answer.payload) if answer.payload else None
            shown.append((answer.command, plain and plain[:2]))
        erase(FOLDER)
        return shown

    def test_real(self):
        self.assertEqual(self.outer("real"), [(0x54, None), (0x19, b"\x19\x01")])

    def test_ours(self):
        self.assertEqual(self.outer("own"), [(0x54, b"\x45\x01"), (0x54, b"\x19\x01")])


class TestClock(Case):
    def test_whoever_has_proven_a_key_sets_any_time_and_nobody_else(self):
        """hardware-facts.md F25: 0x55, 0x30 and 0x43, years back too; a proof holds for its link."""
        rig = self.rig
        dates_ = (2026, 5, 11, 14, 23, 9), (2019, 1, 1, 0, 0, 0)
        rig.connect()
        for date in dates_:
            with self.assertRaises(Refused):
                rig.ask(opcodes.SET_CLOCK, session.set_clock(date))
        challenge = session.challenge(rig.ask(opcodes.CHECK_USER, session.check_user()))
        with self.assertRaises(Refused):
            rig.ask(opcodes.CHECK_RANDOM, session.check_random(challenge, UNLOCK_KEY + 1))
        with self.assertRaises(Refused):
            rig.ask(opcodes.SET_CLOCK, session.set_clock(dates_[0]))
        challenge = session.challenge(rig.ask(opcodes.CHECK_USER, session.check_user()))
        rig.ask(opcodes.CHECK_RANDOM, session.check_random(challenge, UNLOCK_KEY))
        for date in dates_:
            self.assertEqual(rig.ask(opcodes.SET_CLOCK, session.set_clock(date)), bytes((rig.device.battery_pct,)))
            self.assertEqual(rig.device.stores.clock.date6()[:5], date[:5])
        with self.assertRaises(Refused):  # it opens nothing else
            rig.ask(opcodes.AUTO_LOCK, settings_client.auto_lock_set(9))
        rig.disconnect()
        rig.connect()
        with self.assertRaises(Refused):
            rig.ask(opcodes.SET_CLOCK, session.set_clock(dates_[0]))


class TestOurs(Case):
    manners = "own"

    def test_ours_has_none_of_it(self):
        rig = self.rig
        block = rig.device.advertised(IDENTITY, rig.now_ms)
        self.assertEqual((len(block), rig.device.shows_service), (15, True))
        self.moved(opcodes.UNLOCK)
        self.wait(130000)
        self.assertEqual(self.flags() & (DORMANT | advert.UNLOCKED), advert.UNLOCKED)
        rig.connect()
        rig.ask(opcodes.STATUS, session.status_request())
        rig.wait(IDLE_MS + 2000)
        self.assertFalse(rig.engine.is_over)
        self.assertTrue(self.refusal(opcodes.CHECK_USER, session.check_user(), 7, 1, 1, False) is None)
        rig.operate(opcodes.LOCK, unlock_key=UNLOCK_KEY)


if __name__ == "__main__":
    unittest.main()
