"""Passage mode against the state table of domain.md 3.6: single situations, and a long walk beside an oracle."""

import unittest

from firmware.lib import opcodes, records
from firmware.lib.messages import passage_client, passcode_client, settings_client
from tests.scratch import scratch
from tests.unit.lock_rig import START_S, Refused, Rig, erase

FOLDER = scratch("lock-passage")
CODE = "864209"
DAY_S = 86400
MIDNIGHT_S = START_S // DAY_S * DAY_S


class Draw:
    """The same draws on every interpreter."""

    def __init__(self, seed):
        self._x = seed

    def among(self, things):
        self._x = (self._x * 1103515245 + 12345) & 0x7FFFFFFF
        return things[(self._x >> 16) % len(things)]


def kinds(rig):
    return [records.decode(raw).type for raw in rig.device.stores.ring.since(0)]


class Case(unittest.TestCase):
    def setUp(self):
        self.rig = Rig(FOLDER, clock_backup=True).paired()
        self.as_admin(opcodes.PASSCODE, passcode_client.add(passcode_client.PERMANENT, CODE))
        self.at(0, 0)
        self.seen = len(kinds(self.rig))

    def tearDown(self):
        erase(FOLDER)

    def at(self, hour, minute, day=0):
        """Set the lock's clock; day 0 is the day on which the rig's time begins."""
        self.rig.rtc = MIDNIGHT_S + day * DAY_S + hour * 3600 + minute * 60
        self.rig.wait(1500, 100)

    def new(self):
        return kinds(self.rig)[self.seen :]

    def as_admin(self, opcode, plain):
        rig = self.rig
        rig.connect()
        rig.log_in()
        try:
            return rig.ask(opcode, plain)
        finally:
            rig.disconnect()

    def refused(self, error, work):
        try:
            work()
        except Refused as err:
            self.assertEqual(err.error, error)
            return
        self.fail("it was not refused")

    def add(self, start_min, end_min, day=0):
        raw = passage_client.window(passage_client.WEEKLY, day, 0, start_min, end_min)
        self.as_admin(opcodes.PASSAGE, passage_client.add(raw))
        return raw

    def types(self):
        self.rig.type(CODE + "#")
        self.rig.wait(400)

    @property
    def bolt(self):
        return self.rig.device.bolt.state


class TestCommand(Case):
    def test_five_windows_one_per_page_and_no_sixth(self):
        raws = [self.add(60 * n, 60 * n + 30) for n in range(5)]
        self.add(0, 30)  # once more: nothing changes
        self.refused(0x04, lambda: self.add(600, 630))
        rig = self.rig
        rig.connect()
        found = []
        cursor = 0
        while cursor is not None:
            cursor, listed = passage_client.entries(rig.ask(opcodes.PASSAGE, passage_client.list_request(cursor)))
            found.append(listed)
        self.assertEqual(found, [[raw] for raw in raws] + [[]])
        self.refused(0x02, lambda: rig.ask(opcodes.PASSAGE, passage_client.clear()))
        rig.disconnect()
        self.as_admin(opcodes.PASSAGE, passage_client.delete(raws[1]))
        self.refused(0x1F, lambda: self.as_admin(opcodes.PASSAGE, passage_client.delete(raws[1])))
        rig.start(False)
        self.assertEqual([rig.device.stores.passage.at(n) for n in range(4)], raws[:1] + raws[2:])
        self.as_admin(opcodes.PASSAGE, passage_client.clear())
        self.assertEqual(len(rig.device.stores.passage), 0)

    def test_windows_without_sense_are_refused(self):
        for raw in (
            b"\x01\x08\x00\x08\x00\x09\x00",
            b"\x01\x01\x01\x08\x00\x09\x00",
            b"\x01\x01\x00\x09\x3c\x08\x00",
            b"\x01\x01\x00\x09\x00\x09\x00",
            b"\x01\x01\x00\x18\x00\x19\x00",
            b"\x02\x1e\x02\x08\x00\x09\x00",
            b"\x02\x00\x00\x08\x00\x09\x00",
            b"\x03\x01\x00\x08\x00\x09\x00",
        ):
            self.refused(0x1D, lambda raw=raw: self.as_admin(opcodes.PASSAGE, passage_client.add(raw)))


