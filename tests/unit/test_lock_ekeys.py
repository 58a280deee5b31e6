"""Ekeys of persons at the lock: own secrets, windows, freezing, revocation, reset; T-REV-1 and T-REV-2 in small."""

from firmware.lib import opcodes
from firmware.lib.messages import ekey_client, session_client
from tests.scratch import scratch
from tests.unit.link_case import LinkCase
from tests.unit.lock_rig import ADMIN_PS, UNLOCK_KEY, Refused

UID = ekey_client.FIRST_UID
KEY = 555000111
GATEWAY = 0x47415445
BEFORE, START, END = (2026, 5, 11, 14, 0), (2026, 5, 11, 14, 30), (2026, 5, 11, 15, 0)  # the clock shows 14:23


class EkeyCase(LinkCase):
    folder = scratch("lock-ekeys")

    def setUp(self):
        super().setUp()
        self.rig.paired()
        self.rig.connect()
        self.rig.log_in()

    def ask(self, plain):
        return self.rig.ask(opcodes.EKEY, plain)

    def add(self, start=None, end=None, flags=0, uid=UID, key=KEY):
        ekey_client.managed(self.ask(ekey_client.add(uid, key, start, end, flags)), ekey_client.ADD)

    def claim(self, uid=UID, start=None, end=None, flag_pos=0):
        rig = self.rig
        rig.wait(2100, 100)  # the same bytes sooner would be taken for a repeat
        plain = session_client.check_user(start, end, flag_pos, uid)
        return session_client.challenge(rig.ask(opcodes.CHECK_USER, plain))

    def opens(self, key=KEY, command=opcodes.UNLOCK, **claim):
        """None, or the error byte; the bolt is locked again afterwards."""
        rig = self.rig
        moved = rig.pins.movements
        try:
            challenge = self.claim(**claim)
            rig.ask(command, session_client.operate(challenge, key, 1778509387))
        except Refused as err:
            self.assertEqual(rig.pins.movements, moved)
            return err.error
        if command == opcodes.UNLOCK:
            self.assertEqual(rig.pins.movements, moved + 1)
            rig.wait(7000, 100)  # it locks itself
        return None


