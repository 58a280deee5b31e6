"""Codes at the keypad, codes over the link, lockout, button: one lock, looked at from outside."""

import unittest

from firmware.lib import dates, opcodes, records
from firmware.lib.messages import pairing_client, session_client
from firmware.lib.messages import passcode_client as codes
from firmware.lock.console import Panel, Words
from tests.scratch import scratch
from tests.unit.lock_rig import Refused, Rig, erase

FOLDER = scratch("lock-keypad")

_DAY_S = 86400


class KeypadCase(unittest.TestCase):
    def setUp(self):
        self.rig = Rig(FOLDER).paired()

    def tearDown(self):
        erase(FOLDER)

    def manage(self, plain):
        """One 0x03 as administrator: 0 or the error byte."""
        rig = self.rig
        rig.connect()
        try:
            rig.log_in()
            rig.ask(opcodes.PASSCODE, plain)
            return 0
        except Refused as err:
            return err.error
        finally:
            rig.disconnect()

    def types(self):
        ring = self.rig.device.stores.ring
        found = []
        cursor = 0
        while True:
            page = ring.read(cursor)
            if page is None:
                return found
            found.append(records.decode(page[1]).type)
            cursor = page[0] + 1

    def try_code(self, keys):
        """Type; True if the bolt moved out of the way. It is locked again afterwards."""
        rig = self.rig
        before = rig.pins.movements
        rig.type(keys)
        rig.wait(400)
        moved = rig.pins.movements > before
        rig.wait(7000, 100)
        return moved


