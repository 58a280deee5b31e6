import asyncio
import unittest

from firmware.system.log import Log
from firmware.system.supervisor import Supervisor


class _Clock:
    def __init__(self):
        self.now_ms = 0

    def __call__(self):
        return self.now_ms


class SupervisorTest(unittest.TestCase):
    def setUp(self):
        self.lines = []
        self.clock = _Clock()
        self.fed = []
        self.log = Log(self.clock, self.lines.append)

    def _words(self):
        return [line.split()[3] for line in self.lines if "|" not in line]

    def test_jobs_run_side_by_side_and_the_watchdog_is_fed(self):
        seen = []

        async def scenario():
            supervisor = Supervisor(self.log, self.clock, lambda: self.fed.append(1))

            async def job():
                seen.append("job")
                supervisor.alive("job")
                await asyncio.Event().wait()

            async def other():
                seen.append("other")
                await asyncio.Event().wait()

            supervisor.add("job", job, 1000)
            supervisor.add("other", other)
            await _run_for_a_moment(supervisor)
            return supervisor.late()

        self.assertEqual(asyncio.run(scenario()), None)
        self.assertEqual(sorted(seen), ["job", "other"])
        self.assertEqual(self.fed, [1])

    def test_silent_job_is_late_and_starves_the_watchdog(self):
        async def scenario():
            supervisor = Supervisor(self.log, self.clock, lambda: self.fed.append(1))

            async def silent():
                self.clock.now_ms = 5000
                await asyncio.Event().wait()

            supervisor.add("silent", silent, 1000)
            task = asyncio.create_task(supervisor.run())
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            late = supervisor.late()
            supervisor.alive("silent")
            again = supervisor.late()
            await _stop(task)
            return late, again

        self.assertEqual(asyncio.run(scenario()), ("silent", None))

    def test_failed_job_pauses_without_being_late_and_is_reported_with_its_traceback(self):
        async def scenario():
            supervisor = Supervisor(self.log, self.clock)

            async def failing():
                raise ValueError("why")

            supervisor.add("failing", failing, 1000)
            task = asyncio.create_task(supervisor.run())
            for _ in range(5):
                await asyncio.sleep(0)
            self.clock.now_ms = 10000
            late = supervisor.late()
            await _stop(task)
            return late, supervisor.restarts()

        self.assertEqual(asyncio.run(scenario()), (None, 1))
        self.assertEqual(self._words(), ["failed"])
        self.assertTrue("why" in self.lines[0] and "job=failing" in self.lines[0] and len(self.lines) > 1)

    def test_stop_cancels_the_jobs_and_lets_them_clean_up(self):
        cleaned = []

        async def scenario():
            supervisor = Supervisor(self.log, self.clock)

            async def job():
                try:
                    await asyncio.Event().wait()
                finally:
                    cleaned.append(True)

            supervisor.add("job", job)
            await _run_for_a_moment(supervisor)

        asyncio.run(scenario())
        self.assertEqual(cleaned, [True])
        self.assertEqual(self.lines, [])


class HopelessTest(unittest.TestCase):
    def test_too_many_failures_in_a_row_are_hopeless_but_a_healthy_run_counts_anew(self):
        hopeless = []
        clock = _Clock()
        supervisor = Supervisor(Log(clock, lambda line: None), clock, on_hopeless=hopeless.append)
        job = supervisor.add("job", None)
        for _ in range(7):
            supervisor.note_end(job, None, 100, 1)
        supervisor.note_end(job, None, 60000, 1)
        for _ in range(6):
            supervisor.note_end(job, None, 100, 1)
        self.assertEqual(hopeless, [])
        supervisor.note_end(job, None, 100, 1)
        self.assertEqual(hopeless, ["job"])


async def _stop(task):
    task.cancel()
    try:
        await task
    except asyncio.CancelledError:
        pass


async def _run_for_a_moment(supervisor):
    task = asyncio.create_task(supervisor.run())
    for _ in range(4):
        await asyncio.sleep(0)
    await _stop(task)
