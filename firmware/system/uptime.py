"""Time since start out of ticks that wrap. Owns the sum; asked more often than ticks wrap (every six days), it never
goes back and never jumps."""

from firmware.system.timing import ticks_diff, ticks_ms


class Uptime:
    """`ticks` is a millisecond counter like `ticks_ms`."""

    def __init__(self, ticks=ticks_ms):
        self._ticks = ticks
        self._last = ticks()
        self._ms = 0

    def now_ms(self):
        """Milliseconds, only ever rising."""
        now = self._ticks()
        self._ms += ticks_diff(now, self._last)
        self._last = now
        return self._ms

    def seconds(self):
        """Whole seconds, only ever rising."""
        return self.now_ms() // 1000
