"""Authority table, record store, counters: the parts that need no link."""

import os
import unittest

from firmware.lib import opcodes
from firmware.lib.records import NEXT_UNREAD
from firmware.lock import authority
from firmware.lock.stores.limits import Limits
from firmware.lock.stores.ring import Ring
from firmware.system import store
from firmware.system.journal import Journal
from firmware.system.store import Cell
from firmware.system.vault import Vault
from tests.scratch import scratch
from tests.unit.fake_nvs import Nvs
from tests.unit.lock_rig import erase

FOLDER = scratch("lock-stores")

ALL_FEATURES = (1 << 128) - 1

# security.md 3.2 in a form of its own: what may be decrypted, by standing
PAIR_ONLY = {0x45, 0x19}
NEEDS_NOTHING = {0x01, 0x34, 0x14, 0x90, 0x62, 0x36, 0x59, 0x25, 0x41, 0x55, 0x43, 0x37, 0x57, 0x66}
P_OR_ADMIN = {0x53, 0x65, 0x31}
ADMIN = {0x03, 0x04, 0x05, 0x06, 0x07, 0x44, 0x4E, 0x61, 0x67, 0x68, 0x70, 0x71, 0x74, 0xE3, 0xE6, 0xE7, 0xE8}


def expected(opcode, standing):
    """Error byte, or None."""
    if opcode not in PAIR_ONLY | NEEDS_NOTHING | P_OR_ADMIN | ADMIN | {0x56, 0x30, 0x47, 0x58, 0x52}:
        return 0x1B
    if opcode == 0x45 and standing.stage == authority.PAIRED:
        return None
    if opcode in PAIR_ONLY:
        return None if standing.stage == authority.FACTORY and standing.window_open else 0x07
    if opcode == 0x56:
        return None if standing.stage == authority.KEYED else 0x07
    if standing.stage in (authority.FACTORY, authority.KEYED):
        return 0x06
    is_admin = standing.s3_age_ms is not None
    allowed = (
        opcode in NEEDS_NOTHING
        or (opcode in P_OR_ADMIN and (is_admin or standing.stage == authority.PROVISIONAL))
        or (opcode in ADMIN and is_admin)
        or (opcode == 0x52 and is_admin and standing.s3_age_ms <= 30000)
        or (opcode == 0x30 and standing.challenge_of == 0x41)
        or (opcode == 0x30 and standing.challenge_of == 0x55 and standing.stage == authority.PAIRED)
        or (opcode in (0x47, 0x58) and standing.challenge_of in (0x41, 0x55) and standing.stage == authority.PAIRED)
    )
    return None if allowed else 0x02


class TestAuthority(unittest.TestCase):
    def test_all_opcodes_in_all_standings(self):
        checked = 0
        for stage in (authority.FACTORY, authority.KEYED, authority.PROVISIONAL, authority.PAIRED):
            for is_open in (False, True):
                for age_ms in (None, 0, 30000, 30001):
                    for challenge in (0, 0x41, 0x55):
                        standing = authority.Standing(stage, is_open, age_ms, challenge)
                        for opcode in range(256):
                            got = authority.refusal(opcode, 16, standing, ALL_FEATURES)
                            self.assertEqual(got, expected(opcode, standing), "%02x at %d" % (opcode, stage))
                            checked += 1
        self.assertEqual(checked, 4 * 2 * 4 * 3 * 256)

    def test_features_and_empty_payloads(self):
        admin = authority.Standing(authority.PAIRED, False, 0, 0x41, True)
        for opcode, bit in (
            (0x03, 0),
            (0x04, 0),
            (0x44, 5),
            (0x07, 7),
            (0x36, 4),
            (0x37, 14),
            (0x58, 8),
            (0x59, 9),
            (0x62, 15),
            (0x65, 18),
        ):
            self.assertEqual(authority.refusal(opcode, 16, admin, ALL_FEATURES & ~(1 << bit)), 0x1B)
        for opcode in authority.known():
            allowed = opcode in (0x01, 0x34, 0x57, 0x65, 0x52, 0x04)
            if opcode not in (0x45, 0x19, 0x56):
                self.assertEqual(authority.refusal(opcode, 0, admin, ALL_FEATURES), None if allowed else 0x17)
        for opcode in (0x57, 0x65, 0x52, 0x04):
            self.assertEqual(authority.refusal(opcode, 0, admin, ALL_FEATURES, True), 0x17)

    def test_empty_end_of_pairing_shows_no_key(self):
        for stage, has_key, error in (
            (authority.PAIRED, False, 0x02),
            (authority.PAIRED, True, None),
            (authority.PROVISIONAL, False, None),
        ):
            standing = authority.Standing(stage, False, None, 0, has_key)
            self.assertEqual(authority.refusal(opcodes.PAIRING_DONE, 0, standing, ALL_FEATURES), error)

    def test_short_list_of_lengths_below_admin(self):
        user = authority.Standing(authority.PAIRED)
        for opcode in authority.known():
            for length in range(240):
                if authority.plain_length_allowed(opcode, length, user) and opcode not in (0x45, 0x19):
                    self.assertTrue(length in (0, 1, 2, 3, 4, 6, 7, 8, 11, 15, 17), opcode)
                    self.assertTrue(opcode == 0x56 or 16 - length % 16 >= 5, opcode)


class StoreCase(unittest.TestCase):
    def setUp(self):
        erase(FOLDER)
        store.make_folder(FOLDER)
        self.nvs = Nvs()

    def tearDown(self):
        erase(FOLDER)

    def ring(self, first=0):
        return Ring(Journal(FOLDER + "/ring", 50, 11, first), Cell(FOLDER + "/cursor"), Vault(FOLDER, self.nvs))


