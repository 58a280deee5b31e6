"""The plan of what the gateway does unasked."""

import unittest

from firmware.gateway.background import Background
from firmware.lib.errors import AuthError
from tests.unit.gateway_rig import Now, known_lock, quiet_log


class Due:
    """Stands for `Records` and `Clocks`: always something to do."""

    def is_due(self, lock):
        return True

    def failed(self, lock):
        pass


class Jobs:
    """Stands for the scheduler: keeps what was submitted."""

    def __init__(self):
        self.submitted = []
        self.planners = []

    def wake(self):
        pass

    def submit(self, job):
        self.submitted.append(job)
        return True

    def all_end(self, err):
        ended, self.submitted = self.submitted, []
        for job in ended:
            job.finish(None, err)
        return len(ended)


class Near:
    """A registry of one lock, which is near."""

    def all(self):
        return (self.lock,)

    def is_fresh(self, lock):
        return True


class BackgroundTest(unittest.TestCase):
    def setUp(self):
        self.now = Now()
        self.jobs = Jobs()
        self.near = Near()
        Background(self.near, self.jobs, Due(), Due(), self.now, quiet_log())

    def look(self, lock):
        self.near.lock = lock
        lock.seen_s = 0
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
