"""Fingerprints, fobs and hours of the lock, looked at from outside: over the link, at the sensor, on the air."""

import unittest

from firmware.lib import crypto, dates, frame, opcodes, records
from firmware.lib.messages import (
    card_client,
    common,
    cyclic_client,
)
from firmware.lib.messages import fingerprint_client as prints
from firmware.lock.console import Panel
from firmware.lock.stores.held import MAX_FINGERS, MAX_FOBS
from tests.scratch import scratch
from tests.unit.lock_rig import Refused, Rig, erase

FOLDER = scratch("lock-prints")
FINGER, OTHER = b"\0\0\0\0\0\0\0\x07", b"\0\0\0\0\0\0\0\x08"
MAC = b"\xaa\xbb\xcc\x11\x22\x44"
FOB = bytes(reversed(MAC))
CARD = b"\xda\x3c\xbc\x66"
_DAY_S = 86400


class Case(unittest.TestCase):
    def setUp(self):
        self.rig = Rig(FOLDER).paired()

    def tearDown(self):
        erase(FOLDER)

    def ask(self, command, plain):
        """One request as administrator: the data."""
        rig = self.rig
        rig.connect()
        try:
            rig.log_in()
            return rig.ask(command, plain)
        finally:
            rig.disconnect()

    def error(self, command, plain):
        try:
            self.ask(command, plain)
        except Refused as err:
            return err.error
        return 0

    def told(self, n=1):
        """(type, tail) of the newest records, the oldest first."""
        found = [records.decode(raw) for raw in self.rig.device.stores.ring.newest(n)]
        return [(each.type, each.tail) for each in reversed(found)]

    def moved(self, act):
        """Whether the bolt moved. It is locked again afterwards."""
        rig = self.rig
        before = rig.pins.movements
        act()
        rig.wait(400)
        moved = rig.pins.movements > before
        rig.wait(7000, 100)
        return moved

    def press(self, finger):
        return self.moved(lambda: self.rig.lock.reader.present("finger", finger, self.rig.now_ms))

    def fob(self, button=1, battery=80, address=FOB):
        return self.moved(lambda: self.rig.lock.reader.press_fob(address, button, battery, self.rig.now_ms))

    def around(self, days):
        """date5 at midnight so many days from now."""
        return dates.from_seconds(self.rig.device.stores.clock.seconds() + days * _DAY_S)[:3] + (0, 0)

    def begin(self, command=opcodes.FINGERPRINT):
        """Begin an enrolment on a link that stays up -> its first answer."""
        self.rig.connect()
        self.rig.log_in()
        return self.rig.ask(command, prints.enrol())

    def said(self, ms=1500):
        """Plain answers of the lock within a time."""
        found = []
        for raw in self.rig.wait(ms):
            answer = crypto.decrypt(self.rig.key, frame.decode(raw).payload)
            if answer[0] != opcodes.STATUS:
                found.append(answer)
        return found

    def hold(self, finger):
        self.rig.lock.reader.present("finger", finger, self.rig.now_ms)
        return self.said()

    def enrol(self, finger):
        """Enrol a finger -> its number."""
        self.begin()
        for _ in range(4):
            self.hold(finger)
        answer = self.hold(finger)[0]
        self.rig.disconnect()
        return prints.added(common.reply(answer)[2])[1]

    def let_in(self, address=MAC):
        self.ask(opcodes.KEY_FOB, prints.bind(address))

    def listed(self, command=opcodes.FINGERPRINT, decode=prints.entry):
        found = []
        cursor = 0
        while cursor is not None:
            cursor, entry = decode(self.ask(command, prints.list_request(cursor)))
            if entry is not None:
                found.append(entry)
        return found


