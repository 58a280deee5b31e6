import os
import unittest

from firmware.system import store
from firmware.system.slots import Slot, write
from tests.scratch import scratch


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
            write(word, self.path)
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


if __name__ == "__main__":
    unittest.main()
