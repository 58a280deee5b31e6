"""Wrong answers: who has to wait before the next guess is looked at, and where the counters are kept.

Owns the arithmetic of security.md LIM-1, LIM-2 and LIM-4 (failures in a row, the budget of 24 hours, the pauses that
follow), one `Guard` for each class of guesses, and the cells with the counters, a save being one program operation on
flash (security.md 4.3 rule 2). A counter is durable before the answer is evaluated, so that no power cut refunds an
attempt. Counters outlive a reset of the lock (security.md RST-3). Time is milliseconds since start, given by the
caller: no setting of the clock changes it.
"""

from firmware.lib import records
from firmware.lib.compat import const
from firmware.lock.stores.bank import Store

_EKEYS = const(50)  # slots of ekeys
_MAX_PAUSE_MS = const(3600000)
_DAY_MS = const(86400000)
_DAY_S = const(86400)
_MAX_ROW = const(255)  # failures in a row: one byte on flash, and far beyond the longest pause

# (wrong answers in a row without a pause, first pause in s, wrong answers in 24 hours)
_LINK = (5, 60, 100)
_PANEL = (5, 300, 30)
_HELD = (10, 300, 30)  # unknown cards, unknown fingers: each apart
_RULES = (_LINK, _LINK, _PANEL, _HELD, _HELD, _LINK, _LINK, _LINK, _LINK)
_OLD_LENGTHS = b"\x06\x0a"  # bytes kept by firmware that counted no cards and no fingers, or no uids apart
_GATEWAYS = const(5)  # places of the two guards of answers under the gateways' uid
_OTHERS = const(7)  # and under all uids that are nobody's


class Guard:
    """One class of guesses, by a rule as above.

    Each failure beyond those in a row doubles the pause, up to an hour; with the budget used up, one guess is looked at
    per hour. `save(consecutive, spent)` must be durable when it returns. After a restart a pause begins anew, in full,
    and what was spent counts as spent just now.
    """

    def __init__(self, rule, save, now_ms=0, consecutive=0, spent=0):
        self._free, self._first_s, self._budget = rule
        self._save = save
        self._consecutive = consecutive
        self._wrong_s = [_ceil_s(now_ms)] * min(spent, self._budget)  # of the last 24 h, oldest first
        self._failed_ms = now_ms  # a pause counts from here
        self._quiet_ms = now_ms  # and the days without a failure from here
        self._before: tuple = ()

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
            pause_ms = min(_MAX_PAUSE_MS, 1000 * self._first_s << min(over, 10))
        return _MAX_PAUSE_MS if len(self._wrong_s) >= self._budget else pause_ms

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
        self._consecutive = min(self._consecutive + 1, _MAX_ROW)
        self._failed_ms = self._quiet_ms = now_ms
        self._save(self._consecutive, len(self._wrong_s))
        return True

    def succeed(self):
        """The attempt begun last was right: the row of failures ends, the budget stays as it was before."""
        self._end_attempt(0)

    def withdraw(self):
        """The attempt begun last was neither right nor a guess (an expired code): as if it had not been made."""
        self._end_attempt(self._before[0])

    def _end_attempt(self, consecutive):
        _, self._failed_ms, self._quiet_ms, dropped_s = self._before
        self._wrong_s.pop()
        if dropped_s is not None:  # without this, each success would buy a guess beyond the budget
            self._wrong_s.insert(0, dropped_s)
        self._consecutive = consecutive
        self._save(consecutive, len(self._wrong_s))

    def clear(self):
        """End the row of failures and its pause; the budget stays spent (security.md LIM-4)."""
        if self._consecutive:
            self._consecutive = 0
            self._save(0, len(self._wrong_s))

    @property
    def is_pausing(self):
        """Right after a failure or a restart: True when a pause begins with it (security.md LIM-5: one record each)."""
        return self._pause_ms() > 0


def _ceil_s(now_ms):
    return (now_ms + 999) // 1000  # whole seconds are small numbers also after 12 days; up, so that none ends early


class Counters:
    """The guards whose counters stand in one cell, two bytes each: failures in a row, and those of 24 hours. A guard is
    made when first needed. `rules` are those of the first guards; each further one has the last of them.

    Counters that were stored and cannot be read any more count as a row of failures: each guard begins with a pause.
    A flash that refuses (it is full, say) does not keep the door shut: `unsaved` counts, and the counters in RAM rule.
    """

    def __init__(self, cell, rules, number, now_ms):
        self._cell = cell
        self._rules = rules
        self._number = number
        self._now_ms = now_ms
        self._kept = bytearray()  # not read yet
        self._guards = {}
        self.unsaved = 0

    def _counters(self):
        if not self._kept:
            kept = self._cell.load()
            if kept is not None and len(kept) in _OLD_LENGTHS and self._number == len(_RULES):
                kept += bytes(2 * self._number - len(kept))
            if kept is None or len(kept) != 2 * self._number:
                is_lost = kept is not None or self._cell.is_damaged
                kept = b"".join([bytes((self._rule(place)[0] if is_lost else 0, 0)) for place in range(self._number)])
            self._kept = bytearray(kept)
        return self._kept

    def _rule(self, place):
        return self._rules[min(place, len(self._rules) - 1)]

    def of(self, place):
        """The guard of a place."""
        guard = self._guards.get(place)
        if guard is None:
            kept = self._counters()

            def save(consecutive, spent):
                self._save(place, consecutive, spent)

            guard = Guard(self._rule(place), save, self._now_ms, kept[2 * place], kept[2 * place + 1])
            self._guards[place] = guard
        return guard

    def forget(self, place):
        """The place holds another secret from here on: wrong answers for the old one do not count for it."""
        kept = self._counters()
        self._guards.pop(place, None)
        if kept[2 * place] or kept[2 * place + 1]:
            self._save(place, 0, 0)

    def _save(self, place, consecutive, spent):
        self._kept[2 * place] = min(consecutive, 255)
        self._kept[2 * place + 1] = min(spent, 255)
        try:
            self._cell.save(bytes(self._kept))
        except OSError:
            self.unsaved += 1


class Limits(Store):
    """`cell` and `ekeys_cell` are each a system.store.Cell; persons' ekeys have guards of their own, by slot
    (security.md LIM-2). A reset and a roll-back leave both as they are.
    """

    def __init__(self, cell, now_ms=0, ekeys_cell=None):
        self._counters = Counters(cell, _RULES, len(_RULES), now_ms)
        self.ekeys = Counters(ekeys_cell, (_LINK,), _EKEYS, now_ms)
        self.user = self._counters.of(0)
        self.admin = self._counters.of(1)
        self.keypad = self._counters.of(2)
        self.cards = self._counters.of(3)
        self.fingers = self._counters.of(4)

    def of(self, uid, is_admin):
        """The guard of answers under a uid that is no ekey's: whoever guesses under one class of uids, the default 0,
        the gateways' or any other, shuts out that class only (security.md LIM-2).
        """
        place = _OTHERS if uid else 0
        if uid == records.GATEWAY_UID:
            place = _GATEWAYS
        return self._counters.of(place + int(is_admin))

    @property
    def unsaved(self):
        """Counters that the flash refused."""
        return self._counters.unsaved

    @property
    def is_pausing(self):
        """Right after a start: True when one of the guards begins with a pause."""
        guards = self.user, self.admin, self.keypad, self.cards, self.fingers
        return any([guard.is_pausing for guard in guards])

    def forgive(self):
        """A credential opened over the link: what was counted at the door in a row ends (security.md LIM-4)."""
        for guard in (self.keypad, self.cards, self.fingers):
            guard.clear()
