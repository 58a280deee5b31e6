"""Counting of wrong answers: who has to wait before the next guess is looked at.

Owns the counters of security.md 3.5 LIM-1, LIM-2 and LIM-4: consecutive failures, the budget of 24 hours, and the
pauses that follow. A counter is durable before the answer is evaluated (LIM-1), so that no power cut refunds an
attempt. Time is monotonic seconds since start, given by the caller; after a restart a pause begins anew, in full.
"""

from firmware.lib.compat import const

USER = 0
ADMIN = 1
KEYPAD = 2

_CAP_S = const(3600)
_DAY_S = const(86400)


class Guard:
    """One class of guesses.

    free: wrong answers in a row without a pause; first_s: the first pause, doubled by each further failure up to an
    hour; budget: wrong answers in 24 hours, after which one is looked at per hour. `save(consecutive, spent)` must be
    durable when it returns; it raises nothing we could continue after.
    """

    def __init__(self, free, first_s, budget, save, now_s=0, consecutive=0, spent=0):
        self._free = free
        self._first_s = first_s
        self._budget = budget
        self._save = save
        self._consecutive = consecutive
        self._recent_s = [now_s] * min(spent, budget)  # when each failure of the last 24 h was, oldest first
        self._failed_s = now_s
        self._before_s = now_s

    @property
    def consecutive(self):
        """Wrong answers in a row."""
        return self._consecutive

    def _pause_s(self):
        over = self._consecutive - self._free
        pause_s = 0
        if over >= 0:
            pause_s = self._first_s << min(over, 10)
        if len(self._recent_s) >= self._budget:
            pause_s = _CAP_S
        return min(pause_s, _CAP_S)

    def _decay(self, now_s):
        while self._recent_s and now_s - self._recent_s[0] >= _DAY_S:
            self._recent_s.pop(0)
        while self._consecutive and now_s - self._failed_s >= _DAY_S:  # a step per day without a failure
            self._consecutive -= 1
            self._failed_s += _DAY_S

    def wait_s(self, now_s):
        """Seconds until the next answer is looked at, 0 = now."""
        self._decay(now_s)
        return max(0, self._failed_s + self._pause_s() - now_s)

    def begin(self, now_s):
        """Count an attempt, durably, before it is evaluated. False: in a pause, do not evaluate it."""
        if self.wait_s(now_s):
            return False
        self._consecutive += 1
        self._recent_s.append(now_s)
        if len(self._recent_s) > self._budget:
            self._recent_s.pop(0)
        self._before_s = self._failed_s
        self._failed_s = now_s
        self._save(self._consecutive, len(self._recent_s))
        return True

    def succeed(self):
        """The attempt begun last was right: nobody was guessing."""
        if self._recent_s:
            self._recent_s.pop()
        self.clear()

    def withdraw(self):
        """The attempt begun last was neither right nor a guess (an expired code): as if it had not been made."""
        if self._recent_s:
            self._recent_s.pop()
        self._consecutive -= 1
        self._failed_s = self._before_s
        self._save(self._consecutive, len(self._recent_s))

    def clear(self):
        """End the row of failures and its pause; the budget stays spent (LIM-4)."""
        if self._consecutive or self._recent_s:
            self._consecutive = 0
            self._save(0, len(self._recent_s))

    def is_starting_pause(self):
        """After a failure: True when it is the one that began a lockout (LIM-5: one record each)."""
        return self._pause_s() > 0


class Limits:
    """The three guards and where they are kept: an append-only journal, an increment being one append.

    `journal` is a system.journal.Journal of three-byte entries (guard, consecutive, spent).
    """

    def __init__(self, journal, now_s=0):
        self._journal = journal
        found = {}
        for seq in range(journal.first_seq, journal.next_seq):
            entry = journal.get(seq)
            if entry is not None and len(entry) == 3:
                found[entry[0]] = entry
        self._latest = found
        self.user = self._guard(USER, 5, 60, 100, now_s)
        self.admin = self._guard(ADMIN, 5, 60, 100, now_s)
        self.keypad = self._guard(KEYPAD, 5, 300, 30, now_s)

    def _guard(self, kind, free, first_s, budget, now_s):
        entry = self._latest.get(kind, bytes((kind, 0, 0)))

        def save(consecutive, spent):
            self._store(bytes((kind, min(consecutive, 255), min(spent, 255))))

        return Guard(free, first_s, budget, save, now_s, entry[1], entry[2])

    def _store(self, entry):
        # A segment that leaves the journal must not take the only entry of a quiet guard with it, so all three are
        # written again often enough: together with every 16th entry.
        self._latest[entry[0]] = entry
        seq = self._journal.append(entry)
        if seq % 16 == 0:
            for kind in (USER, ADMIN, KEYPAD):
                if kind != entry[0] and kind in self._latest:
                    self._journal.append(self._latest[kind])