class TestCodes(KeypadCase):
    def test_permanent_code(self):
        self.assertEqual(self.manage(codes.add(codes.PERMANENT, "123456")), 0)
        self.assertEqual(self.manage(codes.add(codes.PERMANENT, "123456")), 0)
        self.assertEqual(self.manage(codes.add(codes.PERMANENT, "123456", (2026, 1, 1, 0, 0))), 0x14)
        self.assertTrue(self.try_code("123456#"))
        self.assertFalse(self.try_code("12345#"))
        self.assertFalse(self.try_code("1234567#"))
        self.assertFalse(self.try_code("12#"))
        self.assertTrue(self.try_code("99*123456#"))
        self.assertEqual(self.types(), [93, 4, 7, 7, 4])
        self.rig.start()
        self.assertTrue(self.try_code("123456#"))
        self.assertEqual(self.manage(codes.modify(codes.PERMANENT, "123456", "654321")), 0)
        self.assertFalse(self.try_code("123456#"))
        self.assertTrue(self.try_code("654321#"))
        self.assertEqual(self.manage(codes.delete(codes.PERMANENT, "654321")), 0)
        self.assertEqual(self.manage(codes.delete(codes.PERMANENT, "654321")), 0x15)
        self.rig.start()
        self.assertFalse(self.try_code("654321#"))

    def test_timed_code(self):
        now = self.rig.device.stores.clock.date6()
        start = now[:3] + (0, 0)
        end = now[:3] + (23, 0)
        self.assertEqual(self.manage(codes.add(codes.PERIOD, "778899", end, start)), 0x1D)
        self.assertEqual(self.manage(codes.add(codes.PERIOD, "778899", start, end)), 0)
        self.assertTrue(self.try_code("778899#"))
        self.rig.rtc += _DAY_S
        self.assertFalse(self.try_code("778899#"))
        self.assertEqual(self.types()[-1], 11)
        self.rig.rtc -= _DAY_S
        self.rig.start()  # the clock is lost: timed codes sleep
        self.assertFalse(self.try_code("778899#"))

    def test_permanent_code_of_a_day_to_come_waits_also_without_a_clock(self):
        now = self.rig.device.stores.clock.date6()
        tomorrow = dates.from_seconds(self.rig.device.stores.clock.seconds() + _DAY_S)[:3] + (0, 0)
        self.assertEqual(self.manage(codes.add(codes.PERMANENT, "112233", now[:5])), 0)
        self.assertEqual(self.manage(codes.add(codes.PERMANENT, "332211", tomorrow)), 0)
        for _ in range(2):
            self.assertTrue(self.try_code("112233#"))
            self.assertFalse(self.try_code("332211#"))
            self.assertEqual(self.types()[-1], 11)
            self.rig.start()  # the clock is lost, but shows a time that has been reached
        self.rig.device.stores.clock.set(tomorrow + (0,), True)
        self.assertTrue(self.try_code("332211#"))

    def test_right_code_outside_its_time_is_no_guess(self):
        start = dates.from_seconds(self.rig.device.stores.clock.seconds() + _DAY_S)[:3] + (0, 0)
        self.assertEqual(self.manage(codes.add(codes.PERMANENT, "332211", start)), 0)
        for _ in range(7):
            self.assertFalse(self.try_code("332211#"))
        self.assertEqual(self.types()[1:], [11] * 7)
        self.assertEqual(self.rig.device.stores.limits.keypad.consecutive, 0)

    def test_code_for_one_use(self):
        now = self.rig.device.stores.clock.date6()
        self.assertEqual(self.manage(codes.add(codes.ONCE, "445566", now[:3] + (0, 0), now[:3] + (23, 0))), 0)
        self.rig.device.battery_pct = 3  # too flat to move: the code is not used up by that
        self.assertFalse(self.try_code("445566#"))
        self.rig.device.battery_pct = 90
        self.assertTrue(self.try_code("445566#"))
        self.assertFalse(self.try_code("445566#"))

    def test_cyclic_code(self):
        rig = self.rig
        monday = (2026, 5, 11)
        rig.device.stores.clock.set(monday + (9, 0, 0), True)
        self.assertEqual(self.manage(codes.add(codes.CYCLIC, "334455", (2000, 1, 1, 8, 0), schedule=1072 + 9)), 0)
        self.assertTrue(self.try_code("334455#"))
        rig.device.stores.clock.set(monday + (18, 0, 0), True)
        self.assertFalse(self.try_code("334455#"))
        rig.device.stores.clock.set((2026, 5, 12, 9, 0, 0), True)
        self.assertFalse(self.try_code("334455#"))

    def test_listing(self):
        for code in ("111222", "222333", "333444"):
            self.assertEqual(self.manage(codes.add(codes.PERMANENT, code)), 0)
        self.manage(codes.delete(codes.PERMANENT, "222333"))
        rig = self.rig
        rig.connect()
        rig.log_in()
        found = []
        cursor = 0
        while cursor is not None:
            cursor, entries = codes.page(rig.ask(opcodes.PASSCODE_LIST, codes.list_request(cursor)))
            found.extend(entry.code for entry in entries)
        self.assertEqual(found, ["111222", "333444"])
        rig.ask(opcodes.PASSCODE, codes.clear())
        self.assertEqual(codes.page(rig.ask(opcodes.PASSCODE_LIST, codes.list_request(0))), (None, []))

    def test_admin_passcode(self):
        rig = self.rig
        rig.connect()
        rig.log_in()
        rig.ask(opcodes.SET_ADMIN_PASSCODE, pairing_client.set_admin_passcode("2468135"))
        data = rig.ask(opcodes.GET_ADMIN_PASSCODE, empty=True)
        self.assertEqual(pairing_client.admin_passcode(data), (100, "2468135"))
        rig.disconnect()
        self.assertEqual(self.manage(codes.add(codes.PERMANENT, "2468135")), 0x10)
        self.assertTrue(self.try_code("2468135#"))
        self.assertEqual(self.types(), [92])

    def test_digits_are_masked_below_admin(self):
        self.try_code("987654#")
        rig = self.rig
        rig.connect()
        self.assertTrue(b"******" in rig.ask(opcodes.LOG, b"\x00\x00"))
        rig.log_in()
        self.assertTrue(b"987654" in rig.ask(opcodes.LOG, b"\x00\x00"))


