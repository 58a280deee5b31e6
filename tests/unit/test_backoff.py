import unittest

from firmware.lib.backoff import jittered_ms, next_pause


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
