"""The gateway's own condition: what its light shows (domain.md 6.1), counts and times of what it does, the last
failures of each lock. Owns the light's patterns, the numbers, and a few lines of RAM with codes and times, never a
text; the lamps are the board's, the names are those of `reports`.
"""

from firmware.lib import reports
from firmware.lib.compat import const, row
from firmware.lib.errors import ProtocolError

_KEPT = const(32)  # durations per operation
_OPS = const(16)
_FAILURES = const(8)  # of each lock
_LOCKS = const(32)

STEP_MS = 125

# Red, blue or dark in each step of an eighth of a second
_PATTERNS = """
unprovisioned rrrrbbbb
provisioning rrbb
closed r---------------
joining rr--
no_broker bb--
online b
busy b-
fault r
"""


def time_text(clock, ago_s=0):
    """The time of `clock`, so many seconds ago, as text, or None while it is not trusted."""
    if not clock.trusted:
        return None
    try:
        return reports.iso(clock.now() - ago_s)
    except ProtocolError:
        return None


class Failures:
    """What went wrong last, lock by lock, for the diagnosis."""

    def __init__(self, clock):
        self._clock = clock
        self._of: dict = {}

    def record(self, lock_id, op, code):
        """A request about a lock has ended with this code; `ok` is not kept."""
        if code == "ok" or lock_id is None:
            return
        kept = self._of.get(lock_id)
        if kept is None:
            if len(self._of) >= _LOCKS:
                return
            kept = self._of[lock_id] = []
        if len(kept) >= _FAILURES:
            kept.pop(0)
        kept.append((time_text(self._clock), op, code))

    def of(self, lock_id):
        """[{"ts","op","code"}], the oldest first."""
        return [{"ts": ts, "op": op, "code": code} for ts, op, code in self._of.get(lock_id, ())]

    def forget(self, lock):
        """The lock is no longer served."""
        self._of.pop(lock.id, None)


class Metrics:
    """Successes, failures and the latest durations by operation."""

    def __init__(self):
        self._ops = {}
        self.codes = {}  # how often each result word (domain.md 5.5) was published
        self.done = 0
        self.ok = 0

    def record(self, op, code, ms):
        """One result; `ms` None: nobody knows how long it took."""
        self.done += 1
        self.codes[code] = self.codes.get(code, 0) + 1
        if code == "ok":
            self.ok += 1
        if code != "ok" or op is None or ms is None or (op not in self._ops and len(self._ops) >= _OPS):
            return
        times = self._ops.setdefault(op, [])
        if len(times) >= _KEPT:
            times.pop(0)
        times.append(ms)

    def percentile(self, op, share_pct):
        """Duration that `share_pct` of the latest successful runs kept, or None."""
        times = sorted(self._ops.get(op, ()))
        return times[min(len(times) - 1, len(times) * share_pct // 100)] if times else None

    def summary(self):
        """{operation: [p50, p95]} in milliseconds."""
        return {op: [self.percentile(op, 50), self.percentile(op, 95)] for op in self._ops}

    def success_pct(self):
        """Share of requests that ended well, or None before the first."""
        return self.ok * 100 // self.done if self.done else None

    def members(self):
        """Its members of `metrics`."""
        return {
            "success_pct": self.success_pct(),
            "results": self.codes,
            "operations": self.summary(),
            "unlock_p50_ms": self.percentile("unlock", 50),
            "unlock_p95_ms": self.percentile("unlock", 95),
        }


def colour(state, step):
    """(red, green, blue) to show in step number `step` of a state."""
    pattern = row(_PATTERNS, state)
    sign = pattern[step % len(pattern)]
    return sign == "r", False, sign == "b"


class Light:
    """`lamp` has `show(red, green, blue)`; `state()` returns one of the words above."""

    def __init__(self, lamp, state):
        self._lamp = lamp
        self._state = state
        self._step = 0
        self._shown = None

    def step(self):
        """Show the state, every STEP_MS; the pins are touched only when the colour changes."""
        wanted = colour(self._state(), self._step)
        if wanted != self._shown:
            self._lamp.show(*wanted)
            self._shown = wanted
        self._step += 1
