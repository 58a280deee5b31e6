import asyncio
import unittest

from firmware.lib.errors import BadRequest
from firmware.system.console import BAD, Lines, answer


def _objects(raw, max_line=64):
    lines = Lines(max_line)
    found = [lines.feed(octet) for octet in raw]
    return [value for value in found if value is not None]


class LinesTest(unittest.TestCase):
    def test_one_object_per_line(self):
        self.assertEqual(_objects(b'{"do":"state"}\n{"n":1}\r\n'), [{"do": "state"}, {"n": 1}])

    def test_what_begins_as_no_object_is_ignored(self):
        self.assertEqual(_objects(b'  12.408 I link connected\n[1]\n7\n\n"{"\n{"b":2} \n'), [{"b": 2}])

    def test_each_line_that_begins_as_an_object_has_one_answer(self):
        for line in (
            b'{"a":',
            b"{",
            b'{"a":"\xff\xfe"}',
            b' {"a":1}}',
            b'{"a":1}{"b":2}',
            b'{"a":' + b"[" * 201 + b"]" * 201 + b"}",
            b'{"a":[' + b",".join([b"{}"] * 250) + b"]}",
            b'{"a":' + b"[" * 600,
            b'{"a":"' + b"x" * 1100 + b'"}',
        ):
            found = _objects(line + b'\n{"b":2}\n', 1024)
            self.assertEqual(len(found), 2, line)
            self.assertTrue(found[0] is BAD and found[1] == {"b": 2}, line)


async def _later(request):
    return {"echo": request["n"]}


def _refuse(_request):
    raise BadRequest("no such key")


def _crash(_request):
    raise KeyError("secret")


class AnswerTest(unittest.TestCase):
    def test_plain_and_async_handlers(self):
        self.assertEqual(asyncio.run(answer(lambda request: {"n": request["n"]}, {"n": 1})), {"n": 1})
        self.assertEqual(asyncio.run(answer(_later, {"n": 2})), {"echo": 2})

    def test_what_cannot_be_read_is_told_and_no_handler_sees_it(self):
        reply = asyncio.run(answer(_crash, BAD))
        self.assertEqual((reply["ok"], reply["code"]), (False, "bad_request"))

    def test_failures_become_replies(self):
        self.assertEqual(asyncio.run(answer(_refuse, {})), {"ok": False, "code": "bad_request", "msg": "no such key"})
        self.assertEqual(asyncio.run(answer(_crash, {})), {"ok": False, "code": "internal", "msg": "KeyError"})

    def test_a_reply_repeats_the_number_of_its_request_and_no_handler_sees_it(self):
        for handler in (lambda request: request, _refuse, _crash):
            request = {"do": "x", "seq": 7}
            reply = asyncio.run(answer(handler, request))
            self.assertEqual(reply["seq"], 7)
            self.assertFalse("seq" in request)
            self.assertFalse("seq" in asyncio.run(answer(handler, {"do": "x"})))
