import asyncio
import unittest

from firmware.system.inbox import Inbox


class InboxTest(unittest.TestCase):
    def test_items_come_out_in_order_over_many_turns_of_the_ring(self):
        async def scenario():
            inbox = Inbox(3)
            got = []
            for number in range(10):
                inbox.put(2 * number)
                inbox.put(2 * number + 1)
                got.append(await inbox.get())
                got.append(await inbox.get())
            return got

        self.assertEqual(asyncio.run(scenario()), list(range(20)))

    def test_full_inbox_keeps_the_oldest_and_counts(self):
        async def scenario():
            inbox = Inbox(2)
            return [inbox.put(n) for n in range(4)], inbox.dropped, len(inbox), await inbox.get(), await inbox.get()

        self.assertEqual(asyncio.run(scenario()), ([True, True, False, False], 2, 2, 0, 1))

    def test_get_waits_for_a_put(self):
        async def scenario():
            inbox = Inbox(1)
            task = asyncio.create_task(inbox.get())
            await asyncio.sleep(0)
            inbox.put("late")
            return await task

        self.assertEqual(asyncio.run(scenario()), "late")

    def test_closed_inbox_gives_what_it_holds_and_then_none(self):
        async def scenario():
            inbox = Inbox(4)
            inbox.put(1)
            inbox.close()
            return await inbox.get(), await inbox.get(), await inbox.get()

        self.assertEqual(asyncio.run(scenario()), (1, None, None))

    def test_close_wakes_a_waiting_task(self):
        async def scenario():
            inbox = Inbox(1)
            task = asyncio.create_task(inbox.get())
            await asyncio.sleep(0)
            inbox.close()
            return await task

        self.assertEqual(asyncio.run(scenario()), None)

    def test_clear_and_get_nowait(self):
        async def scenario():
            inbox = Inbox(4)
            inbox.put(1)
            inbox.put(2)
            first = inbox.get_nowait()
            inbox.clear()
            return first, inbox.get_nowait(), len(inbox)

        self.assertEqual(asyncio.run(scenario()), (1, None, 0))

    def test_wait_with_a_limit(self):
        async def scenario():
            inbox = Inbox(4)
            try:
                await inbox.get_within(5)
                return "got something"
            except asyncio.TimeoutError:
                pass
            task = asyncio.create_task(inbox.get_within(5000))
            await asyncio.sleep(0)
            inbox.put(7)
            first = await task
            inbox.close()
            return first, await inbox.get_within(5000)

        self.assertEqual(asyncio.run(scenario()), (7, None))

    def test_nudge_ends_a_wait_and_only_a_wait(self):
        async def scenario():
            inbox = Inbox(4)
            inbox.nudge()  # nobody waits: the next wait is not cut short
            inbox.put(1)
            found = [await inbox.get_within(5000)]
            task = asyncio.create_task(inbox.get_within(60000))
            await asyncio.sleep(0.01)
            inbox.nudge()
            try:
                await task
            except asyncio.TimeoutError:
                found.append("woken")
            task = asyncio.create_task(inbox.get_within(60000))
            await asyncio.sleep(0.01)
            inbox.put(2)
            inbox.nudge()  # what has come is not lost
            found.append(await task)
            return found

        self.assertEqual(asyncio.run(scenario()), [1, "woken", 2])

    def test_what_comes_as_the_time_runs_out_is_not_lost(self):
        async def scenario():
            inbox = Inbox(64)
            got = []

            async def produce():
                for n in range(40):
                    await asyncio.sleep(0.002)
                    inbox.put(n)

            task = asyncio.create_task(produce())
            for _ in range(1000):
                try:
                    got.append(await inbox.get_within(2))
                except asyncio.TimeoutError:
                    if len(got) == 40:
                        break
            await task
            return got

        self.assertEqual(asyncio.run(scenario()), list(range(40)))