def walk(ring, cursor):
    """Numbers delivered to a client that asks on from `cursor`."""
    found = []
    page = ring.read(cursor)
    while page is not None:
        found.append(page[0])
        page = ring.read(page[0] + 1)
    return found


class TestRing(StoreCase):
    def test_keeps_the_last_500(self):
        ring = self.ring()
        for n in range(620):
            self.assertEqual(ring.append(b"%d" % n), n)
        self.assertEqual(len(ring), 500)
        self.assertEqual(walk(ring, 0), list(range(120, 620)))
        self.assertEqual(walk(self.ring(), 600), list(range(600, 620)))
        self.assertEqual(ring.read(619), (619, b"619"))
        self.assertTrue(ring.read(620) is None)
        self.assertTrue(ring.read(5000) is None)

    def test_own_walk_resumes(self):
        ring = self.ring()
        for n in range(5):
            ring.append(b"x")
        self.assertTrue(ring.has_unread)
        self.assertEqual(ring.read(NEXT_UNREAD)[0], 0)
        self.assertEqual(ring.read(NEXT_UNREAD)[0], 1)
        self.assertEqual(ring.read(3)[0], 3)
        ring.keep_cursor()
        ring = self.ring()
        self.assertEqual(ring.read(NEXT_UNREAD)[0], 4)
        self.assertFalse(ring.has_unread)
        self.assertTrue(ring.read(NEXT_UNREAD) is None)

    def test_numbers_wrap(self):
        ring = self.ring(65520)
        for n in range(30):
            ring.append(b"x")
        self.assertEqual(walk(ring, 65520), list(range(65520, 65534)) + list(range(16)))
        self.assertEqual(ring.read(0xFFFE)[0], 0)
        self.assertEqual(ring.read(15)[0], 15)
        self.assertTrue(ring.read(16) is None)

    def test_erase(self):
        ring = self.ring()
        ring.append(b"x")
        ring.wipe()
        self.assertEqual((len(ring), ring.append(b"y")), (0, 0))
        self.assertEqual(self.ring().read(NEXT_UNREAD), (0, b"y"))

    def test_typed_digits_cannot_be_read_from_the_files(self):
        ring = self.ring()
        for n in range(100):
            ring.append(b"8642097531 %d" % n)
        found = 0
        for name in os.listdir(FOLDER + "/ring"):
            with open(FOLDER + "/ring/" + name, "rb") as file:
                raw = file.read()
            found += len(raw)
            self.assertFalse(b"8642" in raw)
        self.assertTrue(found > 1000)
        self.assertEqual(self.ring().latest(), b"8642097531 99")


class TestLimits(StoreCase):
    def test_an_attempt_is_on_flash_before_it_is_judged(self):
        limits = Limits(Cell(FOLDER + "/limits"))
        for _ in range(5):
            limits.keypad.begin(0)
        limits.user.begin(0)
        again = Limits(Cell(FOLDER + "/limits"))
        self.assertEqual((again.keypad.consecutive, again.user.consecutive, again.admin.consecutive), (5, 1, 0))
        self.assertEqual(again.keypad.wait_ms(0), 300000)

    def test_counters_of_older_firmware_still_count(self):
        for length in (6, 10):
            Cell(FOLDER + "/limits").save(bytes((1, 2, 3, 4, 5, 6, 7, 8, 9, 10)[:length]))
            limits = Limits(Cell(FOLDER + "/limits"))
            self.assertEqual((limits.user.consecutive, limits.keypad.consecutive), (1, 5))
            self.assertEqual(limits.fingers.consecutive, 9 if length == 10 else 0)
            for uid in (0x47415445, 77):
                for is_admin in (False, True):
                    self.assertEqual(limits.of(uid, is_admin).consecutive, 0)
                    limits.of(uid, is_admin).begin(0)
            self.assertIs(limits.of(0, True), limits.admin)
            again = Limits(Cell(FOLDER + "/limits"))
            self.assertEqual(again.of(1, True).consecutive, 1)
            self.assertEqual(again.admin.consecutive, 3)

    def test_quiet_counters_survive_those_of_others(self):
        limits = Limits(Cell(FOLDER + "/limits"))
        for _ in range(3):
            limits.keypad.begin(0)
        for n in range(500):
            limits.user.begin(n)
            limits.user.succeed()
        again = Limits(Cell(FOLDER + "/limits"))
        self.assertEqual((again.keypad.consecutive, again.user.consecutive), (3, 0))

    def test_counters_that_cannot_be_read_begin_with_a_pause(self):
        limits = Limits(Cell(FOLDER + "/limits"))
        self.assertEqual(limits.keypad.wait_ms(0), 0)
        limits.keypad.begin(0)
        limits.keypad.begin(0)
        for name in ("/limits.0", "/limits.1"):
            with open(FOLDER + name, "wb") as file:
                file.write(b"damaged")
        again = Limits(Cell(FOLDER + "/limits"))
        self.assertEqual((again.keypad.wait_ms(0), again.user.wait_ms(0)), (300000, 60000))

    def test_flash_that_refuses_does_not_stop_the_counting(self):
        class Refusing:
            is_damaged = False

            def load(self):
                return None

            def save(self, payload):
                raise OSError(28)

        limits = Limits(Refusing())
        for _ in range(5):
            self.assertTrue(limits.keypad.begin(0))
        self.assertEqual((limits.unsaved, limits.keypad.wait_ms(0)), (5, 300000))
