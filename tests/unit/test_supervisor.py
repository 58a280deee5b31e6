import asyncio
import unittest

from firmware.system.log import Log
from firmware.system.restarts import Restarts
from firmware.system.supervisor import Lease, Supervisor
from tests.unit.tasks import cancel


class _Clock:
    def __init__(self):
        self.now_ms = 0

    def __call__(self):
        return self.now_ms


class _Rig:
    """A supervisor whose rounds are counted by the test."""

    def __init__(self):
        self.lines = []
        self.fed = 0
        self.hopeless = []
        self.kept = b""
        clock = _Clock()
        self.restarts = Restarts(lambda: self.kept, self._keep, "power_on")
        self.supervisor = Supervisor(
            Log(clock, self.lines.append),
            clock,
            self.restarts,
            self._feed,
            lambda name, why: self.hopeless.append((name, why)),
        )

    def _keep(self, octets):
        self.kept = octets

    def _feed(self):
        self.fed += 1

    def words(self):
        return [line.split()[3] for line in self.lines if "|" not in line]

    def why(self, cause):
        """(why, what) as the next start would read them."""
        found = Restarts(lambda: self.kept, lambda octets: None, cause)
        return found.why, found.what

    async def rounds(self, count):
        """So many rounds, and time for what they set off. (`run` itself adds one at its start.)"""
        for _ in range(count):
            self.supervisor.look()
            await _turns()


async def _turns(count=6):
    for _ in range(count):
        await asyncio.sleep(0)


def _play(scenario, **jobs):
    rig = _Rig()

    async def whole():
        for name in jobs:
            rig.supervisor.add(name, jobs[name])
        task = asyncio.create_task(rig.supervisor.run())
        await _turns()
        try:
            await scenario(rig)
        finally:
            await cancel(task)

    asyncio.run(whole())
    return rig


async def _good(lease):
    while True:
        lease.renew()
        await asyncio.sleep(0)


class LeaseTest(unittest.TestCase):
    def test_a_pause_and_the_end_of_work_are_covered_and_no_more(self):
        lease = Lease()
        self.assertEqual(lease.rounds, 4)
        lease.renew(1001)
        self.assertEqual(lease.rounds, 6)
        asyncio.run(self._sleep(lease))
        self.assertEqual(lease.rounds, 5)

    async def _sleep(self, lease):
        await lease.sleep_ms(5)

    def test_wait_ends_with_the_event_or_its_limit(self):
        lease = Lease()
        rounds = []

        async def scenario():
            event = asyncio.Event()
            late = await lease.wait(event, 5)
            rounds.append(lease.rounds)
            task = asyncio.create_task(lease.wait(event))
            await _turns()
            rounds.append(lease.rounds)
            event.set()
            in_time = await task
            rounds.append(lease.rounds)
            return late, in_time, await lease.wait(event, 5)

        self.assertEqual(asyncio.run(scenario()), (False, True, True))
        self.assertEqual(rounds, [4, None, 4])


