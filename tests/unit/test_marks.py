import unittest

from firmware.lib import marks

KEY = bytes(range(16))


class Marks(unittest.TestCase):
    def test_known_answers(self):  # by hmac of CPython
        self.assertEqual(marks.of_passcode(KEY, b"123456"), 1954000201)
        self.assertEqual(marks.of_card(KEY, 3661413478), 692180739)
        self.assertEqual(marks.of_fob(KEY, b"\xaa\xbb\xcc\xdd\xee\xff"), 1759487187)

    def test_another_lock_or_kind_has_another_mark(self):
        self.assertNotEqual(marks.of_passcode(KEY, b"123456"), marks.of_passcode(bytes(16), b"123456"))
        self.assertNotEqual(marks.of_passcode(KEY, b"123456"), marks.of_card(KEY, 0x3132333435360000))
