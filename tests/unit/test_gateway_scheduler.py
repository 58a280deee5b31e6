"""Order, turns and the kept link. Locks are reached through an opener of the test's."""

import asyncio
import unittest

from firmware.ble.central import GaveWay
from firmware.gateway.scheduler import COMMAND, RECORDS, URGENT, Job, Scheduler
from firmware.lib.errors import LinkError
from firmware.system.supervisor import Lease
from firmware.system.timing import sleep_ms, ticks_add, ticks_diff, ticks_ms
from tests.unit.gateway_rig import quiet_log, run, stop


class Near:
    """A registry to which every lock is near."""

    def is_near(self, lock):
        return True

    def is_fresh(self, lock):
        return lock.is_fresh


class Lock:
    is_fresh = True

    def __init__(self, name):
        self.address = name


class KeptLink:
    """What the scheduler uses of a link that is kept."""

    def __init__(self):
        self.is_over = False
        self._woken = asyncio.Event()

    async def listen(self, timeout_ms):
        self._woken.clear()
        try:
            await asyncio.wait_for(self._woken.wait(), timeout_ms / 1000)
        except asyncio.TimeoutError:
            pass

    def interrupt(self):
        self._woken.set()


class Session:
    def __init__(self, lock):
        self.lock = lock
        self.link = KeptLink()

    def begin(self, job):
        pass


class Opening:
    """`faults` are raised one after the other in place of a session; a callable is awaited with `gives_way`."""

    def __init__(self, bench, lock, gives_way):
        self._bench = bench
        self._lock = lock
        self._gives_way = gives_way

    async def __aenter__(self):
        bench = self._bench
        bench.opened.append(self._lock.address)
        faults = bench.faults.get(self._lock.address)
        if faults:
            fault = faults.pop(0)
            if isinstance(fault, Exception):
                raise fault
            await fault(self._gives_way)
        return Session(self._lock)

    async def __aexit__(self, kind, err, trace):
        self._bench.closed_ms = ticks_ms()


class Work(Job):
    def __init__(self, bench, lock, name, priority=URGENT, limit_ms=120000):
        super().__init__(lock, ticks_add(ticks_ms(), limit_ms))
        self.priority = priority
        self._bench = bench
        self._name = name

    async def run(self, session):
        self._bench.done.append(self._name)
        self._bench.done_ms = ticks_ms()

    def finish(self, found, err):
        if err is not None:
            self._bench.done.append((self._name, err.code))


