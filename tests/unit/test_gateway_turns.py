"""Which job gives way to which, when, and what becomes of it; how locks share the radio."""

import asyncio
import unittest

from firmware.gateway.scheduler import CLOCK, COMMAND, RECORDS, URGENT
from firmware.lib.errors import GaveWay
from firmware.system.supervisor import Lease
from firmware.system.timing import sleep_ms, ticks_ms
from tests.unit.gateway_rig import run, stop
from tests.unit.test_gateway_scheduler import Bench, Lock, Work

KINDS = (RECORDS, CLOCK, COMMAND)
CONNECTING, WAITING, CHANGING, AT_DOOR = "connecting", "waiting", "changing", "at the door"


class Patient(Work):
    """Nobody waits for it."""

    is_patient = True


class Held(Work):
    """A job that hangs in its first run, at a moment of which it tells, until `go`."""

    def __init__(self, bench, lock, priority, moment):
        super().__init__(bench, lock, "held", priority)
        self.moment = moment
        self.is_there = False
        self.go = asyncio.Event()
        self.runs = 0

    async def connect(self, gives_way):
        self.is_there = True
        await self.go.wait()

    async def run(self, session):
        self.runs += 1
        if self.runs == 1:
            self.is_there = True
            self.is_changing = self.moment == CHANGING
            self.is_at_door = self.moment == AT_DOOR
            if self.is_changing:
                self.was_sent = True
            await self.go.wait()
            self.is_changing = False
            if session.must_leave():  # as `Session.ask` before each question
                raise GaveWay("more urgent work")
        await super().run(session)


class Endless(Work):
    """Each leaves another of its lock behind, and takes a second."""

    async def run(self, session):
        await super().run(session)
        self._bench.submit(self.lock, self._name, self.priority)
        self._bench.scheduler.began_ms -= 1000


def play(bench, story):
    """Run a story beside the scheduler, which looks after what waits."""

    async def watched():
        watch = asyncio.create_task(bench.scheduler.watch(Lease()))
        await story()
        await stop(watch)

    bench.play(watched)


class LeavingTest(unittest.TestCase):
    """`held` runs on the front lock; then somebody unlocks."""

    def play(self, moment, priority, is_same_lock=False, urgency=URGENT):
        bench = Bench(linger_ms=60000)
        held = Held(bench, bench.front, priority, moment)
        if moment == CONNECTING:
            bench.faults["front"] = [held.connect]
        states = []

        async def story():
            bench.scheduler.submit(held)
            while not held.is_there:
                await sleep_ms(1)
            bench.submit(bench.front if is_same_lock else bench.back, "unlock", urgency)
            for _ in range(20):
                await sleep_ms(0)
            states.append("unlock" in bench.done)
            held.go.set()
            await bench.until(2)

        play(bench, story)
        return bench, held, states[0]

    def test_whatever_is_not_changing_something_is_left_at_once_for_another_lock(self):
        for priority in KINDS:
            for moment in (CONNECTING, WAITING):
                bench, held, was_at_once = self.play(moment, priority)
                self.assertTrue(was_at_once, (priority, moment))
                self.assertEqual((bench.done, bench.opened), (["unlock", "held"], ["front", "back", "front"]))
                self.assertEqual(held.attempts, 1)  # what was left does not count

    def test_what_was_left_has_its_old_place_among_equals(self):
        bench = Bench()
        held = Held(bench, bench.front, COMMAND, WAITING)

        async def story():
            bench.scheduler.submit(held)
            while not held.is_there:
                await sleep_ms(1)
            bench.submit(Lock("third"), "later", COMMAND)
            bench.submit(bench.back, "unlock")
            await bench.until(3)

        play(bench, story)
        self.assertEqual(bench.done, ["unlock", "held", "later"])

    def test_a_change_is_left_when_it_has_been_answered(self):
        for priority in KINDS:
            bench, held, was_at_once = self.play(CHANGING, priority)
            self.assertFalse(was_at_once)
            self.assertEqual((bench.done, held.runs), (["unlock", "held"], 2))

    def test_on_its_own_lock_the_link_is_kept_for_the_unlock(self):
        for priority in KINDS:
            for moment in (WAITING, CHANGING):
                bench, held, was_at_once = self.play(moment, priority, is_same_lock=True)
                self.assertFalse(was_at_once)
                self.assertEqual((bench.done, bench.opened), (["unlock", "held"], ["front"]))

    def test_who_waits_at_the_door_is_told_instead_of_being_begun_anew(self):
        for is_same_lock in (False, True):
            bench, held, was_at_once = self.play(AT_DOOR, COMMAND, is_same_lock)
            self.assertEqual(bench.done, [("held", "outcome_unknown"), "unlock"])
            self.assertEqual(held.runs, 1)

    def test_what_is_as_urgent_waits(self):
        for urgency in (URGENT, COMMAND, RECORDS):
            bench, held, was_at_once = self.play(WAITING, urgency, urgency=urgency)
            self.assertEqual((bench.done, held.runs), (["held", "unlock"], 1))

    def test_a_command_goes_before_the_background_only(self):
        for priority in (RECORDS, CLOCK):
            self.assertTrue(self.play(WAITING, priority, urgency=COMMAND)[2])

    def test_a_lock_that_is_not_heard_takes_the_radio_from_nobody(self):
        bench = Bench()
        held = Held(bench, bench.front, RECORDS, WAITING)
        bench.back.is_fresh = False

        async def story():
            bench.scheduler.submit(held)
            while not held.is_there:
                await sleep_ms(1)
            bench.submit(bench.back, "unlock")
            for _ in range(20):
                await asyncio.sleep(0)
            self.assertEqual(bench.done, [])
            bench.back.is_fresh = True
            bench.scheduler.heard(bench.back)
            await bench.until(2)

        play(bench, story)
        self.assertEqual(bench.done, ["unlock", "held"])

    def test_a_stop_ends_the_job_that_is_being_done_and_is_no_turn(self):
        bench = Bench()
        held = Held(bench, bench.front, COMMAND, WAITING)

        async def story():
            task = asyncio.create_task(bench.scheduler.run(Lease()))
            bench.scheduler.submit(held)
            while not held.is_there:
                await sleep_ms(1)
            await stop(task)

        run(story())
        self.assertEqual((bench.done, held.runs), ([("held", "expired")], 1))
        self.assertEqual(bench.scheduler.current, None)


