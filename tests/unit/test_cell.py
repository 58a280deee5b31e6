import os
import unittest

from firmware.system import store
from firmware.system.cell import Cell
from tests.scratch import scratch

_FOLDER = scratch("cell")


def _flip(path, at):
    with open(path, "rb") as file:
        raw = bytearray(file.read())
    raw[at] ^= 1
    with open(path, "wb") as file:
        file.write(raw)


class CellTest(unittest.TestCase):
    def setUp(self):
        store.make_folder(_FOLDER)
        for name in os.listdir(_FOLDER):
            os.remove(_FOLDER + "/" + name)

    tearDown = setUp

    def test_keeps_what_was_saved_last(self):
        self.assertTrue(Cell(_FOLDER + "/x").load() is None)
        for number in range(5):
            Cell(_FOLDER + "/x").save(b"state %d" % number)
            cell = Cell(_FOLDER + "/x")
            self.assertEqual(cell.load(), b"state %d" % number)
            self.assertFalse(cell.is_damaged)

    def test_makes_its_folder(self):
        Cell(_FOLDER + "/deep/x").save(b"state")
        self.assertEqual(Cell(_FOLDER + "/deep/x").load(), b"state")
        for name in os.listdir(_FOLDER + "/deep"):
            os.remove(_FOLDER + "/deep/" + name)
        os.rmdir(_FOLDER + "/deep")

    def test_flipped_bit_anywhere_leaves_the_state_before(self):
        cell = Cell(_FOLDER + "/x")
        cell.save(b"before")
        cell.save(b"newest")
        for at in range(4 + 6 + 4):
            _flip(_FOLDER + "/x.0", at)
            again = Cell(_FOLDER + "/x")
            self.assertEqual((again.load(), again.is_damaged), (b"before", False))
            _flip(_FOLDER + "/x.0", at)
        self.assertEqual(Cell(_FOLDER + "/x").load(), b"newest")

    def test_both_copies_damaged_is_not_the_same_as_none(self):
        cell = Cell(_FOLDER + "/x")
        cell.save(b"before")
        cell.save(b"newest")
        _flip(_FOLDER + "/x.0", 5)
        _flip(_FOLDER + "/x.1", 5)
        self.assertTrue(cell.load() is None)
        self.assertTrue(cell.is_damaged)
        cell.save(b"again")
        self.assertEqual(Cell(_FOLDER + "/x").load(), b"again")

    def test_save_takes_the_place_of_the_older_copy(self):
        cell = Cell(_FOLDER + "/x")
        cell.save(b"one")
        cell.save(b"two")
        _flip(_FOLDER + "/x.0", 5)  # "two": the next save must not lean on it
        cell = Cell(_FOLDER + "/x")
        cell.save(b"three")
        self.assertEqual(Cell(_FOLDER + "/x").load(), b"three")
        with open(_FOLDER + "/x.1", "rb") as file:
            self.assertEqual(file.read()[4:-4], b"one")
