import asyncio
import unittest

from firmware.lib.errors import BadRequest
from firmware.system.console import Lines, answer


def _objects(raw, max_line=64):
    lines = Lines(max_line)
    found = [lines.feed(octet) for octet in raw]
    return [value for value in found if value is not None]


class LinesTest(unittest.TestCase):
    def test_one_object_per_line(self):
        self.assertEqual(_objects(b'{"do":"state"}\n{"n":1}\r\n'), [{"do": "state"}, {"n": 1}])

    def test_what_is_not_an_object_is_ignored(self):
        self.assertEqual(_objects(b'  12.408 I link connected\n[1]\n7\n\n{"a":\n{"b":2} \n'), [{"b": 2}])

    def test_bytes_that_are_no_text_are_ignored(self):
        self.assertEqual(_objects(b'{"a":"\xff\xfe"}\n{"b":2}\n'), [{"b": 2}])

    def test_overlong_line_is_dropped_whole(self):
        self.assertEqual(_objects(b'{"a":"' + b"x" * 80 + b'"}\n{"b":2}\n'), [{"b": 2}])


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
