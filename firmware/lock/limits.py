"""The guards of this lock and where their counters are kept.

Owns one `guard.Guard` per class of guesses and a cell with the counters of all, a save being one program operation on
flash (security.md 4.3 rule 2). Source of the numbers: security.md 3.5 LIM-2, LIM-4. Counters outlive a reset of the
lock (RST-3).
"""

from firmware.lock.guard import Guard

# (free in a row, first pause in s, budget of a day). Unknown cards and fingers will be (10, 300, 30), each apart.
_LINK = (5, 60, 100)
_PANEL = (5, 300, 30)
_RULES = (_LINK, _LINK, _PANEL)


class Limits:
    """`cell` is a system.cell.Cell of two bytes per guard: failures in a row, and those of 24 hours.

    Counters that were stored and cannot be read any more count as a row of failures: each guard begins with a pause.
    A flash that refuses (it is full, say) does not keep the door shut: `unsaved` counts, and the counters in RAM rule.
    """

    def __init__(self, cell, now_ms=0):
        self._cell = cell
        self.unsaved = 0
        kept = cell.load()
        if kept is None or len(kept) != 2 * len(_RULES):
            lost = kept is not None or cell.is_damaged
            kept = b"".join(bytes((rule[0] if lost else 0, 0)) for rule in _RULES)
        self._kept = bytearray(kept)
        self.user = self._guard(0, now_ms)
        self.admin = self._guard(1, now_ms)
        self.keypad = self._guard(2, now_ms)

    @property
    def is_pausing(self):
        """Right after a start: True when one of the guards begins with a pause."""
        return self.user.is_pausing or self.admin.is_pausing or self.keypad.is_pausing

    def _guard(self, place, now_ms):
        at = 2 * place

        def save(consecutive, spent):
            self._kept[at] = min(consecutive, 255)
            self._kept[at + 1] = min(spent, 255)
            try:
                self._cell.save(bytes(self._kept))
            except OSError:
                self.unsaved += 1

        return Guard(_RULES[place], save, now_ms, self._kept[at], self._kept[at + 1])
