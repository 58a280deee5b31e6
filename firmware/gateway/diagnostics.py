"""Counts and times of what the gateway does. Owns the numbers; `reports` owns their names."""

from firmware.lib.compat import const

_KEPT = const(32)  # durations per operation
_OPS = const(16)


class Metrics:
    """Successes, failures and the latest durations by operation."""

    def __init__(self):
        self._ops = {}
        self.codes = {}  # how often each word of results (domain.md 5.5) was said
        self.done = 0
        self.ok = 0

    def note(self, op, code, ms):
        """One result."""
        self.done += 1
        self.codes[code] = self.codes.get(code, 0) + 1
        if code == "ok":
            self.ok += 1
        if code != "ok" or op is None or (op not in self._ops and len(self._ops) >= _OPS):
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
