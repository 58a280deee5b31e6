"""The guards of this lock and where their counters are kept.

Owns one `guard.Guard` per class of guesses and an append-only journal, an increment being one append (security.md 4.3
rule 2). Source of the numbers: security.md 3.5 LIM-2, LIM-4. Counters outlive a reset of the lock (RST-3).
"""

from firmware.lock.guard import Guard

USER = 0
ADMIN = 1
KEYPAD = 2

# (free in a row, first pause in s, budget of a day). Unknown cards and fingers will be (10, 300, 30), each apart.
_LINK = (5, 60, 100)
_PANEL = (5, 300, 30)


class Limits:
    """The three guards and where they are kept: an append-only journal, an increment being one append.

    `journal` is a system.journal.Journal of three-byte entries (guard, consecutive, spent).
    """

    def __init__(self, journal, now_ms=0):
        self._journal = journal
        found = {}
        for seq in range(journal.first_seq, journal.next_seq):
            entry = journal.get(seq)
            if entry is not None and len(entry) == 3:
                found[entry[0]] = entry
        self._latest = found
        self.user = self._guard(USER, _LINK, now_ms)
        self.admin = self._guard(ADMIN, _LINK, now_ms)
        self.keypad = self._guard(KEYPAD, _PANEL, now_ms)

    def _guard(self, kind, rule, now_ms):
        entry = self._latest.get(kind, bytes((kind, 0, 0)))

        def save(consecutive, spent):
            self._store(bytes((kind, min(consecutive, 255), min(spent, 255))))

        return Guard(rule, save, now_ms, entry[1], entry[2])

    def _store(self, entry):
        # A segment that leaves the journal must not take the only entry of a quiet guard with it, so all three are
        # written again often enough: together with every 16th entry.
        self._latest[entry[0]] = entry
        seq = self._journal.append(entry)
        if seq % 16 == 0:
            for kind in (USER, ADMIN, KEYPAD):
                if kind != entry[0] and kind in self._latest:
                    self._journal.append(self._latest[kind])
