import os
import unittest

from firmware.system import store
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
