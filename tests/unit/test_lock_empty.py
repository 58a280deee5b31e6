"""A lock that opens by itself before its battery is empty (feature bit 87, record 111): once, for nobody who is to stay
outside, and not at all unless its owner set it so."""

import unittest

from firmware.lib import opcodes, records
from firmware.lib.messages import settings_client
from tests.scratch import scratch
from tests.unit.lock_rig import Rig, erase

FOLDER = scratch("lock-empty")
OPENED_EMPTY = 111
BIT = 87


class Empty(unittest.TestCase):
    def rig_of(self, **settings):
        rig = Rig(FOLDER, **settings).paired()
        rig.wait(200)
        self.seen = len(self.kinds(rig))
        return rig

    def tearDown(self):
        erase(FOLDER)

    def kinds(self, rig):
        return [records.decode(raw).type for raw in rig.device.stores.ring.since(0)]

    def new(self, rig):
        return self.kinds(rig)[self.seen :]

    def at(self, rig, pct, ms=700):
        rig.device.battery_pct = pct
        rig.wait(ms)
        return rig.device.bolt.state

    def test_without_the_setting_nothing_opens_and_the_feature_is_not_there(self):
        rig = self.rig_of()
        for pct in (20, 8, 5, 4, 0, 100):
            self.assertEqual(self.at(rig, pct), "locked")
        self.assertEqual((self.new(rig), rig.engine.features >> BIT & 1), ([], 0))

    def test_it_opens_once_and_stays_open_until_there_is_another_battery(self):
        rig = self.rig_of(low_battery_unlock=True)
        self.assertEqual(rig.engine.features >> BIT & 1, 1)
        self.assertEqual(self.at(rig, 9), "locked")
        self.assertEqual(self.at(rig, 8), "unlocked")
        self.assertEqual(self.new(rig), [OPENED_EMPTY])
        rig.wait(20000, 50)  # the auto-lock time is 5 s
        self.assertEqual(rig.device.bolt.state, "unlocked")
        rig.pins.switch_locked.active, rig.pins.switch_unlocked.active = True, False  # by hand
        self.assertEqual(self.at(rig, 6, 3000), "locked")
        self.assertEqual(self.at(rig, 15, 3000), "locked")
        rig.start()
        self.assertEqual(self.at(rig, 6, 3000), "locked")
        self.assertEqual(self.new(rig).count(OPENED_EMPTY), 1)
        self.assertEqual(self.at(rig, 100), "locked")
        self.assertEqual(self.at(rig, 7), "unlocked")
        self.assertEqual(self.at(rig, 90), "unlocked")
        rig.wait(6000, 50)
        self.assertEqual((rig.device.bolt.state, self.new(rig).count(OPENED_EMPTY)), ("locked", 2))

    def test_below_what_the_motor_needs_it_does_not_try(self):
        rig = self.rig_of(low_battery_unlock=True)
        for pct in (4, 0):
            self.assertEqual(self.at(rig, pct), "locked")
        self.assertEqual(self.new(rig), [])

    def test_not_what_is_frozen_or_locked_from_inside_until_it_is_so_no_more(self):
        for name in ("frozen", "double_locked"):
            rig = self.rig_of(low_battery_unlock=True)
            if name == "double_locked":
                rig.connect()
                rig.log_in()
                rig.ask(opcodes.SWITCHES, settings_client.switch_set(settings_client.PRIVACY, True))
                rig.disconnect()
                rig.knob.active = True
                rig.wait(300)
            else:
                rig.device.stores.options.change("frozen", 1)
            self.assertEqual(self.at(rig, 6, 2000), "locked", name)
            self.assertFalse(OPENED_EMPTY in self.new(rig))
            rig.knob.active = False
            rig.device.stores.options.change("frozen", 0)
            self.assertEqual(self.at(rig, 6), "unlocked", name)
            self.assertEqual(self.new(rig)[-1], OPENED_EMPTY)

    def test_nobodys_lock_moves_nothing(self):
        rig = Rig(FOLDER, low_battery_unlock=True)
        self.assertEqual(self.at(rig, 6), "locked")
        self.assertEqual(self.kinds(rig), [])


if __name__ == "__main__":
    unittest.main()
