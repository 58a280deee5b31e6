"""Messages on the way to a result."""

import json
import unittest

from firmware.gateway.requests import CommandJob, Request
from firmware.lib import commands
from firmware.system.timing import ticks_ms
from tests.unit.command_rig import LOCK, Rig


def _job(rig, id):
    request = Request(commands.Command(id, "upload", {}), LOCK, ticks_ms(), rig.answers)
    return CommandJob(rig.lock, 0, request, rig.context)


class ProgressTest(unittest.TestCase):
    def test_it_has_the_id_and_no_result(self):
        rig = Rig("progress")
        _job(rig, "one").progress({"done": 3, "total": 10})
        found = json.loads(rig.out.steps[0])
        self.assertEqual(found, {"id": "one", "op": "upload", "code": "progress", "data": {"done": 3, "total": 10}})

    def test_each_press_is_told_and_not_each_count(self):
        rig = Rig("progress_often")
        job = _job(rig, "one")
        for done in range(50):
            job.progress({"done": done})
        self.assertEqual(len(rig.out.steps), 1)
        for press in range(1, 5):
            job.progress({"state": "adding", "press": press})
        self.assertEqual(len(rig.out.steps), 5)

    def test_who_gave_no_id_hears_nothing(self):
        rig = Rig("progress_none")
        _job(rig, None).progress({"done": 1})
        self.assertEqual(rig.out.steps, [])


if __name__ == "__main__":
    unittest.main()
