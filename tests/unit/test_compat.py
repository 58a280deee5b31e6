import json
import sys
import unittest

from firmware.lib.compat import decode_utf8, is_whole, loads_object, row, unload
from firmware.lib.errors import ProtocolError


class LoadsObjectTest(unittest.TestCase):
    def test_objects(self):
        self.assertEqual(loads_object("{}"), {})
        self.assertEqual(loads_object(' {"a": {"b": [1, 2]}}\r\n'), {"a": {"b": [1, 2]}})

    def test_what_ends_too_early_is_refused_by_every_release(self):
        whole = '{"a": {"b": [1, "x"]}, "c": null}'
        for length in range(len(whole)):
            with self.assertRaises(ValueError):
                loads_object(whole[:length])

    def test_two_escapes_are_one_character(self):
        for written in ("\\ud83d\\ude00", "\\uD83D\\uDE00"):
            read = loads_object('{"s":"a%sb%s"}' % (written, written))["s"]
            self.assertEqual(read.encode(), b"a\xf0\x9f\x98\x80b\xf0\x9f\x98\x80")
        self.assertEqual(
            loads_object('{"s":"\\udbff\\udfff\\ud800\\udc00"}')["s"].encode(), b"\xf4\x8f\xbf\xbf\xf0\x90\x80\x80"
        )
        for escaped in ("\\\\ud83d\\\\ude00", "\\u00fc", "\\u0041\\u0042", "\\\\\\u00fc"):
            self.assertEqual(loads_object('{"s":"%s"}' % escaped), json.loads('{"s":"%s"}' % escaped))
        self.assertEqual(loads_object('{"s":"\\\\\\ud83d\\ude00"}')["s"].encode(), b"\\\xf0\x9f\x98\x80")
        for broken in ('{"s":"\\ud83d\\u"}', '{"s":"\\ud83d\\uzzzz"}'):
            with self.assertRaises(ValueError):
                loads_object(broken)

    def test_what_would_fill_the_heap_is_refused_before_it_is_read(self):
        for count in (200, 4000, 100000):
            for unit, end in (("[", "]"), ('{"a":', "}"), ("[],", ""), ('["x",{},', "]")):
                with self.assertRaises(ValueError):
                    loads_object('{"a":%s1%s}' % (unit * count, end * count))
        deep = "[" * 90 + "]" * 90
        self.assertEqual(len(loads_object('{"a":%s,"b":%s}' % (deep, deep))), 2)

    def test_other_values_are_no_objects(self):
        for text in ("", " ", "1", "null", '"{}"', '["a"]', "[{}]", "{} x", "{}}", "}{", "{},{}", "{}],[{}"):
            with self.assertRaises(ValueError):
                loads_object(text)


class IsWholeTest(unittest.TestCase):
    def test_numbers_within_the_limits_and_nothing_else(self):
        for value, wanted in ((1, True), (0, True), (5, True), (-1, False), (6, False), (True, False), (False, False)):
            self.assertEqual(is_whole(value, 0, 5), wanted, value)
        for value in (None, "1", 1.0, b"1", [1]):
            self.assertFalse(is_whole(value, 0, 5))


class RowTest(unittest.TestCase):
    def test_a_row_is_found_by_its_whole_word_and_by_nothing_else(self):
        table = "\nlock motion V\nlocks 0\nunlock motion VG\n"
        for word, wanted in (("lock", "motion V"), ("locks", "0"), ("unlock", "motion VG")):
            self.assertEqual(row(table, word), wanted)
        for word in ("", "loc", "lock ", "lock motion", "motion", "V", "lock motion V\nlocks", "\nlock", "LOCK", "0"):
            self.assertIsNone(row(table, word), word)


class UnloadTest(unittest.TestCase):
    def test_nothing_holds_a_module_that_is_let_go_of(self):
        from firmware.lib import recurrence

        unload(("firmware.lib.recurrence", "firmware.lib.never_there"))
        self.assertFalse("firmware.lib.recurrence" in sys.modules)
        self.assertFalse(hasattr(sys.modules["firmware.lib"], "recurrence"))
        from firmware.lib import recurrence as again

        self.assertIsNot(again, recurrence)


class DecodeUtf8(unittest.TestCase):
    def test_good(self):
        for text in ("", "a", "\u0080\u07ff\u0800\ud7ff\ue000\uffff", chr(0x10000) + chr(0x10FFFF)):
            self.assertEqual(decode_utf8(text.encode()), text)

    def test_bad(self):
        for raw in (
            b"\x80",
            b"\xc3",
            b"\xc0\x80",
            b"\xc1\xbf",
            b"\xe0\x9f\xbf",
            b"\xed\xa0\x80",
            b"\xf0\x8f\xbf\xbf",
            b"\xf4\x90\x80\x80",
            b"\xf5\x80\x80\x80",
            b"\xe2\x82",
            b"\xe2(\xa1",
            b"\xff",
        ):
            for wrap in (b"", b"ok"):
                with self.assertRaises(ProtocolError):
                    decode_utf8(wrap + raw)
                with self.assertRaises(ProtocolError):
                    decode_utf8(wrap + raw + wrap)
