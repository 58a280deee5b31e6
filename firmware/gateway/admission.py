"""Whether a request may act: ids seen before, with their results; how many come in a span of time; and what is refused.
Owns the journal of ids, a table of fixed size over it, and the counting; leaves the order of the checks to the bridge.
"""

import hashlib
import struct

from firmware.lib.compat import const
from firmware.lib.errors import FirmwareError

_STARTED = const(1)
_DONE = const(2)
_KEEP_S = const(600)
_ROW = "<8s8sII"  # id hash, content hash, second it came, sequence number in the journal (0 while it runs)
_ROW_LEN = const(24)
_SLOTS = const(320)
_NONE = bytes(8)
_MOST = const(1024 - 17)  # what fits an entry of the journal beside kind and hashes

NEW = const(0)
RUNNING = const(1)
KNOWN = const(2)
CONFLICT = const(3)
LOST = const(4)  # its result cannot be read any more


class Refusal(FirmwareError):
    """What the gateway itself refuses, before anything is sent to a lock. `code` is a word of domain.md 5.5; `reason`,
    of `refused`, too."""

    def __init__(self, code, text, reason=None):
        super().__init__(text)
        self.code = code
        self.reason = reason


class Ids:
    """Request ids seen before, with their results: each id acts once, also across a reset (security.md CMD-4, CMD-5).

    An entry of the journal is one kind byte, 8 bytes of the id's hash, 8 bytes of the content's hash, then what is to
    be known of the request if it is cut off (when started) or the result's payload (when done). What the journal holds
    at start is remembered for another ten minutes from then on, because the age of an entry dies with the ticks.

    `journal` is a `system.journal.Journal` that keeps at least 320 entries; `now_s` a clock that only rises."""

    def __init__(self, journal, now_s, slots=_SLOTS):
        self._journal = journal
        self._now_s = now_s
        self._slots = slots
        self._rows = bytearray(slots * _ROW_LEN)
        self._next = 0
        self._interrupted = {}
        self.dropped = 0  # ids forgotten before their time, for want of room
        for seq, entry in journal.records():
            id_hash, digest = entry[1:9], entry[9:17]
            if entry[0] == _STARTED:
                self._interrupted[id_hash] = digest, entry[17:]
                seq = 0
            else:
                self._interrupted.pop(id_hash, None)
            self._put(id_hash, digest, seq)

    def _put(self, id_hash, digest, seq):
        at = self._find(id_hash)
        if at is None:
            at = self._vacate()
        struct.pack_into(_ROW, self._rows, at * _ROW_LEN, id_hash, digest, self._now_s(), seq)
        return at

    def _vacate(self):
        """The slot of the oldest id that is not at work."""
        now_s = self._now_s()
        for _ in range(self._slots):
            at = self._next
            self._next = (at + 1) % self._slots
            id_hash, _, since_s, seq = struct.unpack_from(_ROW, self._rows, at * _ROW_LEN)
            if seq or id_hash == _NONE or now_s - since_s >= _KEEP_S:
                break
        if id_hash != _NONE and now_s - since_s < _KEEP_S:
            self.dropped += 1
        return at

    def _find(self, id_hash):
        rows = self._rows
        at = rows.find(id_hash)
        while at >= 0:
            if at % _ROW_LEN == 0:
                return at // _ROW_LEN
            at = rows.find(id_hash, at + 1)
        return None

    def look(self, id, digest):
        """What is known of request `id` with content hash `digest` -> (NEW | RUNNING | KNOWN | CONFLICT | LOST, payload
        of the stored result or None). NEW takes the id: `done` or `drop` must follow.
        """
        id_hash = _hash(id)
        at = self._find(id_hash)
        if at is not None:
            _, known, since_s, seq = struct.unpack_from(_ROW, self._rows, at * _ROW_LEN)
            if self._now_s() - since_s < _KEEP_S:
                if known != digest[:8]:
                    return CONFLICT, None
                if seq == 0:
                    return RUNNING, None
                entry = self._journal.get(seq)
                if entry is None or entry[1:9] != id_hash:
                    return LOST, None  # flash damage must not make it act again
                return KNOWN, entry[17:]
        self._put(id_hash, digest[:8], 0)
        return NEW, None

    def kept(self, id, digest):
        """The stored result (bytes) of a request, or None; takes nothing."""
        id_hash = _hash(id)
        at = self._find(id_hash)
        if at is None:
            return None
        _, known, _, seq = struct.unpack_from(_ROW, self._rows, at * _ROW_LEN)
        entry = self._journal.get(seq) if seq and known == digest[:8] else None
        return entry[17:] if entry is not None and entry[1:9] == id_hash else None

    def interrupted(self):
        """(digest, note) of requests that had begun to act when the board was last reset, once; `done` must follow."""
        found = list(self._interrupted.values())
        self._interrupted.clear()
        return found

    def start(self, id, digest, note):
        """Note durably that the request is about to act; after a reset `interrupted` tells of it, with `note`."""
        self._journal.append(bytes((_STARTED,)) + _hash(id) + digest[:8] + note)

    def done(self, id, digest, payload):
        """Keep the result of the request (bytes of its `rsp`). One too long to keep, which only queries have, is
        forgotten with its id: a repeat asks again."""
        if len(payload) > _MOST:
            self.drop(id)
            return
        id_hash = _hash(id)
        seq = self._journal.append(bytes((_DONE,)) + id_hash + digest[:8] + payload)
        self._put(id_hash, digest[:8], seq)

    def drop(self, id):
        """Forget an id that was NEW and did not act: it may come again."""
        at = self._find(_hash(id))
        if at is not None:
            for place in range(at * _ROW_LEN, (at + 1) * _ROW_LEN):
                self._rows[place] = 0


def _hash(id):
    return hashlib.sha256(id.encode()).digest()[:8]


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