class TestEkeys(EkeyCase):
    def test_an_ekey_opens_with_its_own_secret_only(self):
        self.add()
        self.assertIsNone(self.opens())
        self.assertEqual(self.opens(UNLOCK_KEY), 0x08)
        self.assertEqual(self.opens(KEY, uid=77), 0x08)
        self.assertIsNone(self.opens(UNLOCK_KEY, uid=0))
        self.assertIsNone(self.opens(UNLOCK_KEY, uid=77))
        self.assertIn(1, self.types())

    def test_a_client_that_shows_uid_0_is_known_by_its_secret_and_held_to_its_limits(self):
        self.add()
        self.assertIsNone(self.opens(uid=0))
        for limits, error in (
            ((START, END, 0), 0x11),
            ((BEFORE, (2026, 5, 11, 14, 20), 0), 0x0E),
            ((None, None, ekey_client.FROZEN), 0x1C),
            ((BEFORE, END, ekey_client.ONCE), None),
            (None, 0x08),  # used up, and gone
        ):
            if limits:
                self.rig.log_in()
                self.ask(ekey_client.modify(UID, *limits))
            self.assertEqual(self.opens(uid=0), error)
        self.assertIsNone(self.opens(UNLOCK_KEY, uid=0))

    def test_the_window_of_the_lock_and_the_claimed_one_both_count(self):
        self.add(START, END)
        self.assertEqual(self.opens(), 0x11)
        self.ask(ekey_client.modify(UID, BEFORE, END))
        self.assertIsNone(self.opens())
        self.assertIsNone(self.opens(start=BEFORE, end=END))
        self.assertEqual(self.opens(start=(2026, 5, 11, 14, 40), end=END), 0x11)
        self.rig.rtc += 3600
        self.assertEqual(self.opens(), 0x0E)
        self.assertEqual(self.opens(start=BEFORE, end=(2030, 1, 1, 0, 0)), 0x0E)

    def test_a_permanent_ekey_opens_with_a_clock_that_is_not_trusted_and_a_timed_one_does_not(self):
        self.add()
        self.add(BEFORE, END, uid=UID + 1)
        self.rig.device.stores.clock.distrust()
        self.assertIsNone(self.opens())
        self.assertEqual(self.opens(uid=UID + 1), 0x11)

    def test_a_frozen_ekey_is_refused_until_it_is_thawed(self):
        self.add()
        self.ask(ekey_client.modify(UID, flags=ekey_client.FROZEN))
        self.assertEqual(self.opens(), 0x1C)
        self.assertEqual(self.opens(command=opcodes.LOCK), 0x1C)
        self.ask(ekey_client.modify(UID))
        self.assertIsNone(self.opens())

    def test_a_revoked_uid_is_revoked_for_ever(self):
        self.add()
        self.assertIsNone(self.opens())
        for _ in range(2):  # again is fine
            ekey_client.managed(self.ask(ekey_client.revoke(UID)), ekey_client.REVOKE)
        for _ in range(2):
            self.assertEqual(self.opens(), 0x0D)
            self.assertEqual(self.opens(start=BEFORE, end=END, flag_pos=9), 0x0D)
            self.assertEqual(self.opens(uid=UID + 1), 0x0D)
            self.assertEqual(self.opens(uid=0), 0x08)
            self.rig.log_in()  # a wrong answer has ended the session
            self.refused(0x0D, opcodes.EKEY, ekey_client.add(UID, KEY))
            self.refused(0x0D, opcodes.EKEY, ekey_client.modify(UID))
            self.rig.start()
            self.rig.connect()
            self.rig.log_in()
        self.ask(ekey_client.reset(1))
        self.assertEqual(self.opens(flag_pos=1), 0x0D)

    def test_a_key_that_opens_once_is_gone_before_the_bolt_has_moved(self):
        self.add(flags=ekey_client.ONCE)
        challenge = self.claim()
        self.rig.pins.is_jammed = True
        self.refused(0x13, opcodes.UNLOCK, session_client.operate(challenge, KEY, 1778509387))
        self.rig.pins.is_jammed = False
        self.assertEqual(self.opens(), 0x0D)

    def test_a_reset_ends_every_shared_key_and_not_the_administrator(self):
        self.add()
        self.assertEqual(ekey_client.reset_to(self.ask(ekey_client.reset(1))), 1)
        self.assertEqual(self.opens(), 0x0D)
        self.assertEqual(self.opens(flag_pos=1), 0x0D)
        self.assertEqual(self.opens(UNLOCK_KEY, uid=0), 0x0D)  # the owner's secret, as somebody shares it
        self.assertIsNone(self.opens(UNLOCK_KEY, uid=0, flag_pos=1))
        self.rig.log_in()
        self.add(uid=UID + 1)
        self.ask(ekey_client.reset(1))  # told again
        self.assertIsNone(self.opens(uid=UID + 1, flag_pos=1))

    def test_an_administrator_who_acts_for_a_person_is_held_to_that_persons_rights(self):
        rig = self.rig

        def acts(uid=UID):
            moved = rig.pins.movements
            rig.wait(2100, 100)
            plain = session_client.check_admin(ADMIN_PS, uid=uid)
            try:
                challenge = session_client.challenge(rig.ask(opcodes.CHECK_ADMIN, plain))
                rig.ask(opcodes.UNLOCK, session_client.operate(challenge, UNLOCK_KEY, 1778509387))
            except Refused as err:
                self.assertEqual(rig.pins.movements, moved)
                return err.error
            rig.wait(7000, 100)
            return None

        self.add()
        self.add(flags=ekey_client.REMOTE, uid=UID + 1)
        rig.ask(opcodes.REMOTE_UNLOCK, b"\x02\x01")
        self.assertEqual(acts(), 0x02)
        self.assertIsNone(acts(UID + 1))
        self.assertEqual(self.types()[-1], 28)
        rig.log_in()
        self.ask(ekey_client.modify(UID + 1, flags=ekey_client.REMOTE | ekey_client.FROZEN))
        self.assertEqual(acts(UID + 1), 0x1C)
        rig.log_in()
        self.ask(ekey_client.revoke(UID + 1))
        self.assertEqual(acts(UID + 1), 0x0D)
        self.assertIsNone(acts(0))

    def test_guesses_under_one_class_of_uids_shut_out_that_class_only(self):
        """Six wrong answers of each kind, to 0x41, to its challenge and to 0x55's, under uids of each class."""
        classes = (0,), (0x47415445,), (77, 4711, 0x4AFFFFFF), (UID + 1,), (UID, UID + 3), (UID + 2,)

        def logs_in(uid, admin_ps=ADMIN_PS, unlock_key=UNLOCK_KEY):
            rig = self.rig
            plain = session_client.check_admin(admin_ps, uid=uid)
            challenge = session_client.challenge(rig.ask(opcodes.CHECK_ADMIN, plain))
            rig.ask(opcodes.CHECK_RANDOM, session_client.check_random(challenge, unlock_key))

        def guesses(number, uid):
            rig = self.rig
            rig.disconnect()
            rig.connect()
            rig.wait(2100, 100)
            try:
                if number == 0:
                    logs_in(uid, admin_ps=4711)
                elif number == 1:
                    logs_in(uid, unlock_key=4711)
                else:
                    challenge = self.claim(uid)
                    rig.ask(opcodes.CHECK_RANDOM, session_client.check_random(challenge, 4711))
                self.fail("right")
            except Refused as err:
                self.assertTrue(err.error in (0x02, 0x03, 0x08, 0x0D))

        for number in range(3):
            for guessing in classes:
                self.setUp()
                for uid in (UID, UID + 1, UID + 2):
                    self.add(uid=uid)
                self.ask(ekey_client.revoke(UID))
                for n in range(6):
                    guesses(number, guessing[n % len(guessing)])
                self.rig.start()  # what was counted is on flash
                for other in classes[:4]:
                    if other != guessing:
                        self.rig.disconnect()
                        self.rig.connect()
                        logs_in(other[0])

    def test_wrong_answers_for_one_ekey_keep_nobody_else_out(self):
        self.add()
        self.add(uid=UID + 1)
        for _ in range(5):
            self.assertEqual(self.opens(4711), 0x08)
        self.assertEqual(self.opens(), 0x02)
        self.assertIsNone(self.opens(uid=UID + 1))
        self.assertIsNone(self.opens(UNLOCK_KEY, uid=0))
        self.rig.start()
        self.rig.connect()
        self.assertEqual(self.opens(), 0x02)
        self.rig.log_in()
        self.ask(ekey_client.revoke(UID))
        self.add(uid=UID + 2)  # takes the slot, not the pause
        self.assertIsNone(self.opens(uid=UID + 2))

    def test_status_and_list_tell_limits_and_no_secret(self):
        self.assertEqual(ekey_client.status_of(self.ask(ekey_client.status())), (0, UID, 0, 50))
        for _ in range(2):
            self.add(START, END, ekey_client.REMOTE)  # the same again changes nothing, another content is refused
        self.refused(0x14, opcodes.EKEY, ekey_client.add(UID, KEY + 1))

    def test_lists_page_by_slot(self):
        for n in range(3):
            self.add(START, END, n, UID + n)
        self.ask(ekey_client.revoke(UID + 1))
        found, index = [], 0
        while True:
            data = self.ask(ekey_client.list_request(index))
            self.assertFalse(KEY.to_bytes(4, "big") in data)
            index, ekey = ekey_client.entry(data)
            if ekey is None:
                break
            found.append((ekey.uid, ekey.start, ekey.end, ekey.flags))
        self.assertEqual(found, [(UID, START, END, 0), (UID + 2, START, END, 2)])
        self.assertEqual(ekey_client.status_of(self.ask(ekey_client.status())), (0, UID + 3, 2, 50))

    def test_fifty_fit(self):
        for n in range(50):
            self.add(uid=UID + n)
        self.refused(0x16, opcodes.EKEY, ekey_client.add(UID + 50, KEY))
        self.ask(ekey_client.revoke(UID + 7))
        self.add(uid=UID + 50)
        self.assertIsNone(self.opens(uid=UID + 50))

    def test_values_out_of_range(self):
        self.refused(0x1D, opcodes.EKEY, ekey_client.add(77, KEY))
        self.refused(0x1D, opcodes.EKEY, ekey_client.add(UID, 0))
        self.refused(0x1D, opcodes.EKEY, ekey_client.add(UID, 0x80000000))
        self.refused(0x1D, opcodes.EKEY, ekey_client.add(UID, KEY, END, START))
        self.refused(0x1D, opcodes.EKEY, ekey_client.add(UID, KEY, flags=8))
        self.refused(0x1D, opcodes.EKEY, ekey_client.add(ekey_client.LAST_UID, KEY))
        self.refused(0x15, opcodes.EKEY, ekey_client.revoke(UID))
        self.ask(ekey_client.reset(3))
        self.refused(0x1D, opcodes.EKEY, ekey_client.reset(2))
        self.refused(0x15, opcodes.EKEY, ekey_client.modify(UID))
        self.refused(0x1B, opcodes.EKEY, b"\x09")
        self.assertIsNone(self.rig.plain(opcodes.EKEY, b"\x03\x4b"))

    def test_nothing_below_an_administrator(self):
        self.rig.disconnect()
        self.rig.connect()
        for plain in (ekey_client.status(), ekey_client.add(UID, KEY), ekey_client.reset(1)):
            self.refused(0x02, opcodes.EKEY, plain)

    def test_a_factory_reset_forgets_them(self):
        self.add()
        self.ask(ekey_client.reset(1))
        self.rig.reset()
        ekeys = self.rig.device.stores.ekeys
        self.assertEqual((len(ekeys), ekeys.flag_pos, ekeys.next_uid), (0, 0, UID))