class TestWindow(Case):
    def test_one_unlock_keeps_the_door_open_to_the_end(self):
        self.add(480, 600)
        self.at(8, 1)
        self.assertEqual(self.bolt, "locked")  # nothing opens by itself
        self.types()
        self.rig.wait(20000, 100)
        self.types()  # changes nothing
        self.rig.wait(20000, 100)
        self.assertEqual(self.bolt, "unlocked")
        self.at(10, 0)
        self.assertEqual(self.bolt, "locked")
        self.assertEqual(self.new(), [4, 4, 45])
        self.types()
        self.rig.wait(6000, 100)
        self.assertEqual(self.bolt, "locked")  # auto-lock is back

    def test_locked_by_hand_it_stays_locked_until_the_next_unlock(self):
        self.add(480, 600)
        self.at(8, 1)
        self.types()
        self.rig.connect()
        self.rig.operate(opcodes.LOCK)
        self.rig.disconnect()
        self.at(9, 0)
        self.assertEqual(self.bolt, "locked")
        self.types()
        self.rig.wait(9000, 100)
        self.assertEqual(self.bolt, "unlocked")

    def test_what_was_opened_before_the_window_locks_in_its_time(self):
        self.add(480, 600)
        self.as_admin(opcodes.AUTO_LOCK, settings_client.auto_lock_set(60))
        self.at(7, 59)
        self.types()
        self.at(8, 1)
        self.rig.wait(61000, 100)
        self.assertEqual(self.bolt, "locked")

    def test_opens_by_itself_once_at_the_start_with_the_switch_on(self):
        self.add(480, 600)
        self.as_admin(opcodes.SWITCHES, settings_client.switch_set(settings_client.PASSAGE_UNLOCK, True))
        self.at(7, 59)
        self.at(8, 0)
        self.assertEqual((self.bolt, self.new()), ("unlocked", [63]))
        self.rig.connect()
        self.rig.operate(opcodes.LOCK)
        self.rig.disconnect()
        self.at(9, 0)
        self.rig.start(False)
        self.at(9, 30)
        self.assertEqual(self.bolt, "locked")  # once
        self.at(10, 0)
        self.at(8, 0, day=1)
        self.assertEqual((self.bolt, self.new()), ("unlocked", [63, 26, 63]))

    def test_a_window_that_has_begun_already_opens_nothing(self):
        self.as_admin(opcodes.SWITCHES, settings_client.switch_set(settings_client.PASSAGE_UNLOCK, True))
        self.at(9, 0)
        self.add(480, 600)
        self.rig.wait(2000, 100)
        self.assertEqual(self.bolt, "locked")

    def test_a_start_in_a_window_keeps_open_only_what_was_opened_in_it(self):
        self.add(480, 600)
        self.at(8, 1)
        self.types()
        self.rig.start(False)
        self.rig.wait(9000, 100)
        self.assertEqual(self.bolt, "unlocked")
        self.rig.rtc = MIDNIGHT_S + DAY_S + 500 * 60  # without power to the same window of the next day
        self.rig.start(False)
        self.rig.wait(9000, 100)
        self.assertEqual(self.bolt, "locked")

    def test_taking_the_window_away_ends_it(self):
        raw = self.add(480, 600)
        self.at(8, 1)
        self.types()
        self.as_admin(opcodes.PASSAGE, passage_client.delete(raw))
        self.rig.wait(2000, 100)
        self.assertEqual((self.bolt, self.new()), ("locked", [4, 45]))

    def test_weekdays_begin_with_monday_and_windows_that_touch_are_one(self):
        monday = -(MIDNIGHT_S // DAY_S + 5) % 7  # day 0 of the year 2000 was a Saturday
        self.add(480, 540, day=1)
        self.add(540, 600, day=1)
        self.at(8, 30, day=monday)
        self.types()
        self.at(9, 0, day=monday)
        self.assertEqual(self.bolt, "unlocked")
        self.at(10, 0, day=monday)
        self.assertEqual(self.bolt, "locked")
        self.at(8, 30, day=monday + 1)
        self.types()
        self.rig.wait(6000, 100)
        self.assertEqual(self.bolt, "locked")


class TestWalk(Case):
    """Random unlocking, locking, waiting and restarting beside what the table says."""

    def test_a_random_walk_agrees_with_the_table(self):
        draw = Draw(7).among
        rig = self.rig
        self.add(480, 600)
        self.add(570, 660)
        self.as_admin(opcodes.AUTO_LOCK, settings_client.auto_lock_set(5))
        is_open = is_held = False
        minute = 470
        self.at(0, minute)
        for step in range(60):
            what = draw(("unlock", "lock", "wait", "wait", "start"))
            in_window = 480 <= minute % 1440 < 660
            if what == "unlock":
                self.types()
                is_open = is_held = in_window
                rig.wait(6000, 200)
            elif what == "lock":
                rig.connect()
                rig.operate(opcodes.LOCK)
                rig.disconnect()
                is_open = is_held = False
            elif what == "start":
                rig.start(False)
                rig.wait(6000, 200)
            else:
                minute += draw((3, 20, 60, 200))
                self.at(0, minute)
                if is_held and not 480 <= minute % 1440 < 660:
                    is_open = is_held = False
            self.assertEqual(self.bolt, "unlocked" if is_open else "locked", "step %d, %s at %d" % (step, what, minute))
            minute = (rig.rtc - MIDNIGHT_S) // 60
