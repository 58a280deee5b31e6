"""Links that sent only rubbish, and slowing down for them. Owns the count; the advertisement is the composition root's.

Source: security.md LIM-3: five such links within a minute, then a slow advertisement for 60 s; never none at all.
"""

from firmware.lib.compat import const

_WINDOW_MS = const(60000)
_SLOW_MS = const(60000)
_LINKS = const(5)


class Throttle:
    """Times are milliseconds that do not wrap."""

    def __init__(self):
        self._ended_ms = []
        self._slow_until_ms = 0

    def bad_link(self, now_ms):
        """A link ended on which frames came that got no answer."""
        self._ended_ms.append(now_ms)
        if len(self._ended_ms) > _LINKS:
            self._ended_ms.pop(0)
        if len(self._ended_ms) == _LINKS and now_ms - self._ended_ms[0] < _WINDOW_MS:
            self._slow_until_ms = now_ms + _SLOW_MS

    def is_slow(self, now_ms):
        """True while the lock shall advertise at its long interval."""
        return now_ms < self._slow_until_ms
