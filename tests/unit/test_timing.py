import asyncio
import unittest

from firmware.system.timing import Turn, Uptime, jittered_ms, next_pause, ticks_add


class TurnTest(unittest.TestCase):
    def test_one_holder_at_a_time(self):
        async def scenario():
            turn = Turn()
            order = []

            async def work(name):
                await turn.acquire(1000)
                order.append(name + " in")
                await asyncio.sleep(0)
                order.append(name + " out")
                turn.release()

            tasks = [asyncio.create_task(work(name)) for name in ("a", "b", "c")]
            for task in tasks:
                await task
            return order, turn.is_taken()

        order, is_taken = asyncio.run(scenario())
        self.assertEqual(order, ["a in", "a out", "b in", "b out", "c in", "c out"])
        self.assertFalse(is_taken)

    def test_waiting_ends_at_the_deadline(self):
        async def scenario():
            turn = Turn()
            await turn.acquire(1000)
            try:
                await turn.acquire(10)
            except asyncio.TimeoutError:
                return True

        self.assertTrue(asyncio.run(scenario()))

    def test_caller_cancelled_at_any_moment_keeps_nothing(self):
        async def scenario(turns):
            turn = Turn()

            async def work():
                await turn.acquire(1000)
                try:
                    await asyncio.sleep(10)
                finally:
                    turn.release()

            first = asyncio.create_task(work())
            second = asyncio.create_task(work())
            for _ in range(turns):
                await asyncio.sleep(0)
            for task in (second, first):
                task.cancel()
                try:
                    await task
                except asyncio.CancelledError:
                    pass
            return turn.is_taken()

        for turns in range(6):
            self.assertFalse(asyncio.run(scenario(turns)))


_PERIOD = ticks_add(0, -1) + 1  # of ticks_ms, 2^30 on a board; 0 where they do not wrap


class UptimeTest(unittest.TestCase):
    def test_it_never_goes_back_and_loses_nothing_over_many_wraps(self):
        at = [_PERIOD - 5000 if _PERIOD else 0]
        uptime = Uptime(lambda: at[0])
        total = 0
        for step_ms in (0, 1, 4998, 1, 1, 2 << 27, 1 << 28, (1 << 29) - 1, 86400000) * 20:
            at[0] = ticks_add(at[0], step_ms)
            total += step_ms
            self.assertEqual((uptime.now_ms(), uptime.seconds()), (total, total // 1000))


class Backoff(unittest.TestCase):
    def test_doubles_up_to_the_limit(self):
        pauses = []
        pause_s = 0
        for _ in range(8):
            pause_s = next_pause(pause_s, ran_ms=10)
            pauses.append(pause_s)
        self.assertEqual(pauses, [1, 2, 4, 8, 16, 32, 60, 60])

    def test_is_short_again_after_a_healthy_run(self):
        self.assertEqual(next_pause(60, ran_ms=60001), 1)
        self.assertEqual(next_pause(60, ran_ms=60000), 60)
        self.assertEqual(next_pause(8, ran_ms=5001, low=2, high=5), 2)

    def test_jitter_spans_a_quarter_to_each_side(self):
        self.assertEqual((jittered_ms(4, 0), jittered_ms(4, 255)), (3000, 5000))
