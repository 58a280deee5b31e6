import os
import unittest

from firmware.system import store
from firmware.system.store import Cell
from tests.scratch import scratch

_PATH = scratch("store/deep/state.json")


class StoreTest(unittest.TestCase):
    def setUp(self):
        store.remove(_PATH)

    def tearDown(self):
        store.remove(_PATH)

    def test_what_is_saved_is_loaded(self):
        value = {"list": [1, -2, None, True], "text": "Tür", "nested": {"a": "b"}}
        store.save(_PATH, value)
        self.assertEqual(store.load(_PATH), value)
        store.save(_PATH, {"newer": 1})
        self.assertEqual(store.load(_PATH), {"newer": 1})
        self.assertEqual(os.listdir(scratch("store/deep")), ["state.json"])

    def test_missing_file_gives_the_default_and_is_no_damage(self):
        damaged = []
        self.assertEqual(store.load(_PATH, 7, damaged.append), 7)
        self.assertEqual(damaged, [])

    def test_holds_tells_every_difference_and_reads_whole_files(self):
        for size in (0, 1, 255, 256, 257, 700):
            content = bytes((place * 5) & 255 for place in range(size))
            store.make_folder(scratch("store/deep"))
            with open(_PATH, "wb") as file:
                file.write(content)
            self.assertEqual(store.read(_PATH), content)
            self.assertTrue(store.holds(_PATH, content))
            self.assertFalse(store.holds(_PATH, content + b"x"))
            if size:
                self.assertFalse(store.holds(_PATH, content[:-1]))
                self.assertFalse(store.holds(_PATH, content[:-1] + bytes((content[-1] ^ 1,))))
        self.assertFalse(store.holds(_PATH + ".none", b""))
        self.assertTrue(store.read(_PATH + ".none") is None)

    def test_any_flipped_bit_or_lost_tail_is_found(self):
        store.save(_PATH, {"key": "value"})
        with open(_PATH, "rb") as file:
            raw = file.read()
        broken = [raw[:length] for length in range(len(raw))]
        broken += [raw[:at] + bytes([raw[at] ^ 4]) + raw[at + 1 :] for at in range(len(raw))]
        for content in broken:
            with open(_PATH, "wb") as file:
                file.write(content)
            damaged = []
            self.assertEqual(store.load(_PATH, "default", damaged.append), "default")
            self.assertEqual(damaged, [_PATH])

    def test_sibling_of_an_interrupted_save_stands_in_for_a_damaged_file(self):
        store.save(_PATH, {"n": 2})
        os.rename(_PATH, _PATH + ".new")
        self.assertEqual(store.load(_PATH), {"n": 2})
        with open(_PATH, "wb") as file:
            file.write(b"torn")
        self.assertEqual(store.load(_PATH), {"n": 2})
        os.rename(_PATH + ".new", _PATH + ".bak")
        self.assertEqual(store.load(_PATH), {"n": 2})

    def test_second_copy_stands_in_for_a_damaged_file(self):
        store.save(_PATH, {"n": 1}, twin=True)
        store.save(_PATH, {"n": 2}, twin=True)
        with open(_PATH, "wb") as file:
            file.write(b"damaged")
        self.assertEqual(store.load(_PATH), {"n": 2})
        self.assertEqual(store.load(_PATH, alone=True), None)

    def test_torn_sibling_does_not_hide_the_file(self):
        store.save(_PATH, {"n": 1})
        with open(_PATH + ".new", "wb") as file:
            file.write(b'{"n":')
        self.assertEqual(store.load(_PATH), {"n": 1})

    def test_remove_takes_every_copy(self):
        store.save(_PATH, {"n": 1})
        with open(_PATH + ".bak", "wb") as file:
            file.write(b"x")
        store.remove(_PATH)
        self.assertEqual(os.listdir(scratch("store/deep")), [])


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
