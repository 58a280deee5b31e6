import unittest

from firmware.lib import commands
from firmware.lib.errors import BadRequest


def fault_id(payload):
    """The id that the refusal of `payload` carries."""
    try:
        commands.parse(payload)
    except BadRequest as err:
        return err.id
    raise AssertionError("%r was accepted" % payload)


class Parse(unittest.TestCase):
    def test_whole(self):
        got = commands.parse(b'{"id":"7","op":"passcode_add","args":{"code":"1234"},"exp":1795481374}')
        self.assertEqual((got.id, got.op, got.args, got.exp), ("7", "passcode_add", {"code": "1234"}, 1795481374))
        self.assertIsNone(got.sealed)

    def test_least(self):
        got = commands.parse(b'{"op":"state","id":"a"}')
        self.assertEqual((got.args, got.exp, got.sealed), ({}, None, None))

    def test_sealed(self):
        got = commands.parse(b'{"op":"import","id":"a","sealed":"AAAA"}')
        self.assertEqual((got.args, got.sealed), ({}, "AAAA"))

    def test_refusal_carries_the_id_when_it_can_be_read(self):
        for rest in (
            b"",
            b',"op":1',
            b',"op":""',
            b',"op":"Un lock"',
            b',"op":"x","args":[]',
            b',"op":"x","args":"y"',
            b',"op":"x","args":{},"sealed":"y"',
            b',"op":"x","sealed":1',
            b',"op":"x","exp":"soon"',
            b',"op":"x","exp":1.5',
            b',"op":"x","exp":true',
            b',"op":"x","exp":-1',
            b',"op":"x","mac":"00"',
            b',"op":NaN',
        ):
            self.assertEqual(fault_id(b'{"id":"me"' + rest + b"}"), "me")
        self.assertEqual(fault_id(b'{"id":"me","op":"x"} trailing'), "me")

    def test_refusal_without_a_readable_id(self):
        for payload in (b"", b"LOCK", b'{"op":"x"}', b'{"id":1,"op":"x"}', b'{"id":"","op":"x"}', b"\xff" * 2000):
            self.assertIsNone(fault_id(payload))
        self.assertIsNone(fault_id(b'{"id":"%s","op":"x"}' % (b"i" * 65)))
        self.assertIsNone(fault_id(b'{"id":"a\\nb","op":"x"}'))

    def test_set(self):
        self.assertEqual(commands.parse_set(b"LOCK").op, "lock")
        got = commands.parse_set(b"UNLOCK")
        self.assertEqual((got.id, got.op, got.args), (None, "unlock", {}))
        for bad in (b"", b"unlock", b"UNLOCK ", b"\xff"):
            with self.assertRaises(BadRequest):
                commands.parse_set(bad)

    def test_sealed_arguments(self):
        self.assertEqual(commands.parse_args(b'{"code":"1"}'), {"code": "1"})
        with self.assertRaises(BadRequest):
            commands.parse_args(b"[]", "x")


class Digest(unittest.TestCase):
    def digest(self, text, scope=""):
        return commands.parse(text).digest(scope)

    def test_same_content_in_another_spelling(self):
        one = self.digest(b'{"id":"1","op":"x","args":{"a":1,"b":[true,null,"s"]},"exp":5}')
        two = self.digest(b'{ "exp":5,"args":{"b":[true,null,"\\u0073"],"a":1},"op":"x","id":"2" }')
        self.assertEqual(one, two)

    def test_other_content(self):
        seen = [self.digest(b'{"id":"1","op":"x"}', "e606a3a898bd")]
        for rest in (
            b"",
            b',"exp":5',
            b',"exp":6',
            b',"args":{"a":1}',
            b',"args":{"a":"1"}',
            b',"args":{"a":true}',
            b',"args":{"a":[1,[2]]}',
            b',"args":{"a":[1,2]}',
            b',"args":{"a":"b","c":"d"}',
            b',"args":{"a":"bscd"}',
            b',"sealed":"None"',
        ):
            got = self.digest(b'{"id":"1","op":"x"' + rest + b"}")
            self.assertFalse(got in seen)
            seen.append(got)
