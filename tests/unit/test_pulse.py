import asyncio
import unittest

from firmware.system.pulse import attend, rest_ms, wait_set


class PulseTest(unittest.TestCase):
    def setUp(self):
        self.reports = 0

    def alive(self):
        self.reports += 1

    def test_rest_reports_and_ends(self):
        asyncio.run(rest_ms(5, self.alive))
        self.assertEqual(self.reports, 2)

    def test_wait_ends_with_the_event_or_its_limit(self):
        async def scenario():
            event = asyncio.Event()
            late = await wait_set(event, self.alive, 5)
            event.set()
            return late, await wait_set(event, self.alive, 5)

        self.assertEqual(asyncio.run(scenario()), (False, True))
        self.assertTrue(self.reports >= 2)

    def test_result_and_exception_of_an_errand_are_passed_on(self):
        async def good():
            await asyncio.sleep(0.001)
            return 7

        async def bad():
            raise ValueError("why")

        async def scenario():
            found = await attend(good(), self.alive, 1000)
            try:
                await attend(bad(), self.alive, None)
            except ValueError as err:
                return found, str(err)
            return None

        self.assertEqual(asyncio.run(scenario()), (7, "why"))

    def test_errand_beyond_its_limit_is_cancelled(self):
        ended = []

        async def hung():
            try:
                await asyncio.Event().wait()
            finally:
                ended.append("cleaned")

        async def scenario():
            try:
                await attend(hung(), self.alive, 5)
            except asyncio.TimeoutError:
                ended.append("late")

        asyncio.run(scenario())
        self.assertEqual(ended, ["cleaned", "late"])

    def test_cancelling_who_waits_cancels_the_errand(self):
        ended = []

        async def hung():
            try:
                await asyncio.Event().wait()
            finally:
                ended.append("cleaned")

        async def scenario():
            task = asyncio.create_task(attend(hung(), self.alive, None))
            await asyncio.sleep(0.002)
            task.cancel()
            try:
                await task
            except asyncio.CancelledError:
                ended.append("cancelled")

        asyncio.run(scenario())
        self.assertEqual(ended, ["cleaned", "cancelled"])
