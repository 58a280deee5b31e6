"""Codes made without the lock, typed at its keypad: what opens, what follows, and what stays dead."""

import unittest

from firmware.lib import dates, offline_codes, opcodes, records
from firmware.lib.messages import pairing_client
from firmware.lib.messages import passcode_client as codes
from firmware.lock.stores import passcodes
from tests.scratch import scratch
from tests.unit.lock_rig import Refused, Rig, erase

FOLDER = scratch("lock-offline")
SEEDS = pairing_client.init_passwords(2026, [(100 + n, 123456789 + n) for n in range(10)])
SECRET = offline_codes.secret(SEEDS)
HOUR_S = 3600
NOON = (2026, 5, 11, 12, 0, 0)  # a Monday
ONCE, PERMANENT, PERIOD, ERASE, DAILY = 1, 2, 3, 4, 6


class OfflineCase(unittest.TestCase):
    def setUp(self):
        self.rig = rig = Rig(FOLDER).paired()
        self.ask(opcodes.INIT_PASSWORDS, SEEDS)
        rig.device.stores.clock.set(NOON, True)
        self.now = rig.rtc // HOUR_S

    def tearDown(self):
        erase(FOLDER)

    def ask(self, command, plain=b"", empty=False):
        """As administrator: the data, or the error byte."""
        rig = self.rig
        rig.connect()
        try:
            rig.log_in()
            return rig.ask(command, plain, empty=empty)
        except Refused as err:
            return err.error
        finally:
            rig.disconnect()

    def code(self, kind, back=0, number=0, secret=SECRET):
        return offline_codes.digits(secret, kind, self.now - back, number)

    def opens(self, digits):
        """Type a code; True if the bolt moved. It is locked again afterwards."""
        rig = self.rig
        before = rig.pins.movements
        rig.type(digits + "#")
        while rig.lock.keypad.is_busy:
            rig.wait(20)
        rig.wait(400)
        moved = rig.pins.movements > before
        rig.device.stores.limits.keypad.clear()
        rig.wait(7000, 100)
        return moved

    def types(self, n):
        return [records.decode(raw).type for raw in self.rig.device.stores.ring.newest(n)][::-1]

    def listed(self):
        found = self.rig.device.stores.passcodes.at(0)
        return (
            None if found is None else codes.page(bytes((0, 3 + len(found[1]), 0, 1, len(found[1]))) + found[1])[1][0]
        )

    def leap(self, hours):
        self.rig.rtc += int(hours * HOUR_S)


class TestKinds(OfflineCase):
    def test_one_time(self):
        code = self.code(ONCE, 5, 42)
        self.assertFalse(self.opens(self.code(ONCE, 6, 42)))
        self.assertEqual(self.types(1), [11])
        self.assertTrue(self.opens(code))
        self.assertFalse(self.opens(code))
        self.assertEqual(self.types(2), [4, 11])
        self.rig.start(False)
        self.assertFalse(self.opens(code))
        self.assertTrue(self.opens(self.code(ONCE, 0, 43)))
        self.assertEqual(len(self.rig.device.stores.passcodes), 0)
        self.leap(30)
        self.assertTrue(self.opens(offline_codes.digits(SECRET, ONCE, self.now + 30, 0)))  # drops the old marks
        self.leap(-31)
        self.assertFalse(self.opens(code))
        self.assertFalse(self.opens(self.code(ONCE, 5, 1)))  # its day was over once

    def test_permanent(self):
        code = self.code(PERMANENT, 23, 19)
        self.assertTrue(self.opens(code))
        entry = self.listed()
        self.assertEqual((entry.kind, entry.code, entry.start), (1, code, (2026, 5, 10, 13, 0)))
        self.leap(24 * 400)
        self.rig.start(False)
        self.assertTrue(self.opens(code))
        self.assertFalse(self.opens(offline_codes.digits(SECRET, PERMANENT, self.now + 24 * 399, 0)))
        self.assertEqual(self.types(1), [11])

    def test_timed(self):
        two_days, unused = (self.code(PERIOD, 1, place) for place in (24, 25))
        self.assertTrue(self.opens(two_days))
        entry = self.listed()
        self.assertEqual((entry.start, entry.end), ((2026, 5, 11, 11, 0), (2026, 5, 13, 11, 0)))
        self.leap(24)
        self.assertTrue(self.opens(two_days))
        self.assertFalse(self.opens(unused))
        self.leap(24)
        self.assertFalse(self.opens(two_days))
        self.assertEqual(self.types(2), [11, 11])

    def test_recurring(self):
        code = offline_codes.digits(SECRET, DAILY, self.now - 2, 3)  # 10 to 14
        self.assertTrue(self.opens(code))
        self.assertEqual((self.listed().kind, self.listed().schedule), (4, 1024 + 3))
        self.leap(2)
        self.assertFalse(self.opens(code))
        self.leap(20)
        self.assertTrue(self.opens(code))

    def test_not_yet_and_no_clock(self):
        self.assertFalse(self.opens(self.code(PERMANENT, -1)))
        self.rig.start(True)
        self.assertFalse(self.opens(self.code(PERMANENT)))
        self.assertEqual(self.types(1), [11])
        self.assertEqual(self.rig.device.stores.limits.keypad.spent, 0)

    def test_a_wrong_code_is_a_guess(self):
        self.assertFalse(self.opens("000000001"))
        self.assertEqual(self.types(1), [7])
        self.assertEqual(self.rig.device.stores.limits.keypad.spent, 1)

    def test_a_second_entry_waits_for_the_first(self):
        rig = self.rig
        for key in "000000001#" + self.code(PERMANENT) + "#" + "12345#":
            rig.lock.keypad.press(key, rig.now_ms)
        rig.wait(3000)
        self.assertEqual(self.types(2), [7, 4])

    def test_no_room(self):
        was, passcodes.CAPACITY = passcodes.CAPACITY, 0
        try:
            self.assertFalse(self.opens(self.code(PERMANENT)))
            self.assertEqual(self.types(1), [12])
        finally:
            passcodes.CAPACITY = was


