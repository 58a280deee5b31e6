"""Counting of wrong answers of one class: who has to wait before the next guess is looked at.

Owns the arithmetic of security.md 3.5 LIM-1, LIM-2 and LIM-4: failures in a row, the budget of 24 hours, the pauses
that follow. Keeps nothing on flash: `limits` does. A counter is durable before the answer is evaluated, so that no
power cut refunds an attempt. Time is milliseconds since start, given by the caller: no setting of the clock touches it.
"""

from firmware.lib.compat import const

_CAP_MS = const(3600000)
_DAY_MS = const(86400000)
_DAY_S = const(86400)
_MOST = const(255)  # of failures in a row: one byte on flash, and far beyond the longest pause


class Guard:
    """One class of guesses.

    `rule` is (wrong answers in a row without a pause, seconds of the first pause, wrong answers in 24 hours). Each
    further failure doubles the pause up to an hour; with the budget used up, one is looked at per hour.
    `save(consecutive, spent)` must be durable when it returns. After a restart a pause begins anew, in full, and what
    was spent counts as spent just now.
    """

    def __init__(self, rule, save, now_ms=0, consecutive=0, spent=0):
        self._free, self._first_s, self._budget = rule
        self._save = save
        self._consecutive = consecutive
        self._wrong_s = [_ceil_s(now_ms)] * min(spent, self._budget)  # of the last 24 h, oldest first
        self._failed_ms = now_ms  # a pause counts from here
        self._quiet_ms = now_ms  # and the days without a failure from here
        self._before = None

    def tighten(self, free, first_s):
        """Another number of failures in a row and first pause, from now on."""
        self._free = free
        self._first_s = first_s

    @property
    def consecutive(self):
        """Wrong answers in a row."""
        return self._consecutive

    @property
    def spent(self):
        """Wrong answers of the last 24 hours, at most the budget."""
        return len(self._wrong_s)

    def _pause_ms(self):
        over = self._consecutive - self._free
        pause_ms = 0
        if over >= 0:
            pause_ms = min(_CAP_MS, 1000 * self._first_s << min(over, 10))
        return _CAP_MS if len(self._wrong_s) >= self._budget else pause_ms

    def _decay(self, now_ms):
        while self._wrong_s and now_ms // 1000 - self._wrong_s[0] >= _DAY_S:
            self._wrong_s.pop(0)
        while self._consecutive and now_ms - self._quiet_ms >= _DAY_MS:  # a step per day without a failure
            self._consecutive -= 1
            self._quiet_ms += _DAY_MS

    def wait_ms(self, now_ms):
        """Time until the next answer is looked at, 0 = now."""
        self._decay(now_ms)
        return max(0, self._failed_ms + self._pause_ms() - now_ms)

    def begin(self, now_ms):
        """Count an attempt, durably, before it is evaluated. False: in a pause, do not evaluate it."""
        if self.wait_ms(now_ms):
            return False
        dropped_s = None
        if len(self._wrong_s) >= self._budget:
            dropped_s = self._wrong_s.pop(0)
        self._before = (self._consecutive, self._failed_ms, self._quiet_ms, dropped_s)
        self._wrong_s.append(_ceil_s(now_ms))
        self._consecutive = min(self._consecutive + 1, _MOST)
        self._failed_ms = self._quiet_ms = now_ms
        self._keep()
        return True

    def succeed(self):
        """The attempt begun last was right: the row of failures ends, the budget stays as it was before."""
        self._take_back()
        self._consecutive = 0
        self._keep()

    def withdraw(self):
        """The attempt begun last was neither right nor a guess (an expired code): as if it had not been made."""
        self._take_back()
        self._keep()

    def _take_back(self):
        self._consecutive, self._failed_ms, self._quiet_ms, dropped_s = self._before
        self._wrong_s.pop()
        if dropped_s is not None:  # else every success would buy a guess beyond the budget
            self._wrong_s.insert(0, dropped_s)

    def clear(self):
        """End the row of failures and its pause; the budget stays spent (LIM-4)."""
        if self._consecutive:
            self._consecutive = 0
            self._keep()

    def _keep(self):
        self._save(self._consecutive, len(self._wrong_s))

    @property
    def is_pausing(self):
        """Right after a failure or a restart: True when a pause begins with it (LIM-5: one record each)."""
        return self._pause_ms() > 0


def _ceil_s(now_ms):
    return (now_ms + 999) // 1000  # whole seconds are small numbers also after 12 days; up, so that none ends early
