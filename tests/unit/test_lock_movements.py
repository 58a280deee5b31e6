"""What the bolt's own movements leave in the log."""

import unittest

from firmware.lib import opcodes, records
from tests.scratch import scratch
from tests.unit.lock_rig import Refused, Rig, erase

FOLDER = scratch("lock-movements")


class Movements(unittest.TestCase):
    def tearDown(self):
        erase(FOLDER)

    def types(self, rig, count):
        return [records.decode(raw).type for raw in rig.device.stores.ring.newest(count)][::-1]

    def opened(self, **settings):
        """A lock that a client has just opened."""
        rig = Rig(FOLDER, **settings).paired()
        rig.reach("S1")
        rig.operate(opcodes.UNLOCK)
        rig.disconnect()
        return rig

    def test_auto_lock_is_recorded_where_the_owner_wants_it(self):
        for wanted in (False, True):
            rig = self.opened(record_auto_lock=wanted)
            rig.wait(7000, 100)
            self.assertTrue(rig.pins.switch_locked.active)
            self.assertEqual(self.types(rig, 2), [1, 45] if wanted else [1])

    def test_a_bolt_that_does_not_arrive_is_recorded_either_way(self):
        rig = self.opened()
        rig.pins.is_jammed = True
        rig.wait(10000, 100)
        self.assertTrue(66 in self.types(rig, 3))
        rig = Rig(FOLDER).paired()
        rig.pins.is_jammed = True
        rig.reach("S1")
        with self.assertRaises(Refused):
            rig.operate(opcodes.UNLOCK)
        self.assertEqual(self.types(rig, 1), [65])
