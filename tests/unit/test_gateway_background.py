"""The plan of what the gateway does unasked."""

import unittest

from firmware.gateway.background import Background
from firmware.gateway.scheduler import CLOCK, RECORDS, Displaced
from firmware.lib.errors import AuthError, LinkError
from tests.unit.gateway_rig import Now, known_lock, quiet_log


class Due:
    """Stands for `Records` and `Clocks`: always something to do."""

    def __init__(self):
        self.failures = 0

    def is_due(self, lock):
        return True

    def failed(self, lock):
        self.failures += 1


class Jobs:
    linked = None
    """Stands for the scheduler: keeps what was submitted."""

    def __init__(self):
        self.submitted = []
        self.planners = []

    def wake(self):
        pass

    def submit(self, job):
        self.submitted.append(job)
        return True

    def end(self, job, err=None):
        self.submitted.remove(job)
        job.finish(None, err)

    def all_end(self, err):
        ended, self.submitted = self.submitted, []
        for job in ended:
            job.finish(None, err)
        return len(ended)


class Near:
    """A registry of locks, which are near."""

    locks: list = []

    def all(self):
        return self.locks

    def get(self, address):
        return next((lock for lock in self.locks if lock.address == address), None)

    def is_fresh(self, lock):
        return True


class BackgroundTest(unittest.TestCase):
    def setUp(self):
        self.now = Now()
        self.jobs = Jobs()
        self.near = Near()
        self.records = Due()
        Background(self.near, self.jobs, self.records, Due(), self.now, quiet_log())

    def look(self, *locks):
        self.near.locks = list(locks)
        for plan in self.jobs.planners:
            plan()

    def test_a_lock_that_refuses_our_keys_is_left_alone_until_it_is_imported_anew(self):
        lock = known_lock()
        self.look(lock)
        self.look(lock)
        self.assertEqual(self.jobs.all_end(AuthError("refused")), 2)
        self.look(lock)
        self.assertEqual(self.jobs.submitted, [])
        self.look(known_lock())  # other keys of the same lock
        self.assertEqual(self.jobs.all_end(None), 2)
        self.look(lock)
        self.assertEqual(self.jobs.all_end(AuthError("refused")), 2)
        self.now.s += 21601
        self.look(lock)
        self.assertEqual(self.jobs.all_end(None), 2)

    def test_every_lock_has_its_turn_and_few_tasks_wait_however_much_is_due(self):
        locks = [known_lock(bytes((1, 2, 3, 4, 5, number))) for number in range(16)]
        served = []
        for _ in range(80):
            self.look(*locks)
            self.assertTrue(2 <= len(self.jobs.submitted) <= 5, len(self.jobs.submitted))
            job = self.jobs.submitted[0]
            served.append((job.lock.address, job.kind))
            self.jobs.end(job)
        for lock in locks:
            for kind in (RECORDS, CLOCK):
                self.assertTrue(served.count((lock.address, kind)) >= 2, (lock.address, kind))

    def test_the_lock_to_which_a_link_is_up_comes_first_if_it_is_served(self):
        locks = [known_lock(bytes((1, 2, 3, 4, 5, number))) for number in range(16)]
        for _ in range(3):
            self.look(*locks)
        self.jobs.linked = locks[15]
        self.look(*locks)
        self.assertEqual([job.lock for job in self.jobs.submitted[-2:]], [locks[15], locks[15]])
        count = len(self.jobs.submitted)
        self.jobs.linked = known_lock(bytes(6))  # about to be imported
        self.look(*locks)
        self.assertEqual(len(self.jobs.submitted), count)

    def test_a_task_for_which_there_was_no_room_is_no_failure_of_its_lock(self):
        lock = known_lock()
        self.look(lock)
        self.assertEqual(self.jobs.all_end(Displaced("no room")), 2)
        self.look(lock)
        self.assertEqual((self.jobs.all_end(LinkError("0x3E")), self.records.failures), (2, 1))
        self.look(lock)  # the clock is looked at later, the records are asked for as `Records` says
        self.assertEqual([job.kind for job in self.jobs.submitted], [RECORDS])


if __name__ == "__main__":
    unittest.main()
