"""Durable requests: kept, done once when the lock is near, across restarts, in order."""

import os
import unittest

from firmware.lib import opcodes
from firmware.lib.errors import AuthError, LinkError, LockRefused
from tests.unit.gateway_rig import Refusal, known_lock
from tests.unit.job_rig import JobRig


def _code(digits="135790"):
    return {"code": digits}


class JobsTest(unittest.TestCase):
    def test_beside_the_lock_it_is_told_and_done_at_once(self):
        rig = JobRig("job_near")
        result = rig.ask("passcode_add", _code(), id="one")
        self.assertEqual((result["code"], result["job_state"], result["attempts"]), ("ok", 1, 1))
        self.assertEqual(rig.codes, ["135790"])
        self.assertEqual(len(rig.out.steps), 1)
        self.assertEqual(len(rig.jobs), 0)
        self.assertEqual(rig.ask("passcode_add", _code(), id="one"), result)
        self.assertEqual(rig.far.changes, 1)

    def test_it_waits_for_its_lock_over_two_restarts_and_happens_once(self):
        rig = JobRig("job_away").away()
        found = rig.put("passcode_add", _code(), "one")
        self.assertEqual((found["state"], found["job_state"], found["near"]), ("adding", 4, False))
        for _ in range(2):
            rig.idle()
            self.assertEqual((rig.results("one"), rig.opened), ([], 0))
            rig = rig.restarted()
        self.assertEqual(rig.put("passcode_add", _code(), "one")["state"], "adding")
        rig.near()
        rig.work(1)
        (result,) = rig.results("one")
        self.assertEqual((result["code"], result["job_state"]), ("ok", 1))
        again = rig.restarted()
        again.near()
        again.idle()
        self.assertEqual((again.codes, again.far.changes, again.out.put_in), (["135790"], 1, []))
        self.assertEqual(again.ask("passcode_add", _code(), id="one")["code"], "ok")
        self.assertEqual(again.codes, ["135790"])

    def test_its_id_is_taken_for_as_long_as_it_waits(self):
        rig = JobRig("job_id").away()
        rig.put("passcode_add", _code(), "one")
        rig.now.s += 5000
        self.assertEqual(rig.ask("passcode_add", _code("987654"), id="one")["code"], "conflict")
        self.assertEqual(rig.put("passcode_add", _code(), "one")["state"], "adding")
        self.assertEqual(len(rig.jobs), 1)

    def test_trouble_with_the_link_keeps_it_and_the_locks_no_ends_it(self):
        rig = JobRig("job_link")
        lost = LinkError("link lost")
        lost.sent = True
        rig.far.faults[opcodes.PASSCODE] = lost
        rig.unreachable = 2
        self.assertEqual(rig.ask("passcode_add", _code(), id="one")["code"], "ok")
        rig.far.faults[opcodes.PASSCODE] = Refusal(LockRefused("full", 0x16, "full"))
        result = rig.ask("passcode_add", _code("246802"), id="two")
        self.assertEqual((result["code"], result["job_state"], result["data"]["reason"]), ("refused", 5, "full"))
        rig.far.faults[opcodes.PASSCODE] = Refusal(AuthError("no"))
        result = rig.ask("passcode_delete", _code(), id="three")
        self.assertEqual((result["code"], result["job_state"]), ("auth", 9))
        self.assertEqual(len(rig.jobs), 0)

    def test_a_frame_that_may_have_left_before_a_restart_is_known_to_have(self):
        rig = JobRig("job_mark").away()
        rig.put("passcode_add", _code(), "one")
        entry = rig.jobs.find("one")
        rig.jobs.mark(entry)
        rig = rig.restarted()
        self.assertTrue(rig.jobs.find("one").was_sent)
        rig.far.faults[opcodes.PASSCODE] = Refusal(LockRefused("there", 0x14, "exists"))
        rig.codes.append("135790")
        rig.near()
        rig.work(1)
        self.assertEqual(rig.results("one")[0]["code"], "ok")

    def test_the_mark_of_an_earlier_request_means_nothing_to_the_next(self):
        rig = JobRig("job_marks")
        rig.ask("passcode_add", _code(), id="one")
        rig.away().put("passcode_add", _code("975310"), "two")
        self.assertFalse(rig.restarted().jobs.find("two").was_sent)

    def test_order_is_kept(self):
        rig = JobRig("job_order").away()
        for number in range(4):
            rig.put("passcode_add", _code("50000%d" % number), "a%d" % number)
        rig = rig.restarted()
        rig.near()
        rig.work(4)
        self.assertEqual(rig.codes, ["50000%d" % number for number in range(4)])

    def test_a_lock_with_many_requests_and_locks_that_are_not_reached_leave_room_for_others(self):
        rig = JobRig("job_room")
        locks = [known_lock(bytes((1, 2, 3, 4, 5, number))) for number in range(8)]
        for lock in locks:
            rig.registry.add(lock)
            for number in range(2):
                code = "%d" % (100000 + number)
                rig.send("cmd", {"id": lock.id + code, "op": "passcode_add", "args": _code(code)}, False, lock.id)
            rig.idle()
        for lock in locks:
            lock.seen_s = rig.now.s
        rig.jobs.look()
        waiting = [job.lock.address[5] for job in rig.scheduler.waiting()]
        self.assertEqual(waiting, [0, 1, 2, 3, 4, 5])  # the first of each
        for job in list(rig.scheduler.waiting()):  # none of them is reached
            rig.scheduler.withdraw(job)
            job.fault = LinkError("0x3E")
            job.finish(None, job.fault)
        rig.now.s += 30
        for lock in locks:
            lock.seen_s = rig.now.s
        rig.jobs.look()
        waiting = [job.lock.address[5] for job in rig.scheduler.waiting()]
        self.assertEqual(waiting, [6, 7, 0, 1, 2])
        self.assertEqual([len(rig.jobs.of(lock.id)) for lock in locks], [2] * 8)

    def test_no_code_is_readable_on_flash(self):
        rig = JobRig("job_canary").away()
        rig.put("passcode_add", _code("918273645"), "one")
        seen = 0
        for name in os.listdir(rig.folder + "/jobs"):
            with open(rig.folder + "/jobs/" + name, "rb") as file:
                content = file.read()
            seen += len(content)
            for canary in (b"918273645", b"passcode", bytes.fromhex("0918273645"), b"39313832"):
                self.assertFalse(canary in content)
        self.assertTrue(seen > 100)


if __name__ == "__main__":
    unittest.main()
