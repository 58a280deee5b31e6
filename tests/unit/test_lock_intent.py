"""A movement that a power cut interrupts: recorded by where the bolt is found, never repeated."""

import unittest

from firmware.lib import crypto, frame, opcodes, records
from firmware.lib.messages import session_client as session
from firmware.lock.stores.ring import Intent
from tests.scratch import scratch
from tests.unit.lock_rig import UNLOCK_KEY, Rig

BY_APP = 1
POWERED_ON = 14
UNLOCK_TIMED_OUT = 65


def begin_unlock(rig):
    """Everything up to the frame that starts the motor."""
    rig.connect()
    challenge = session.challenge(rig.ask(opcodes.CHECK_USER, session.check_user(uid=7)))
    plain = session.operate(challenge, UNLOCK_KEY, 1778509387)
    rig.send(frame.encode(opcodes.UNLOCK, crypto.encrypt(rig.key, plain)))


def kinds(rig):
    """Types of the records, the newest first, without those of power-on."""
    found = [records.decode(raw).type for raw in rig.device.stores.ring.newest(20)]
    return [kind for kind in found if kind != POWERED_ON]


class TestIntent(unittest.TestCase):
    def setUp(self):
        self.rig = Rig(scratch("lock-intent")).paired()
        self.before = kinds(self.rig)

    def test_bolt_that_is_found_there_is_recorded_once(self):
        begin_unlock(self.rig)
        self.rig.pins.step()  # it arrives, and the power goes before anybody has looked
        self.rig.start()
        self.assertEqual(kinds(self.rig), [BY_APP] + self.before)
        self.assertEqual(list(self.rig.device.stores.ring.newest(2))[1][8:12], b"\x00\x00\x00\x07")
        self.rig.start()
        self.assertEqual(kinds(self.rig), [BY_APP] + self.before)
        self.assertEqual(self.rig.device.bolt.movements, 0)

    def test_bolt_that_is_not_there_has_failed_and_does_not_move(self):
        begin_unlock(self.rig)
        self.rig.start()
        self.rig.wait(2000)
        self.assertEqual(kinds(self.rig), [UNLOCK_TIMED_OUT] + self.before)
        self.rig.start()
        self.assertEqual(kinds(self.rig), [UNLOCK_TIMED_OUT] + self.before)
        self.assertEqual((self.rig.device.bolt.movements, self.rig.pins.movements), (0, 0))

    def test_movement_that_ended_needs_nothing_at_the_next_start(self):
        begin_unlock(self.rig)
        self.rig.wait(2000)
        self.assertEqual(kinds(self.rig), [BY_APP] + self.before)
        self.rig.start()
        self.assertEqual(kinds(self.rig), [BY_APP] + self.before)

    def test_what_was_begun_before_a_reset_is_nobodys(self):
        for is_cut in (False, True):
            self.setUp()
            begin_unlock(self.rig)
            self.rig.wait(2000)
            self.rig.disconnect()
            self.rig.lock.ownership.promise_reset()
            if is_cut:
                self.rig.start()
            else:
                self.rig.lock.ownership.reset(self.rig.now_ms)
                self.rig.key = crypto.DEFAULT_KEY
            self.rig.paired()
            for _ in range(8):
                self.rig.device.record(POWERED_ON)
            self.rig.start()
            self.assertEqual(kinds(self.rig), [])

    def test_flash_that_refuses_does_not_keep_the_door_shut(self):
        def refuse(*values):
            raise OSError(28)

        class Cell:
            save = refuse

        device = self.rig.device
        device.stores.ring.append = refuse
        device.stores.intent = Intent(Cell(), device.stores.ring, device.stores.vault)
        begin_unlock(self.rig)
        self.rig.wait(2000)
        self.assertEqual((self.rig.device.bolt.state, self.rig.device.unrecorded), ("unlocked", 1))