class SupervisorTest(unittest.TestCase):
    def test_jobs_run_side_by_side_and_the_watchdog_is_fed_each_round(self):
        seen = []

        async def other(lease):
            seen.append("other")
            await _good(lease)

        async def scenario(rig):
            before = rig.fed
            await rig.rounds(20)
            seen.append(rig.fed - before)

        rig = _play(scenario, good=_good, other=other)
        self.assertEqual(seen, ["other", 20])
        self.assertEqual(rig.lines, [])

    def test_silent_job_is_cut_off_after_four_rounds_and_started_again(self):
        starts = []

        async def hung(lease):
            starts.append(1)
            await asyncio.Event().wait()

        async def scenario(rig):
            await rig.rounds(4)
            starts.append("four rounds over")
            await rig.rounds(1)
            await asyncio.sleep(0.005)
            starts.append(rig.supervisor.silent())

        rig = _play(scenario, good=_good, hung=hung)
        self.assertEqual(starts, [1, "four rounds over", 1, None])
        self.assertEqual(rig.words(), ["ended"])
        self.assertTrue("why=silent" in rig.lines[0] and "job=hung" in rig.lines[0])
        self.assertEqual(rig.hopeless, [])

    def test_a_job_that_said_so_may_be_silent_for_longer_and_is_cut_off_when_that_is_over(self):
        starts = []

        async def hung(lease):
            starts.append(1)
            lease.renew(10000)
            await asyncio.Event().wait()

        async def scenario(rig):
            await rig.rounds(14)
            starts.append("fourteen rounds over")
            await rig.rounds(1)

        rig = _play(scenario, hung=hung)
        self.assertEqual(starts, [1, "fourteen rounds over", 1])
        self.assertEqual(rig.words(), ["ended"])

    def test_a_job_that_waits_for_an_event_owes_nothing_until_it_comes(self):
        seen = []
        event = asyncio.Event()

        async def waits_then_hangs(lease):
            await lease.wait(event)
            seen.append("event")
            await asyncio.Event().wait()

        async def scenario(rig):
            await rig.rounds(1000)
            seen.append(rig.words())
            event.set()
            await _turns()
            await rig.rounds(5)

        rig = _play(scenario, waits_then_hangs=waits_then_hangs)
        self.assertEqual(seen[:2], [[], "event"])
        self.assertEqual(rig.words(), ["ended"])

    def test_job_that_cannot_be_cut_off_starves_the_watchdog_and_the_reason_is_kept(self):
        found = []

        async def stubborn(lease):
            while True:
                try:
                    await asyncio.Event().wait()
                except asyncio.CancelledError:
                    if found:
                        raise

        async def scenario(rig):
            await rig.rounds(4)
            before = rig.fed
            await rig.rounds(10)
            found.append(rig.fed - before)

        rig = _play(scenario, good=_good, stubborn=stubborn)
        self.assertEqual(found, [0])
        self.assertEqual(rig.why("watchdog"), ("silent", "stubborn"))
        self.assertEqual(rig.words(), ["silent"])

    def test_reason_is_withdrawn_when_the_job_reports_after_all(self):
        gate = []

        async def slow(lease):
            while not gate:
                try:
                    await asyncio.sleep(0.001)
                except asyncio.CancelledError:
                    pass
            await _good(lease)

        async def scenario(rig):
            await rig.rounds(8)
            gate.append(1)
            await asyncio.sleep(0.01)
            before = rig.fed
            await rig.rounds(3)
            gate.append(rig.fed - before)

        rig = _play(scenario, slow=slow)
        self.assertEqual(gate[1], 3)
        self.assertEqual(rig.why("watchdog"), ("blocked", ""))

    def test_failed_job_pauses_without_being_late_and_is_reported_with_its_traceback(self):
        async def failing(lease):
            raise ValueError("why")

        async def scenario(rig):
            await rig.rounds(9)
            self.assertEqual(rig.supervisor.silent(), None)

        rig = _play(scenario, failing=failing)
        self.assertEqual(rig.words(), ["failed"])
        self.assertTrue("why" in rig.lines[0] and "job=failing" in rig.lines[0] and len(rig.lines) > 1)
        self.assertEqual(rig.restarts.counts()["job"], 1)

    def test_third_end_in_ten_minutes_is_hopeless(self):
        for apart, hopeless in ((290, True), (305, False)):
            gate = []

            async def falls_silent(lease, gate=gate):
                while not gate:
                    lease.renew()
                    await asyncio.sleep(0)
                gate.pop()
                await asyncio.Event().wait()

            async def scenario(rig, gate=gate, apart=apart):
                for _ in range(3):
                    await rig.rounds(apart)
                    gate.append(1)
                    await rig.rounds(6)

            rig = _play(scenario, job=falls_silent)
            self.assertEqual(rig.hopeless, [("job", "failing")] if hopeless else [])

    def test_memory_error_counts_apart_and_is_the_reason(self):
        async def failing(lease):
            raise MemoryError

        rig = _Rig()
        rig.supervisor.add("job", failing)

        async def whole():
            task = asyncio.create_task(rig.supervisor.run())
            for _ in range(260):
                await asyncio.sleep(0.01)
                if rig.hopeless:
                    break
            await cancel(task)

        asyncio.run(whole())
        self.assertEqual(rig.hopeless, [("job", "memory")])
        self.assertEqual(rig.restarts.counts(), {"power_on": 1, "no_memory": 3})

    def test_a_log_that_fails_does_not_keep_a_job_from_its_restart(self):
        starts = []

        async def failing(lease):
            starts.append(1)
            raise ValueError

        async def scenario(rig):
            for _ in range(500):
                if len(starts) > 1:
                    return
                await asyncio.sleep(0.02)

        rig = _Rig()

        def refuse(line):
            raise MemoryError

        rig.supervisor = Supervisor(Log(_Clock(), refuse), _Clock(), rig.restarts, rig._feed)
        rig.supervisor.add("failing", failing)

        async def whole():
            task = asyncio.create_task(rig.supervisor.run())
            await scenario(rig)
            await cancel(task)

        asyncio.run(whole())
        self.assertEqual(len(starts), 2)

    def test_a_minute_of_health_ends_a_row_of_quick_starts(self):
        quick = []

        async def scenario(rig):
            rig.restarts._note[3] = 4
            await rig.rounds(58)
            quick.append(rig.restarts._note[3])
            await rig.rounds(2)
            quick.append(rig.kept[3])

        _play(scenario, good=_good)
        self.assertEqual(quick, [4, 0])

    def test_stop_cancels_the_jobs_and_lets_them_clean_up(self):
        cleaned = []

        async def job(lease):
            try:
                await asyncio.Event().wait()
            finally:
                cleaned.append(True)

        async def scenario(rig):
            pass

        rig = _play(scenario, job=job)
        self.assertEqual(cleaned, [True])
        self.assertEqual(rig.lines, [])