class TestFingers(Case):
    def test_enrolling_counts_the_presses_and_the_finger_opens(self):
        self.assertEqual(prints.added(self.begin())[0], prints.READY)
        for done in range(1, 5):
            answers = [common.reply(each)[2] for each in self.hold(FINGER)]
            self.assertEqual([prints.added(each) for each in answers], [(prints.PRESSED, None, done, 4)])
            self.assertEqual(self.hold(OTHER), [])  # a bad press
        state, number, _, _ = prints.added(common.reply(self.hold(FINGER)[0])[2])
        self.assertEqual((state, number), (prints.ADDED, 0x10000))
        self.rig.disconnect()
        id6 = number.to_bytes(6, "big")
        self.assertEqual(self.told(), [(21, id6)])
        self.assertEqual([(e.number, e.start, e.end) for e in self.listed()], [(number, dates.NO_START, dates.NO_END)])
        self.rig.start()
        self.assertTrue(self.press(FINGER))
        self.assertEqual(self.told(), [(20, id6)])
        self.assertFalse(self.press(OTHER))

    def test_eight_seconds_without_a_good_press_end_it(self):
        self.begin()
        self.hold(FINGER)
        self.rig.wait(4000)
        self.assertEqual(self.hold(OTHER), [])
        self.assertEqual(self.said(3000), [common.failure(opcodes.FINGERPRINT, 0x13)])
        self.assertEqual(self.hold(FINGER), [])
        self.assertEqual(len(self.rig.device.stores.fingerprints), 0)

    def test_a_finger_twice_and_one_too_many(self):
        self.enrol(FINGER)
        self.begin()
        self.assertEqual(self.hold(FINGER), [common.failure(opcodes.FINGERPRINT, 0x19)])
        self.rig.disconnect()
        store = self.rig.device.stores.fingerprints
        for n in range(1, MAX_FINGERS):
            store.add((1000 + n).to_bytes(8, "big"))
        self.assertEqual(self.error(opcodes.FINGERPRINT, prints.enrol()), 0x04)

    def test_another_request_or_the_end_of_the_link_ends_it(self):
        self.begin()
        self.rig.ask(opcodes.FINGERPRINT, prints.list_request(0))
        self.assertEqual(self.hold(FINGER), [])
        self.rig.disconnect()
        self.begin()
        self.rig.disconnect()
        self.assertFalse(self.press(FINGER))
        self.assertEqual(len(self.rig.device.stores.fingerprints), 0)

    def test_change_delete_clear(self):
        number = self.enrol(FINGER)
        id6 = number.to_bytes(6, "big")
        ask = opcodes.FINGERPRINT
        prints.managed(self.ask(ask, prints.modify(number, self.around(1), self.around(2))), prints.MODIFY)
        self.assertFalse(self.press(FINGER))
        self.assertEqual(self.told(), [(22, id6)])
        prints.managed(self.ask(ask, prints.delete(number)), prints.DELETE)
        self.assertEqual(self.told(), [(23, id6)])
        self.assertEqual((self.error(ask, prints.delete(number)), self.error(ask, prints.modify(number))), (0x1A, 0x1A))
        again = self.enrol(FINGER)
        self.assertEqual(again, 0x20000)  # a number never comes back
        prints.managed(self.ask(ask, prints.clear()), prints.CLEAR)
        self.assertEqual(self.told(), [(24, b"")])
        self.rig.start()
        self.assertFalse(self.press(FINGER))
        self.assertEqual(self.listed(), [])
        self.assertEqual(self.error(ask, b"\x07\x00"), 0x1B)

    def test_a_number_of_another_time_names_nobody(self):
        self.enrol(FINGER)
        for number in (0x20000, 0x10001, 0xFFFFFFFFFFFF, 0):
            self.assertEqual(self.error(opcodes.FINGERPRINT, prints.delete(number)), 0x1A)

    def test_ten_unknown_fingers_are_a_pause_of_their_own(self):
        self.enrol(FINGER)
        for _ in range(10):
            self.press(OTHER)
        self.assertEqual(self.told(), [(48, b"")])
        self.assertFalse(self.press(FINGER))
        self.rig.wait(300000, 1000)
        self.assertTrue(self.press(FINGER))
        self.assertEqual(self.rig.device.stores.limits.cards.consecutive, 0)

    def test_the_panel_stands_for_the_sensor(self):
        self.enrol(FINGER)
        rig = self.rig
        panel = Panel(rig.lock.keypad, rig.lock.reader, dict, lambda: rig.now_ms, True)
        self.assertTrue(self.moved(lambda: panel.handle({"do": "finger", "id": 7})))
        for bad in ({"do": "finger"}, {"do": "finger", "id": -1}, {"do": "finger", "id": True}, {"do": "fob"}):
            self.assertEqual(panel.handle(bad), {"error": "bad_request"})
        self.let_in()
        self.assertTrue(self.moved(lambda: panel.handle({"do": "fob", "mac": "aa:bb:cc:11:22:44", "button": 1})))
        for bad in ({"mac": "aa"}, {"mac": MAC.hex(), "button": 3}, {"mac": MAC.hex(), "battery": 101}):
            self.assertEqual(panel.handle(dict(bad, do="fob")), {"error": "bad_request"})


