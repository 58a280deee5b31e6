"""How many requests are taken in a span of time (security.md CMD-7). Owns the counting; the owner
chooses the limits.

A leaky bucket per limit instead of a list of times: one number each, however high the owner sets the limit.
"""


class Rate:
    """At most `count` in `span_s` seconds, and never more than that in a row."""

    def __init__(self, count, span_s):
        self._count = count
        self._span_s = span_s
        self._left = count * span_s  # in parts of a request, so that whole numbers do
        self._at_s = None

    def _refill(self, now_s):
        if self._at_s is not None:
            self._left = min(self._count * self._span_s, self._left + (now_s - self._at_s) * self._count)
        self._at_s = now_s

    def allows(self, now_s):
        """True if one more would be taken at `now_s` (seconds of a clock that only rises)."""
        self._refill(now_s)
        return self._left >= self._span_s

    def take(self):
        """Count one request; after `allows`."""
        self._left -= self._span_s


class Rates:
    """The limits of one gateway: unlock per lock, everything else together, and what means nothing apart from both."""

    def __init__(self, unlock_per_min, unlock_per_h, other_per_min):
        self._unlock_per_min = unlock_per_min
        self._unlock_per_h = unlock_per_h
        self._unlocks = {}
        self._other = Rate(other_per_min, 60)
        self._unmeant = Rate(other_per_min, 60)

    def take(self, op, lock_id, now_s):
        """Count a request for operation `op`; None is one that does not exist, or on a lock that we do not serve.
        False when over the limit."""
        if op is None:
            limits = (self._unmeant,)
        elif op not in ("unlock", "emergency_unlock"):
            limits = (self._other,)
        else:
            if lock_id not in self._unlocks:
                self._unlocks[lock_id] = (Rate(self._unlock_per_min, 60), Rate(self._unlock_per_h, 3600))
            limits = self._unlocks[lock_id]
        for limit in limits:
            if not limit.allows(now_s):
                return False
        for limit in limits:
            limit.take()
        return True

    def forget(self, lock):
        """Drop the counters of a lock that is no longer served."""
        self._unlocks.pop(lock.id, None)
