"""A request and its one answer."""

import json
import unittest

from firmware.gateway.admission import Refusal
from firmware.gateway.requests import Request
from firmware.lib import commands
from firmware.system.timing import ticks_ms
from tests.unit.command_rig import LOCK, Rig


def _request(rig, id="one", op="state"):
    return Request(commands.Command(id, op, {}), LOCK, ticks_ms(), rig.answers)


def _told(rig):
    return [(each["id"], each["code"]) for each in map(json.loads, [payload for _, payload in rig.out.put_in])]


class RequestTest(unittest.TestCase):
    def test_it_is_answered_once(self):
        rig = Rig("answer")
        request = _request(rig)
        self.assertTrue(request.begin())
        request.answer({"lock": "LOCKED"})
        request.answer(err=Refusal("busy", "late"))
        request.answer({"lock": "UNLOCKED"})
        self.assertEqual(_told(rig), [("one", "ok")])
        self.assertEqual(rig.metrics.codes, {"ok": 1})
        self.assertFalse(_request(rig).begin())
        self.assertEqual(_told(rig), [("one", "ok")] * 2)

    def test_a_refused_one_may_come_again(self):
        rig = Rig("refuse")
        request = _request(rig)
        request.begin()
        self.assertFalse(_request(rig).begin())  # it is at work
        request.refuse(Refusal("busy", "no room"))
        self.assertEqual(_told(rig), [("one", "busy")])
        self.assertTrue(_request(rig).begin())

    def test_a_refused_repeat_leaves_the_first_one_alone(self):
        rig = Rig("repeat_refused")
        first = _request(rig)
        first.begin()
        second = _request(rig)
        self.assertFalse(second.begin())
        second.refuse(Refusal("busy", "no room"))
        second.release()
        self.assertFalse(_request(rig).begin())

    def test_one_that_was_handed_on_is_not_forgotten(self):
        rig = Rig("handed")
        request = _request(rig)
        request.begin()
        request.hand_on()
        request.release()
        self.assertFalse(_request(rig).begin())

    def test_a_want_of_memory_does_not_lose_the_answer(self):
        for owner, name in (("out", "publish"), ("ids", "done"), ("metrics", "record")):
            rig = Rig("answer_memory")
            request = _request(rig, name)
            request.begin()
            call = getattr(getattr(rig, owner), name)
            faults = [MemoryError()]

            def once(*args, call=call, faults=faults):
                if faults:
                    raise faults.pop()
                return call(*args)

            setattr(getattr(rig, owner), name, once)
            request.answer({})
            self.assertEqual(_told(rig), [(name, "ok")])
            self.assertFalse(_request(rig, name).begin())

    def test_what_the_flash_refuses_to_keep_is_answered_all_the_same(self):
        rig = Rig("answer_flash")
        request = _request(rig)
        request.begin()

        def refuse(*args):
            raise OSError(28)

        rig.ids.done = refuse
        request.answer({})
        self.assertEqual(_told(rig), [("one", "ok")])
        self.assertFalse(_request(rig).begin())  # the id stays taken


if __name__ == "__main__":
    unittest.main()
