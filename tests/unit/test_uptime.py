import unittest

from firmware.system.timing import ticks_add
from firmware.system.uptime import Uptime

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
