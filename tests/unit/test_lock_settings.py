"""The lock's end of the link: settings, clock, what it tells of itself, and reset."""

from firmware.lib import crypto, frame, opcodes
from firmware.lib.messages import pairing_client as pairing
from firmware.lib.messages import session_client as session
from firmware.lib.messages import settings_client
from tests.scratch import scratch
from tests.unit.link_case import LinkCase
from tests.unit.lock_rig import ADMIN_PS


class TestSettingsAndClock(LinkCase):
    folder = scratch("lock-settings")

    def setUp(self):
        super().setUp()
        self.rig.paired()
        self.rig.connect()

    def test_queries_need_the_key_and_changes_an_admin(self):
        rig = self.rig
        data = rig.ask(opcodes.AUTO_LOCK, settings_client.query())
        self.assertEqual(settings_client.auto_lock(data), (100, 5, 1, 900))
        self.assertEqual(data[-1], 1)
        self.assertTrue(settings_client.screen(rig.ask(opcodes.PASSCODE_DISPLAY, b"\x01")))
        self.assertFalse(session.remote_unlock(rig.ask(opcodes.REMOTE_UNLOCK, b"\x01"))[1])
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
        self.assertEqual(rig.device.stores.options.autolock_s, 0)
        self.assertEqual(rig.device.stores.options.remote_unlock, 1)
        self.assertEqual(rig.device.stores.options.sound, 0)

    def test_clock_moves_at_most_300_s_without_admin(self):
        rig = self.rig
        date = (2026, 5, 11, 14, 24, 7)
        rig.ask(opcodes.SET_CLOCK, session.set_clock(date))
        self.assertEqual(session.clock(rig.ask(opcodes.GET_CLOCK, empty=True))[:5], date[:5])
        self.refused(0x02, opcodes.SET_CLOCK, session.set_clock((2026, 5, 11, 14, 40, 0)))
        self.refused(0x1D, opcodes.SET_CLOCK, b"\x1a\x0d\x01\x00\x00\x00")
        rig.log_in()
        rig.ask(opcodes.SET_CLOCK, session.set_clock((2026, 7, 1, 0, 0, 0)))
        self.assertEqual(rig.device.stores.clock.date6()[:3], (2026, 7, 1))

    def test_features_and_info(self):
        rig = self.rig
        battery, mask = session.features(rig.ask(opcodes.FEATURES, empty=True))
        bits = [bit for bit in range(64) if mask >> bit & 1]
        wanted = [
            0,
            1,
            2,
            4,
            5,
            7,
            8,
            9,
            10,
            11,
            12,
            14,
            15,
            18,
            20,
            22,
            23,
            25,
            28,
            29,
            30,
            34,
            36,
            40,
            41,
            42,
            43,
            46,
        ]
        self.assertEqual((battery, bits), (100, wanted))
        self.assertEqual(session.device_text(rig.ask(opcodes.DEVICE_INFO, b"\x01")), "GATEHOUSE-L1")
        self.assertEqual(rig.ask(opcodes.DEVICE_INFO, b"\x05"), b"\x33\x22\x11\xcc\xbb\xaa")
        self.refused(0x19, opcodes.DEVICE_INFO, b"\x07")
        self.refused(0x17, opcodes.DEVICE_INFO, empty=True)
        self.refused(0x1B, 0xE0, b"\x01\x00")
        self.refused(0x1B, opcodes.DEAD_LOCK, b"\x01")

    def test_reset(self):
        rig = self.rig
        self.refused(0x02, opcodes.RESET, empty=True)
        rig.log_in()
        self.assertEqual(rig.plain(opcodes.RESET, empty=True), b"")
        self.assertTrue(rig.device.stores.keys.is_paired)
        rig.disconnect()
        self.assertFalse(rig.device.stores.keys.is_paired)
        self.assertEqual(len(rig.device.stores.ring), 0)
        rig.start()
        self.assertFalse(rig.device.stores.keys.is_paired)

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
        self.assertFalse(session.remote_unlock(rig.ask(opcodes.REMOTE_UNLOCK, b"\x01"))[1])
        self.refused(0x03, opcodes.CHECK_ADMIN, session.check_admin(4711))
        self.refused(0x02, opcodes.CHECK_ADMIN, session.check_admin(ADMIN_PS))

    def test_power_cut_after_the_promise_of_a_reset_finishes_it(self):
        rig = self.rig
        rig.log_in()
        rig.plain(opcodes.RESET, empty=True)
        rig.start()
        self.assertFalse(rig.device.stores.keys.is_paired)
        self.assertFalse(rig.device.stores.vault.is_wiping)

    def test_fresh_login_only(self):
        rig = self.rig
        rig.log_in()
        rig.wait(15000, 500)
        rig.ask(opcodes.STATUS, session.status_request())
        rig.wait(15500, 500)
        self.refused(0x02, opcodes.RESET, empty=True)
