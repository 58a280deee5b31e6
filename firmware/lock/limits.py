"""The guards of this lock and where their counters are kept.

Owns one `guard.Guard` per class of guesses and a cell with the counters of all, a save being one program operation on
flash (security.md 4.3 rule 2). Source of the numbers: security.md 3.5 LIM-2, LIM-4. Counters outlive a reset of the
lock (RST-3).
"""

from firmware.lib.compat import const
from firmware.lock.guard import Guard

_EKEYS = const(50)  # slots of ekeys

# (free in a row, first pause in s, budget of a day)
_LINK = (5, 60, 100)
_PANEL = (5, 300, 30)
_HELD = (10, 300, 30)  # unknown cards, unknown fingers: each apart
_RULES = (_LINK, _LINK, _PANEL, _HELD, _HELD)


class Limits:
    """`cell` is a system.cell.Cell of two bytes per guard: failures in a row, and those of 24 hours. `ekeys` has the
    guards of persons' ekeys, each apart (LIM-2), in a cell of their own.

    Counters that were stored and cannot be read any more count as a row of failures: each guard begins with a pause.
    A flash that refuses (it is full, say) does not keep the door shut: `unsaved` counts, and the counters in RAM rule.
    """

    def __init__(self, cell, now_ms=0, ekeys=None):
        self._cell = cell
        self.unsaved = 0
        kept = cell.load()
        if kept is not None and len(kept) == 6:  # as kept by firmware that counted no cards and no fingers
            kept += bytes(4)
        if kept is None or len(kept) != 2 * len(_RULES):
            lost = kept is not None or cell.is_damaged
            kept = b"".join(bytes((rule[0] if lost else 0, 0)) for rule in _RULES)
        self._kept = bytearray(kept)
        self.ekeys = EkeyGuards(ekeys, now_ms)
        self.user = self._guard(0, now_ms)
        self.admin = self._guard(1, now_ms)
        self.keypad = self._guard(2, now_ms)
        self.cards = self._guard(3, now_ms)
        self.fingers = self._guard(4, now_ms)

    @property
    def is_pausing(self):
        """Right after a start: True when one of the guards begins with a pause."""
        guards = self.user, self.admin, self.keypad, self.cards, self.fingers
        return any(guard.is_pausing for guard in guards)

    def forgive(self):
        """A credential opened over the link: what was counted at the door in a row ends (LIM-4)."""
        for guard in (self.keypad, self.cards, self.fingers):
            guard.clear()

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


class EkeyGuards:
    """A guard per slot of `credentials.ekeys`, made when first needed: who guesses at one keeps nobody else out."""

    def __init__(self, cell, now_ms):
        self._cell = cell
        self._now_ms = now_ms
        self._kept = None
        self._guards = {}
        self.unsaved = 0

    def _counters(self):
        if self._kept is None:
            kept = self._cell.load()
            if kept is None or len(kept) != 2 * _EKEYS:
                lost = kept is not None or self._cell.is_damaged
                kept = bytes((_LINK[0] if lost else 0, 0)) * _EKEYS
            self._kept = bytearray(kept)
        return self._kept

    def of(self, slot):
        """The guard of a slot."""
        if slot not in self._guards:
            kept = self._counters()
            at = 2 * slot

            def save(consecutive, spent):
                kept[at] = min(consecutive, 255)
                kept[at + 1] = min(spent, 255)
                self._save()

            self._guards[slot] = Guard(_LINK, save, self._now_ms, kept[at], kept[at + 1])
        return self._guards[slot]

    def forget(self, slot):
        """The slot holds another secret from here on: what was guessed before is worth nothing."""
        kept = self._counters()
        self._guards.pop(slot, None)
        if kept[2 * slot] or kept[2 * slot + 1]:
            kept[2 * slot : 2 * slot + 2] = b"\x00\x00"
            self._save()

    def _save(self):
        try:
            self._cell.save(bytes(self._kept))
        except OSError:
            self.unsaved += 1