class TestFobs(Case):
    def test_a_fob_is_let_in_by_a_press_and_opens_and_locks(self):
        self.assertEqual(prints.added(self.begin(opcodes.KEY_FOB))[0], prints.READY)
        self.rig.wait(20000, 100)
        self.rig.lock.reader.press_fob(FOB, 1, 70, self.rig.now_ms)
        state, number, _, _ = prints.added(common.reply(self.said()[0])[2])
        self.assertEqual((state, prints.address_of(number)), (prints.ADDED, MAC))
        self.rig.disconnect()
        self.assertEqual(self.told(), [(99, FOB)])
        self.rig.device.stores.options.autolock_s = 0
        self.assertTrue(self.fob(1, 69))
        self.assertEqual(self.told(), [(55, FOB + b"\x01\x45")])
        self.assertTrue(self.fob(2, 68))
        self.assertEqual(self.told(), [(55, FOB + b"\x02\x44")])
        listed = self.listed(opcodes.KEY_FOB, prints.fob_entry)
        self.assertEqual([(e.number, e.battery, e.flags) for e in listed], [(number, 68, 1)])
        self.rig.start()
        listed = self.listed(opcodes.KEY_FOB, prints.fob_entry)
        self.assertEqual([(e.number, e.battery, e.flags) for e in listed], [(number, 70, 0)])

    def test_nobody_presses_for_half_a_minute(self):
        self.begin(opcodes.KEY_FOB)
        self.assertEqual(self.said(29000), [])
        self.assertEqual(self.said(2000), [common.failure(opcodes.KEY_FOB, 0x13)])

    def test_outside_its_validity_a_fob_is_ignored(self):
        self.let_in()
        number = prints.number_of(MAC)
        self.ask(opcodes.KEY_FOB, prints.modify(number, self.around(1), self.around(2)))
        before = len(self.rig.device.stores.ring)
        self.assertFalse(self.fob())
        self.assertFalse(self.fob(address=b"\1\2\3\4\5\6"))
        self.assertEqual(len(self.rig.device.stores.ring), before)

    def test_several_are_deleted_and_cleared(self):
        other = b"\xaa\xbb\xcc\x11\x22\x45"
        for address in (MAC, other, MAC):
            self.let_in(address)
        self.assertEqual(len(self.listed(opcodes.KEY_FOB, prints.fob_entry)), 2)
        number = prints.number_of(MAC)
        self.ask(opcodes.KEY_FOB, prints.delete(number))
        self.assertEqual(self.told(), [(100, FOB)])
        self.assertEqual(self.error(opcodes.KEY_FOB, prints.delete(number)), 0x1A)
        self.assertFalse(self.fob())
        self.ask(opcodes.KEY_FOB, prints.clear())
        self.assertEqual(self.told(), [(101, b"")])
        self.assertFalse(self.fob(address=bytes(reversed(other))))

    def test_the_store_is_full(self):
        for n in range(MAX_FOBS):
            self.rig.device.stores.fobs.add(bytes((n, 2, 3, 4, 5, 6)), 100)
        self.assertEqual(self.error(opcodes.KEY_FOB, prints.bind(MAC)), 0x04)
        self.assertEqual(self.error(opcodes.KEY_FOB, prints.enrol()), 0x04)

    def test_battery_of_accessories_is_that_of_the_weakest_fob(self):
        ask = opcodes.ACCESSORY_BATTERY
        self.assertEqual(self.error(ask, b"\x04"), 0x1A)
        for place, level in ((0x44, 60), (0x45, 30)):
            self.let_in(MAC[:5] + bytes((place,)))
            self.fob(2, level, bytes((place,)) + FOB[1:])
        self.assertEqual(prints.battery(self.ask(ask, prints.battery_request(4))), (4, 30))
        for kind in (1, 2, 3):
            self.assertEqual(self.error(ask, bytes((kind,))), 0x1A)


