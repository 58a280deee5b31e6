"""What a lock goes by after a pairing that was undone, after a start, while it is frozen, and when asked twice."""

from firmware.lib import opcodes
from firmware.lib.messages import passage_client, settings_client
from tests.scratch import scratch
from tests.unit.link_case import LinkCase
from tests.unit.test_lock_passage import Case


class Restored(LinkCase):
    folder = scratch("lock-restored")

    def test_a_pairing_that_is_undone_takes_its_settings_along(self):
        rig = self.rig
        device = rig.device
        device.stores.vault.begin()
        device.pairing._stage = 1
        device.stores.options.change_all({"direction": 2, "wrong_limit": 1})
        device.options_changed()
        rig.lock.ownership.link_down(rig.now_ms)
        self.assertEqual((device.stores.options.direction, device.bolt.sense), (0, 1))
        self.assertTrue(device.stores.limits.keypad.begin(rig.now_ms))
        self.assertEqual(device.stores.limits.keypad.wait_ms(rig.now_ms), 0)

    def test_a_knob_turned_back_without_power_ends_the_double_lock(self):
        rig = self.rig.paired()
        rig.connect()
        rig.log_in()
        rig.ask(opcodes.SWITCHES, settings_client.switch_set(settings_client.PRIVACY, True))
        rig.disconnect()
        rig.wait(300)
        rig.knob.active = True
        rig.wait(300)
        rig.start()
        rig.wait(300)
        self.assertEqual(rig.device.stores.options.double_locked, 1)
        rig.knob.active = False
        rig.start()
        rig.wait(300)
        self.assertEqual(rig.device.stores.options.double_locked, 0)

    def test_a_frozen_lock_lists_its_lost_cards(self):
        rig = self.rig.paired()
        rig.connect()
        rig.log_in()
        rig.ask(opcodes.CARD, b"\x20\x00\x01\x02\x03")
        rig.ask(opcodes.FREEZE, settings_client.freeze(True))
        self.assertEqual(rig.ask(opcodes.CARD, b"\x22\x00\x00")[1], 0x22)
        self.refused(0x1C, opcodes.CARD, b"\x21\x00\x01\x02\x03")


class Passage(Case):
    def test_the_same_removal_again_is_answered_again(self):
        raw = self.add(60, 120)
        rig = self.rig
        rig.connect()
        rig.log_in()
        for _ in range(3):
            self.assertEqual(rig.ask(opcodes.PASSAGE, passage_client.delete(raw))[1], 3)
        rig.disconnect()

    def test_a_window_that_ended_without_power_closes_the_door(self):
        self.as_admin(opcodes.AUTO_LOCK, settings_client.auto_lock_set(0))
        self.add(60, 120)
        self.at(1, 10)
        self.types()
        self.assertEqual(self.bolt, "unlocked")
        self.rig.start()
        self.rig.wait(1000)
        self.assertEqual(self.bolt, "unlocked")
        self.rig.rtc += 3600
        self.rig.start()
        self.rig.wait(1000)
        self.assertEqual(self.bolt, "locked")
        self.assertEqual(self.new()[-1], 45)