class TestDead(OfflineCase):
    def test_deleted_changed_and_cleared_codes_stay_dead(self):
        first, second, third = (self.code(PERMANENT, 0, number) for number in range(3))
        for code in (first, second, third):
            self.assertTrue(self.opens(code))
        self.ask(opcodes.PASSCODE, codes.delete(codes.PERMANENT, first))
        self.ask(opcodes.PASSCODE, codes.modify(codes.PERMANENT, second, "864209"))
        for code in (first, second):
            self.assertFalse(self.opens(code))
            self.assertEqual(self.types(1), [7])
        self.assertTrue(self.opens("864209"))
        self.ask(opcodes.PASSCODE, codes.clear())
        self.rig.start(False)
        for code in (first, second, third, "864209"):
            self.assertFalse(self.opens(code))

    def test_offline_erase_code(self):
        self.ask(opcodes.PASSCODE, codes.add(codes.PERMANENT, "864209"))
        self.ask(opcodes.SET_ADMIN_PASSCODE, pairing_client.set_admin_passcode("7319246"))
        used, unused, later = self.code(PERMANENT), self.code(PERMANENT, 3), self.code(PERMANENT, -1)
        self.assertTrue(self.opens(used))
        self.assertFalse(self.opens(self.code(ERASE, 20)))
        self.assertEqual(self.types(2), [10, 8])
        for code in ("864209", used, unused, self.code(ERASE)):
            self.assertFalse(self.opens(code))
        self.assertTrue(self.opens("7319246"))
        self.leap(1)
        self.assertTrue(self.opens(later))

    def test_owners_erase_code(self):
        self.ask(opcodes.PASSCODE, codes.add(codes.PERMANENT, "864209"))
        self.assertEqual(self.ask(opcodes.PASSCODE_COUNT), b"\x64\x00\x01")
        self.assertEqual(self.ask(opcodes.SET_ERASE_CODE, pairing_client.set_admin_passcode("864209")), 0x14)
        self.assertEqual(self.ask(opcodes.SET_ERASE_CODE, pairing_client.set_admin_passcode("9753102")), b"")
        self.assertEqual(self.ask(opcodes.PASSCODE, codes.add(codes.PERMANENT, "9753102")), 0x10)
        self.assertEqual(self.ask(opcodes.SET_ADMIN_PASSCODE, pairing_client.set_admin_passcode("9753102")), 0x10)
        self.rig.start(True)  # no time: all are barred until there is one
        self.assertFalse(self.opens("9753102"))
        self.assertEqual(self.types(2), [10, 8])
        self.assertEqual(self.ask(opcodes.PASSCODE_COUNT), b"\x64\x00\x00")
        self.rig.device.stores.clock.set(dates.from_seconds(self.rig.rtc + HOUR_S), True)
        self.assertFalse(self.opens(self.code(PERMANENT, -1)))
        self.leap(1)
        self.assertTrue(self.opens(self.code(PERMANENT, -2)))

    def test_other_seeds(self):
        used, unused = self.code(ONCE, 0, 3), self.code(PERMANENT)
        self.assertTrue(self.opens(used))
        other = SEEDS[:-1] + b"\x05"
        self.assertEqual(self.ask(opcodes.INIT_PASSWORDS, other), b"")
        self.assertFalse(self.opens(unused))
        secret = offline_codes.secret(other)
        self.assertTrue(self.opens(self.code(ONCE, 0, 3, secret)))
        self.assertFalse(self.opens(self.code(ONCE, 0, 3, secret)))


class TestStore(OfflineCase):
    def test_entries_of_older_firmware_are_taken_over(self):
        entry = b"\x01\x06123456\x06123456\x00\x01\x01\x00\x00"
        device = self.rig.device
        device.stores.vault.save("passcodes", bytes((len(entry),)) + entry + b"\x00")
        self.rig.start(False)
        self.assertTrue(self.opens("123456"))
        self.assertTrue(self.rig.device.stores.vault.load("passcodes") is None)

    def test_251st_is_refused_and_slots_are_listed(self):
        stored = self.rig.device.stores.passcodes
        for n in range(250):
            self.assertTrue(stored.add(1, b"%06d" % (500000 + n), b"\x00\x01\x01\x00\x00") is None)
        self.assertEqual(stored.add(1, b"600000", b"\x00\x01\x01\x00\x00"), 0x16)
        cursor, n = 0, 0
        while True:
            found = stored.at(cursor)
            if found is None:
                break
            cursor, n = found[0] + 1, n + 1
        self.assertEqual((n, cursor), (250, 250))


if __name__ == "__main__":
    unittest.main()