class SharingTest(unittest.TestCase):
    def test_a_lock_with_endless_jobs_does_not_starve_another(self):
        for priority, other in ((COMMAND, COMMAND), (COMMAND, RECORDS), (RECORDS, RECORDS), (RECORDS, CLOCK)):
            bench = Bench()

            async def story(bench=bench, priority=priority, other=other):
                scheduler = bench.scheduler
                scheduler.submit(Endless(bench, bench.front, "front", priority))
                work = Work(bench, bench.back, "back", other)
                work.patience_ms = 1 << 29  # it has waited for long
                scheduler.submit(work)
                while "back" not in bench.done and len(bench.done) < 60:
                    bench.submit(bench.front, "front", priority)
                    scheduler.wake()
                    await sleep_ms(1)

            play(bench, story)
            self.assertTrue("back" in bench.done, (priority, other))
            self.assertTrue(bench.done.index("back") <= 12, bench.done)

    def test_one_lock_that_answers_is_served_among_many_that_do_not(self):
        bench = Bench()
        before = []
        locks = [Lock("far %d" % number) for number in range(12)]

        async def far(gives_way):
            await sleep_ms(30)
            raise GaveWay("not reached")

        async def story():
            for lock in locks:
                bench.faults[lock.address] = [far] * 100
                bench.submit(lock, lock.address, COMMAND)
            while len(bench.opened) < 12:
                await sleep_ms(1)
            bench.submit(bench.back, "near", COMMAND)
            before.append(len(bench.opened))
            await bench.until(1)

        play(bench, story)
        self.assertEqual(bench.done[0], "near")
        self.assertTrue(bench.opened.index("back") <= before[0] + 1, bench.opened)  # before those that were tried

    def test_jobs_of_one_lock_stay_together_while_its_share_lasts(self):
        bench = Bench(linger_ms=60000)

        async def story():
            for name in ("a", "b", "c"):
                bench.scheduler.submit(Patient(bench, bench.front, name, COMMAND))
                bench.scheduler.submit(Patient(bench, bench.back, name.upper(), COMMAND))
            await bench.until(6)

        play(bench, story)
        self.assertEqual((bench.done, bench.opened), (["a", "b", "c", "A", "B", "C"], ["front", "back"]))

    def test_what_an_unlock_left_to_read_is_read_over_its_link_before_another_locks_durable_job(self):
        bench = Bench(linger_ms=60000)

        async def story():
            bench.submit(bench.front, "unlock")
            bench.scheduler.submit(Patient(bench, bench.front, "its record", RECORDS))
            bench.scheduler.submit(Patient(bench, bench.back, "durable", COMMAND))
            await bench.until(3)

        play(bench, story)
        self.assertEqual((bench.done, bench.opened), (["unlock", "its record", "durable"], ["front", "back"]))

    def test_a_long_reading_ends_for_a_durable_job_when_its_share_is_over_or_at_once_on_its_link(self):
        for is_same_lock in (True, False):
            bench = Bench(linger_ms=60000)
            scheduler = bench.scheduler
            asked = []

            class Reading(Patient):
                async def run(self, session, scheduler=scheduler, asked=asked):
                    while not scheduler.is_wanted(RECORDS):
                        asked.append(1)
                        scheduler.began_ms -= 500
                        await sleep_ms(1)
                    await super().run(session)

            async def story(bench=bench, scheduler=scheduler, asked=asked, Reading=Reading, same=is_same_lock):
                scheduler.submit(Reading(bench, bench.front, "reading", RECORDS))
                while not asked:
                    await sleep_ms(1)
                scheduler.began_ms = ticks_ms()
                del asked[1:]
                scheduler.submit(Patient(bench, bench.front if same else bench.back, "durable", COMMAND))
                await bench.until(2)

            play(bench, story)
            self.assertEqual(bench.done, ["reading", "durable"])
            self.assertTrue(len(asked) <= 2 if is_same_lock else 3 <= len(asked) <= 12, asked)

    def test_what_somebody_waits_for_is_done_in_the_order_in_which_it_came(self):
        for priority in (URGENT, COMMAND):
            bench = Bench(linger_ms=60000)

            async def story(bench=bench, priority=priority):
                for name in ("a", "b"):
                    bench.submit(bench.front, name, priority)
                    bench.submit(bench.back, name.upper(), priority)
                await bench.until(4)

            play(bench, story)
            self.assertEqual(bench.done, ["a", "A", "b", "B"])

    def test_background_of_one_lock_goes_over_one_link(self):
        bench = Bench(linger_ms=60000)

        async def story():
            for priority in (RECORDS, CLOCK):
                for lock in (bench.front, bench.back):
                    bench.scheduler.submit(Patient(bench, lock, "%s %d" % (lock.address, priority), priority))
            await bench.until(4)

        play(bench, story)
        self.assertEqual(bench.opened, ["front", "back"])
        self.assertEqual(bench.done, ["front 2", "front 3", "back 2", "back 3"])


if __name__ == "__main__":
    unittest.main()