class TestLockout(KeypadCase):
    def test_five_wrong_codes_lock_out_over_power_cuts(self):
        rig = self.rig
        self.manage(codes.add(codes.PERMANENT, "123456"))
        for _ in range(5):
            self.assertFalse(self.try_code("111111#"))
        self.assertEqual(self.types()[-2:], [7, 48])
        self.assertFalse(self.try_code("123456#"))
        rig.start()
        self.assertFalse(self.try_code("123456#"))
        rig.wait(300000, 1000)
        self.assertTrue(self.try_code("123456#"))

    def test_lockout_is_recorded_once_whatever_is_cut(self):
        rig = self.rig
        for _ in range(4):
            self.try_code("111111#")
        rig.type("111111")
        ring, rig.device.stores.ring = rig.device.stores.ring, None  # the power goes before anything is recorded
        try:
            rig.lock.keypad.press("#", rig.now_ms)
            self.fail("recorded")
        except AttributeError:
            rig.device.stores.ring = ring
        rig.start(False)
        self.assertEqual(self.types()[-2:], [7, 48])
        rig.start(False)
        self.assertEqual(self.types()[-2:], [7, 48])
        self.assertFalse(self.try_code("111111#"))
        self.assertEqual(self.types()[-2:], [7, 48])

    def test_app_unlock_ends_it(self):
        rig = self.rig
        self.manage(codes.add(codes.PERMANENT, "123456"))
        for _ in range(5):
            self.try_code("111111#")
        self.assertFalse(self.try_code("123456#"))
        rig.connect()
        rig.operate(opcodes.UNLOCK)
        rig.disconnect()
        rig.wait(7000, 100)
        self.assertTrue(self.try_code("123456#"))

    def test_budget_of_a_day(self):
        rig = self.rig
        self.manage(codes.add(codes.PERMANENT, "123456"))
        looked_at = 0
        for _ in range(24 * 60):
            before = len(self.rig.device.stores.ring)
            rig.type("111111#")
            looked_at += self.rig.device.stores.ring.next_number > before
            if rig.device.stores.limits.keypad.wait_ms(rig.now_ms) == 0:
                self.try_code("123456#")
            rig.wait(60000, 5000)
        self.assertTrue(looked_at <= 55, looked_at)  # 30 and then one an hour


class TestButtonAndPanel(KeypadCase):
    def hold(self, ms):
        self.rig.button.active = True
        self.rig.wait(ms)
        self.rig.button.active = False
        self.rig.wait(1000)

    def test_short_press_turns_the_bolt(self):
        self.hold(200)
        self.assertEqual(self.rig.device.bolt.state, "unlocked")
        self.hold(200)
        self.assertEqual(self.rig.device.bolt.state, "locked")
        self.assertEqual(self.types(), [46, 47])

    def test_reset_by_hand(self):
        self.rig.type("000#")
        self.assertTrue(self.rig.device.stores.keys.is_paired)
        self.hold(5200)
        self.rig.wait(10000)
        self.rig.type("000#")
        self.assertTrue(self.rig.device.stores.keys.is_paired)
        self.rig.button.active = True  # stuck: it arms once
        self.rig.wait(16000)
        self.rig.type("000#")
        self.assertTrue(self.rig.device.stores.keys.is_paired)
        self.rig.button.active = False
        self.rig.wait(100)
        self.hold(5200)
        self.rig.type("000#")
        self.assertFalse(self.rig.device.stores.keys.is_paired)
        self.assertEqual(self.rig.device.bolt.state, "locked")

    def test_panel(self):
        rig = self.rig
        panel = Panel(
            rig.lock.keypad, rig.lock.reader, lambda: {"bolt": rig.device.bolt.state}, lambda: rig.now_ms, True
        )
        self.manage(codes.add(codes.PERMANENT, "123456"))
        self.assertEqual(panel.handle({"do": "keys", "digits": "123456#"}), {"ok": True})
        rig.wait(400)
        self.assertEqual(panel.handle({"do": "state"}), {"bolt": "unlocked"})
        self.assertEqual(panel.handle({"do": "face", "number": 1}), {"error": "unsupported"})
        self.assertEqual(panel.handle({"do": "keys", "digits": "12a"}), {"error": "bad_request"})
        off = Panel(rig.lock.keypad, rig.lock.reader, dict, lambda: rig.now_ms)
        self.assertEqual(off.handle({"do": "state"}), {"error": "disabled"})

    def test_key_turned_by_hand_is_recorded(self):
        pins = self.rig.pins
        pins.switch_locked.active = False
        pins.switch_unlocked.active = True
        self.rig.wait(400)
        self.assertEqual(self.rig.device.bolt.state, "unlocked")
        self.assertEqual(self.types(), [27])
        self.rig.wait(6000)
        self.assertEqual(self.rig.device.bolt.state, "locked")
        self.assertEqual(session_client.status(bytes((100, self.rig.device.status(), 2)))[1], 0)

    def test_console_restarts_the_board_when_asked_and_hands_on_what_it_does_not_know(self):
        reboots = []
        words = Words(self.rig, lambda: {"role": "lock"}, lambda: reboots.append(1), "")
        self.rig.handle = lambda request: {"panel": request["do"]}
        self.assertEqual(words.handle({"do": "hello"}), {"role": "lock"})
        self.assertEqual(words.handle({"do": "state"}), {"panel": "state"})
        self.assertEqual(reboots, [])
        self.assertEqual(words.handle({"do": "reboot"}), {"ok": True})
        self.assertEqual(reboots, [1])