class Bench:
    def __init__(self, linger_ms=0, **faults):
        self.faults = faults
        self.opened = []
        self.done = []
        self.lease = Lease()
        self.done_ms = self.closed_ms = 0
        self.front, self.back = Lock("front"), Lock("back")
        self.scheduler = Scheduler(
            lambda lock, until_ms, gives_way: Opening(self, lock, gives_way), Near(), quiet_log(), linger_ms
        )

    def submit(self, lock, name, priority=URGENT):
        self.scheduler.submit(Work(self, lock, name, priority))

    def play(self, story):
        async def whole():
            task = asyncio.create_task(self.scheduler.run(self.lease))
            await story()
            await stop(task)

        run(whole())

    async def until(self, count, limit_ms=60000):
        for _ in range(limit_ms // 5):
            if len(self.done) >= count:
                return
            await sleep_ms(5)


class SchedulerTest(unittest.TestCase):
    def test_a_job_for_the_kept_link_is_begun_at_once(self):
        bench = Bench(linger_ms=60000)
        took = []

        async def story():
            bench.submit(bench.front, "unlock")
            await bench.until(1)
            await sleep_ms(50)
            began_ms = ticks_ms()
            bench.submit(bench.front, "lock")
            await bench.until(2)
            took.append(ticks_diff(bench.done_ms, began_ms))

        bench.play(story)
        self.assertEqual((bench.done, bench.opened), (["unlock", "lock"], ["front"]))
        self.assertTrue(took[0] < 30000)  # not when the linger is over

    def test_the_kept_link_is_given_up_for_another_lock_at_once(self):
        bench = Bench(linger_ms=60000)

        async def story():
            bench.submit(bench.front, "unlock")
            await bench.until(1)
            bench.submit(bench.back, "other")
            await bench.until(2)

        bench.play(story)
        self.assertEqual((bench.done, bench.opened), (["unlock", "other"], ["front", "back"]))

    def test_background_work_does_not_begin_between_two_commands(self):
        bench = Bench(linger_ms=60000)

        async def story():
            bench.submit(bench.front, "unlock")
            await bench.until(1)
            bench.submit(bench.front, "records", RECORDS)
            for _ in range(5):
                await asyncio.sleep(0)
            bench.submit(bench.front, "lock")
            await bench.until(3)

        bench.play(story)
        self.assertEqual((bench.done, bench.opened), (["unlock", "lock", "records"], ["front"]))

    def test_after_background_work_alone_the_link_is_not_kept(self):
        bench = Bench(linger_ms=60000)

        async def story():
            bench.submit(bench.front, "records", RECORDS)
            await bench.until(1)
            for _ in range(6000):
                if bench.closed_ms:
                    return
                await sleep_ms(5)

        bench.play(story)
        self.assertTrue(bench.closed_ms)

    def test_background_work_gives_way_while_it_connects_and_is_taken_up_again(self):
        async def stuck(gives_way):
            while not gives_way():
                await sleep_ms(5)
            raise GaveWay("more urgent work")

        bench = Bench(front=[stuck])

        async def story():
            bench.submit(bench.front, "records", RECORDS)
            await sleep_ms(30)
            bench.submit(bench.back, "unlock")
            await bench.until(2)

        bench.play(story)
        self.assertEqual((bench.done, bench.opened), (["unlock", "records"], ["front", "back", "front"]))

    def test_a_lock_that_is_not_reached_leaves_a_turn_to_the_others_and_keeps_its_own_order(self):
        asked = []

        async def asleep(gives_way):
            began_ms = ticks_ms()
            while not gives_way():
                await sleep_ms(5)
            asked.append(ticks_diff(ticks_ms(), began_ms))
            raise GaveWay("the others' turn")

        bench = Bench(front=[asleep])

        async def story():
            bench.submit(bench.front, "first")
            await sleep_ms(20)
            bench.submit(bench.back, "other")
            bench.submit(bench.front, "second")
            await bench.until(3)

        bench.play(story)
        self.assertEqual(bench.done, ["other", "first", "second"])
        self.assertTrue(asked[0] > 1000)  # it had a share of the time before

    def test_a_job_that_may_have_acted_is_neither_cancelled_nor_displaced(self):
        bench = Bench()
        for lock in (bench.front, bench.back):
            job = Work(bench, lock, "sent", COMMAND)
            job.was_sent = True
            bench.scheduler.submit(job)
        bench.submit(bench.front, "waiting", COMMAND)
        bench.scheduler.cancel(bench.front, LinkError("removed"))
        self.assertEqual(bench.done, [("sent", "outcome_unknown"), ("waiting", "link")])
        for _ in range(16):
            bench.submit(bench.front, "urgent")
        self.assertEqual(bench.done[2:], [("sent", "outcome_unknown")])

    def test_a_job_whose_lock_is_silent_leaves_the_radio_to_others_until_it_is_heard(self):
        bench = Bench()
        bench.front.is_fresh = False

        async def story():
            bench.submit(bench.front, "unlock")
            bench.submit(bench.back, "records", RECORDS)
            await bench.until(1)
            self.assertEqual((bench.done, bench.opened), (["records"], ["back"]))
            self.assertFalse(bench.scheduler.is_wanted(RECORDS))  # nobody gives way to it
            bench.front.is_fresh = True
            bench.scheduler.heard(bench.front)
            await bench.until(2)

        bench.play(story)
        self.assertEqual((bench.done, bench.opened), (["records", "unlock"], ["back", "front"]))

    def test_a_lock_that_falls_silent_between_attempts_waits_without_the_radio(self):
        bench = Bench(front=[LinkError("0x3E")])

        async def fall_silent(gives_way):
            bench.front.is_fresh = False
            raise LinkError("0x3E")

        bench.faults["front"].append(fall_silent)

        async def story():
            bench.submit(bench.front, "unlock")
            while len(bench.opened) < 2:
                await sleep_ms(5)
            bench.submit(bench.back, "other", COMMAND)
            await bench.until(1)
            bench.front.is_fresh = True
            bench.scheduler.heard(bench.front)
            await bench.until(2)

        bench.play(story)
        self.assertEqual((bench.done, bench.opened), (["other", "unlock"], ["front", "front", "back", "front"]))

    def test_a_lock_that_is_never_heard_is_not_near_and_one_that_is_busy_expires(self):
        for is_fresh, code in ((False, "not_near"), (True, "expired")):
            bench = Bench()
            bench.front.is_fresh = is_fresh

            async def story(bench=bench):
                task = asyncio.create_task(bench.scheduler.watch(Lease()))
                bench.scheduler.submit(Work(bench, bench.front, "unlock", limit_ms=50))
                await bench.until(1)
                await stop(task)

            run(story())
            self.assertEqual(bench.done, [("unlock", code)])

    def test_an_attempt_that_failed_is_followed_by_another(self):
        bench = Bench(front=[LinkError("no"), LinkError("no")])

        async def story():
            bench.submit(bench.front, "unlock", COMMAND)
            await bench.until(1)

        bench.play(story)
        self.assertEqual((bench.done, len(bench.opened)), (["unlock"], 3))

    def test_planners_are_asked_at_the_start_when_a_job_ended_and_when_woken(self):
        bench = Bench()
        asked = []

        def plan():
            asked.append(len(bench.done))
            if len(asked) == 1:
                bench.submit(bench.front, "first")

        async def story():
            bench.scheduler.planners.append(plan)
            task = asyncio.create_task(bench.scheduler.watch(Lease()))
            await bench.until(1)
            await sleep_ms(20)
            before = len(asked)
            bench.scheduler.wake()
            await sleep_ms(20)
            asked.append(("woken", len(asked) - before))
            await stop(task)

        bench.play(story)
        self.assertEqual((asked[0], asked[-2:]), (0, [1, ("woken", 1)]))
        self.assertTrue(len(asked) <= 6)  # it waits, and does not look again and again

    def test_a_waiting_job_ends_at_its_deadline_though_the_radio_is_busy(self):
        bench = Bench()
        took = []

        async def busy(gives_way):
            await sleep_ms(60000)

        async def story():
            bench.faults["front"] = [busy]
            bench.submit(bench.front, "first")
            await sleep_ms(10)
            task = asyncio.create_task(bench.scheduler.watch(Lease()))
            await sleep_ms(10)
            began_ms = ticks_ms()
            bench.scheduler.submit(Work(bench, bench.back, "late", limit_ms=100))
            await bench.until(1)
            took.append(ticks_diff(ticks_ms(), began_ms))
            await stop(task)

        bench.play(story)
        self.assertEqual(bench.done[0], ("late", "expired"))
        self.assertTrue(100 <= took[0] < 30000)

    def test_the_lease_ends_soon_after_the_deadline_of_the_job_and_is_none_between_jobs(self):
        bench = Bench()
        rounds = []

        async def hang(gives_way):
            rounds.append(bench.lease.rounds)

        async def story():
            rounds.append(bench.lease.rounds)
            bench.faults["front"] = [hang]
            bench.scheduler.submit(Work(bench, bench.front, "unlock", limit_ms=20000))
            await bench.until(1)
            await sleep_ms(5)
            rounds.append(bench.lease.rounds)

        bench.play(story)
        self.assertEqual(rounds, [4, 4 + 20 + 5, None])


if __name__ == "__main__":
    unittest.main()
