"""The last failures of each lock, for the diagnosis. Owns a few lines of RAM: codes and times, never a text."""

from firmware.lib.compat import const

_KEPT = const(8)  # of each lock
_LOCKS = const(32)


class Failures:
    """`now_text()` is the time as ISO 8601, or None while the clock is not trusted."""

    def __init__(self, now_text):
        self._now_text = now_text
        self._of = {}

    def record(self, lock_id, op, code):
        """A request about a lock has ended with this code; `ok` is not kept."""
        if code == "ok" or lock_id is None:
            return
        kept = self._of.get(lock_id)
        if kept is None:
            if len(self._of) >= _LOCKS:
                return
            kept = self._of[lock_id] = []
        if len(kept) >= _KEPT:
            kept.pop(0)
        kept.append((self._now_text(), op, code))

    def of(self, lock_id):
        """[{"ts","op","code"}], the oldest first."""
        return [{"ts": ts, "op": op, "code": code} for ts, op, code in self._of.get(lock_id, ())]

    def forget(self, lock_id):
        """The lock is no longer served."""
        self._of.pop(lock_id, None)
