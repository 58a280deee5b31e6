import json
import unittest

from firmware.lib.errors import ProtocolError
from firmware.lib.strict_json import Reader


def read(text):
    return Reader(text if isinstance(text, bytes) else text.encode()).read()


class Good(unittest.TestCase):
    def test_values(self):
        text = ' {"a" : [1, -2.5, 1e2, true, false, null, "x\\"\\\\\\/\\b\\f\\n\\r\\t"], "b": {}, '
        text += '"c":[ ] ,"\u00e4":"\u20ac"} '
        self.assertEqual(read(text), json.loads(text))

    def test_escapes_become_characters(self):
        self.assertEqual(read('{"n":"\\u00e9\\ud83d\\ude00\\u005A"}'), {"n": "\u00e9" + chr(0x1F600) + "Z"})

    def test_limits_are_inclusive(self):
        self.assertEqual(read('{"a":%d,"b":-%d}' % (2**53, 2**53)), {"a": 2**53, "b": -(2**53)})
        self.assertEqual(read('{"a":[[[1]]]}'), {"a": [[[1]]]})
        many = ",".join(['"k%d":0' % n for n in range(24)])
        self.assertEqual(len(read("{%s}" % many)), 24)
        self.assertEqual(len(read('{"a":"%s"}' % ("x" * 1016))["a"]), 1016)


class Bad(unittest.TestCase):
    def check(self, *texts):
        for text in texts:
            with self.assertRaises(ProtocolError):
                read(text)

    def test_grammar(self):
        self.check(
            "", " ", "1", "[]", '"a"', "{", "{}x", "{} {}", "{,}", '{"a"}', '{"a":}', '{"a":1,}', "{'a':1}", "{a:1}"
        )
        self.check('{"a":[1,]}', '{"a":[1 2]}', '{"a":tru}', '{"a":True}', '{"a":undefined}', '{"a":1/*x*/}')

    def test_numbers(self):
        self.check('{"a":NaN}', '{"a":Infinity}', '{"a":-Infinity}', '{"a":1e999}', '{"a":01}', '{"a":+1}', '{"a":.5}')
        self.check('{"a":1.}', '{"a":1e}', '{"a":-}', '{"a":0x10}', '{"a":9007199254740993}', '{"a":-9007199254740993}')
        self.check('{"a":%s}' % ("9" * 900), '{"a":0.%s}' % ("1" * 900), '{"a":1e%s}' % ("0" * 900))

    def test_strings(self):
        self.check('{"a":"x}', '{"a":"\n"}', '{"a":"\\x"}', '{"a":"\\u12"}', '{"a":"\\u12g4"}', '{"a":"\\', '{"a":"\\u')
        self.check('{"a":"\\ud800"}', '{"a":"\\udc00"}', '{"a":"\\ud800\\u0041"}', '{"a":"\\ud800x"}')
        self.check(b'{"a":"\xff"}', b'{"a":"\xc0\xaf"}', b'{"\xed\xa0\x80":1}', b'{"a":"\x00"}', b"\xef\xbb\xbf{}")

    def test_limits(self):
        self.check('{"a":"%s"}' % ("x" * 1017), '{"a":[[[[1]]]]}', '{"a":{"a":{"a":{"a":{}}}}}')
        self.check("{%s}" % ",".join(['"k%d":0' % n for n in range(25)]))
        self.check('{"a":[%s]}' % ",".join(['{"k":0}'] * 24), "[" * 1024, '{"a":' * 200)

    def test_duplicates_also_when_escaped(self):
        self.check('{"a":1,"a":1}', '{"a":1,"\\u0061":1}', '{"a":{"b":1,"b":2}}')

    def test_what_was_read_before_the_fault_is_kept(self):
        reader = Reader(b'{"id":"x","args":{"a":1},"op":nonsense}')
        with self.assertRaises(ProtocolError):
            reader.read()
        self.assertEqual(reader.top, {"id": "x", "args": {"a": 1}})

    def test_every_cut_and_every_octet(self):
        text = b'{"id":"\\u00e9\xc3\xa9","n":[-1.5e3,true],"o":{"p":null}}'
        for size in range(len(text)):
            self.check(text[:size])
        for at in range(len(text)):
            for value in range(256):
                bad = bytearray(text)
                bad[at] = value
                try:
                    read(bytes(bad))
                except ProtocolError:
                    pass
