import os
import unittest

from firmware.system import store
from firmware.system.restarts import WORDS, Restarts, Slot
from tests.scratch import scratch


class _Memory:
    def __init__(self):
        self.kept = b""

    def start(self, cause):
        """As boot: main.py has counted the start."""
        note = bytearray(self.kept if self.kept[:3] == b"GH2" and len(self.kept) > 3 else b"GH2\0")
        note[3] += 1
        self.kept = bytes(note)
        return Restarts(lambda: self.kept, self.keep, cause)

    def keep(self, octets):
        self.kept = octets


class RestartsTest(unittest.TestCase):
    def setUp(self):
        self.memory = _Memory()

    def test_power_on_has_no_history(self):
        found = self.memory.start("power_on")
        self.assertEqual((found.why, found.what, found.quick), ("power_on", "", 1))
        self.assertEqual(found.counts(), {"power_on": 1})

    def test_noted_reason_is_read_once(self):
        self.memory.start("power_on").announce("failing", "scanner")
        found = self.memory.start("hard")
        self.assertEqual((found.why, found.what, found.quick), ("failing", "scanner", 2))
        self.assertEqual(self.memory.start("hard").why, "unknown")

    def test_without_a_word_the_cause_decides(self):
        for cause, why in (("watchdog", "blocked"), ("hard", "unknown"), ("soft", "asked"), ("unknown", "unknown")):
            self.memory.start("power_on")
            self.assertEqual(self.memory.start(cause).why, why)

    def test_withdrawn_reason_is_gone_and_counts_stay(self):
        first = self.memory.start("power_on")
        first.count("rescan")
        first.announce("silent", "a name much too long")
        first.withdraw()
        found = self.memory.start("watchdog")
        self.assertEqual((found.why, found.what), ("blocked", ""))
        self.assertEqual(found.counts(), {"power_on": 1, "rescan": 1, "blocked": 1})

    def test_healthy_start_ends_the_row(self):
        for _ in range(4):
            found = self.memory.start("hard")
        self.assertEqual(found.quick, 4)
        found.healthy()
        self.assertEqual(self.memory.start("hard").quick, 1)

    def test_counts_stop_at_their_end_and_damage_is_no_crash(self):
        self.memory.kept = b"GH2\x00" + b"\xff" * 200
        found = self.memory.start("hard")
        found.count("job")
        self.assertEqual(found.counts()["job"], 0xFFFF)
        for size in range(60):
            for octet in (b"\x00", b"\x07", b"\xff"):
                self.memory.kept = (b"GH2\x00" + octet * 60)[:size]
                self.assertTrue(self.memory.start("hard").why in WORDS)


class SlotTest(unittest.TestCase):
    def setUp(self):
        folder = scratch("slots")
        store.make_folder(folder)
        self.path = folder + "/slot"
        try:
            os.remove(self.path)
        except OSError:
            pass

    def _slot(self, word=None, folders=("/b", "")):
        if word is not None:
            with open(self.path, "w") as file:
                file.write(word)
        return Slot(self.path, folders)

    def test_without_a_word_nothing_is_on_trial(self):
        for folders, name in ((("/a",), "a"), (("/b",), "b"), ((), "a")):
            slot = self._slot(None, folders)
            self.assertEqual((slot.name, slot.is_on_trial), (name, False))

    def test_only_the_slot_that_runs_can_be_on_trial(self):
        self.assertTrue(self._slot("b?").is_on_trial)
        self.assertFalse(self._slot("b??").is_on_trial)
        self.assertFalse(self._slot("b").is_on_trial)
        self.assertFalse(self._slot("a?").is_on_trial)

    def test_keep_ends_the_trial_for_good(self):
        slot = self._slot("b?")
        slot.keep()
        self.assertFalse(slot.is_on_trial)
        with open(self.path) as file:
            self.assertEqual(file.read(), "b")
        self.assertFalse(self._slot().is_on_trial)