class TestHours(Case):
    def hours(self, kind, user):
        found = []
        index = 0
        while index is not None:
            index, window = cyclic_client.window_of(self.ask(opcodes.CYCLIC, cyclic_client.query(kind, user, index)))
            if window is not None:
                found.append(window)
        return found

    def change(self, build, *arguments):
        self.assertEqual(self.ask(opcodes.CYCLIC, build(*arguments))[1:], build(*arguments)[:1])

    def users(self):
        """(kind, bytes, how it is shown to the lock) of one credential of each sort."""
        self.ask(opcodes.CARD, card_client.add(CARD))
        id6 = self.enrol(FINGER).to_bytes(6, "big")
        self.let_in()
        tap = lambda: self.moved(lambda: self.rig.lock.reader.present("card", CARD, self.rig.now_ms))  # noqa: E731
        return (
            (cyclic_client.CARD, CARD, tap),
            (cyclic_client.FINGERPRINT, id6, lambda: self.press(FINGER)),
            (cyclic_client.FOB, FOB, self.fob),
        )

    def test_hours_limit_every_kind_and_come_off_again(self):
        hour = self.rig.device.stores.clock.date6()[3]
        closed = cyclic_client.window(2, 0, (hour + 2) % 24 * 60, (hour + 3) % 24 * 60 or 1440)
        opened = cyclic_client.window(2, 0, 0, 1440)
        for kind, user, show in self.users():
            self.change(cyclic_client.add, kind, user, closed)
            self.change(cyclic_client.add, kind, user, closed)
            self.assertEqual(self.hours(kind, user), [closed])
            self.rig.start(False)
            self.assertFalse(show())
            self.change(cyclic_client.add, kind, user, opened)
            self.assertTrue(show())
            self.change(cyclic_client.remove, kind, user, opened)
            self.assertFalse(show())
            self.change(cyclic_client.clear, kind, user)
            self.assertEqual(self.hours(kind, user), [])
            self.assertTrue(show())

    def test_they_stay_when_the_period_changes_and_go_with_the_credential(self):
        number = self.enrol(FINGER)
        user = number.to_bytes(6, "big")
        window = cyclic_client.window(1, 3, 480, 1080)
        self.change(cyclic_client.add, 1, user, window)
        self.ask(opcodes.FINGERPRINT, prints.modify(number, self.around(-1), self.around(2)))
        self.assertEqual(self.hours(1, user), [window])
        self.ask(opcodes.FINGERPRINT, prints.delete(number))
        self.assertEqual(self.error(opcodes.CYCLIC, cyclic_client.query(1, user, 0)), 0x1A)
        self.assertEqual(self.hours(1, self.enrol(FINGER).to_bytes(6, "big")), [])

    def test_what_is_refused(self):
        window = cyclic_client.window(1, 1, 480, 1080)
        self.assertEqual(self.error(opcodes.CYCLIC, cyclic_client.add(2, CARD, window)), 0x18)
        self.assertEqual(self.error(opcodes.CYCLIC, cyclic_client.add(0x13, FOB, window)), 0x1A)
        self.assertEqual(self.error(opcodes.CYCLIC, cyclic_client.add(0x10, FOB, window)), 0x1B)
        self.let_in()
        self.assertEqual(self.error(opcodes.CYCLIC, cyclic_client.remove(0x13, FOB, window)), 0x1F)
        for minute in range(9):
            other = cyclic_client.window(1, 1, 480 + minute, 1080)
            wanted = 0 if minute < 8 else 0x04
            self.assertEqual(self.error(opcodes.CYCLIC, cyclic_client.add(0x13, FOB, other)), wanted)

    def test_faces_palms_qr_codes_keypads_and_sensors_are_not_fitted(self):
        for command in (0xE0, 0xE1, 0xE2, 0xE4, 0xE5):
            self.assertEqual(self.error(command, prints.enrol()), 0x1B)
