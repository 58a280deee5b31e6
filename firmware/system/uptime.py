"""Time since start out of ticks that wrap. Owns the sum; asked more often than ticks wrap (every six days), it never
goes back and never jumps."""

from firmware.system.timing import ticks_diff, ticks_ms


class Uptime:
    """`ticks` is a millisecond counter like `ticks_ms`, `diff` belongs to it like `ticks_diff`."""

    def __init__(self, ticks=ticks_ms, diff=ticks_diff):
        self._ticks = ticks
        self._diff = diff
        self._last = ticks()
        self._ms = 0

    def now_ms(self):
        """Milliseconds, only ever rising."""
        now = self._ticks()
        self._ms += self._diff(now, self._last)
        self._last = now
        return self._ms

    def seconds(self):
        """Whole seconds, only ever rising."""
        return self.now_ms() // 1000
