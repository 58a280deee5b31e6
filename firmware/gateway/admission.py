"""Whether a request may act: ids seen before, with their results; how many come in a span of time; and what is refused.
Owns the journal of ids, a table of fixed size over it, and the counting; leaves the order of the checks to the bridge.
"""

import hashlib
import struct

from firmware.lib.compat import const
from firmware.lib.errors import FirmwareError

_STARTED = const(1)
_DONE = const(2)
_IS_WRAPPED = const(0x80)
_HEAD_LEN = const(17)  # kind and hashes
_CHECK_LEN = const(4)  # of the id's hash, inside what is encrypted
_KEEP_S = const(600)
# Parts of the id's and the content's hash, second it came, mark: number in the journal modulo _MARKS, and 1; 0 is none
_ROW = "<2s2sHH"
_ROW_LEN = const(8)
_TIME = const(0xFFFF)
_MARKS = const(0xFFFF)
_SLOTS = const(320)
_MAX_SLOTS = const(4096)
_PER_MIN = const(60)
_RESULT_MAX = const(1024 - 17 - 12)  # what an entry of the journal has room for after kind and hashes

NEW = const(0)
RUNNING = const(1)
KNOWN = const(2)
CONFLICT = const(3)
LOST = const(4)  # its result cannot be read any more
FULL = const(5)  # no room in its share

# Shares of the table: everything, while there is no owner; then apart
ALL = const(0)
UNSIGNED = const(1)
SIGNED = const(2)
RESERVE = const(3)  # for one unlock of each lock
_RESERVED = const(64)


class Refusal(FirmwareError):
    """What the gateway itself refuses, before anything is sent to a lock. `code` is a word of domain.md 5.5; `reason`,
    where that leaves it open, too."""

    def __init__(self, code, text, reason=None):
        super().__init__(text)
        self.code = code
        self.reason = reason


def size_for(other_per_min):
    """How many rows the table of ids has for these requests a minute: 320 for up to 60, as many for each further 60."""
    return min(_SLOTS * max(1, (other_per_min + _PER_MIN - 1) // _PER_MIN), _MAX_SLOTS)


class Ids:
    """Request ids seen before, with their results: each id acts once, also across a reset (security.md CMD-4, CMD-5).

    An entry of the journal is one kind byte, 8 bytes of the id's hash, 8 bytes of the content's hash, then what is to
    be known of the request if it is cut off (when started) or the result's payload (when done; nothing where it was
    erased), encrypted under the board's key (earlier releases: in clear). What the journal holds at start is remembered
    for another ten minutes from then on, because the age of an entry dies with the ticks.

    A row of the table holds two bytes of each hash, when the id came, and where its result is in the journal, which has
    both hashes. Both are in memory only for requests without a result, which are few.

    Where the table is shared out, signed requests, unsigned ones, and one unlock of each lock have rows of their own.
    What finds no room in its share is FULL, so that no id is forgotten before its ten minutes, whatever the rates are.

    `journal` is a `system.journal.Journal` that keeps at least 640 entries; `now_s` a clock that only rises; `vault`
    has wrap(bytes) and unwrap(bytes); `slots` the size of the table (`size_for`). A result that the journal has dropped
    is LOST, its id is not.
    """

    def __init__(self, journal, now_s, vault, slots=_SLOTS):
        self._journal = journal
        self._vault = vault
        self._now_s = now_s
        self._slots = slots
        self._rows = bytearray(slots * _ROW_LEN)
        self._next = [0, 0, 0, 0]
        self._swept_s = now_s()
        self._unfinished = {}  # row -> hashes of an id without a result
        self._interrupted = {}
        self.dropped = 0  # ids of before the start, forgotten before their time
        for seq, entry in journal.records():
            id_hash, digest = entry[1:9], entry[9:17]
            row = self._unfinished_row(id_hash)
            if entry[0] & ~_IS_WRAPPED == _STARTED:
                self._interrupted[id_hash] = digest, entry
                seq = 0
            else:
                self._interrupted.pop(id_hash, None)
            self._put(row, id_hash, digest, seq)

    def _put(self, row, id_hash, digest, seq):
        """Use `row`, or another one if it is None, for an id with its result at `seq`, 0 while there is none."""
        if row is None:
            row = self._vacate(ALL, False)
        if seq:
            self._unfinished.pop(row, None)
        else:
            self._unfinished[row] = id_hash + digest
        mark = seq and seq % _MARKS + 1
        struct.pack_into(_ROW, self._rows, row * _ROW_LEN, id_hash, digest[6:8], self._now_s() & _TIME, mark)

    def _row(self, row):
        """(part of the content's hash, whether it is younger than ten minutes, number in the journal or 0)"""
        _, digest, since_s, mark = struct.unpack_from(_ROW, self._rows, row * _ROW_LEN)
        last = self._journal.next_seq - 1
        seq = mark and last - (last - mark + 1) % _MARKS
        return digest, (self._now_s() - since_s) & _TIME < _KEEP_S, seq

    def _is_taken(self, row):
        """Whether a row holds an id younger than ten minutes."""
        _, is_young, seq = self._row(row)
        return is_young and (bool(seq) or row in self._unfinished)

    def _vacate(self, share, is_strict):
        """A row of a share without a young id, else (None if `is_strict`) that of the oldest id that has a result."""
        reserved = min(_RESERVED, self._slots // 5)
        unsigned = (self._slots - reserved) * 3 // 8
        low = (0, 0, unsigned, self._slots - reserved)[share]
        size = (self._slots, unsigned, self._slots - reserved - unsigned, reserved)[share]
        first = self._next[share]
        chosen = None
        for place in range(first, first + size):
            row = low + place % size
            if not self._is_taken(row):
                chosen = place
                break
            if chosen is None and row not in self._unfinished:
                chosen = place
                if not is_strict:  # the oldest stands first
                    break
        else:
            if is_strict:
                return None
        if chosen is None:
            chosen = first
        self._next[share] = (chosen + 1) % size
        row = low + chosen % size
        if self._is_taken(row):
            self.dropped += 1
        self._unfinished.pop(row, None)
        return row

    def _sweep(self):
        """Forget what is older than ten minutes, before the time in the rows has gone round. Called before each new
        row, so that none is younger than the last call."""
        passed_s = self._now_s() - self._swept_s
        if passed_s < _KEEP_S:
            return
        self._swept_s = self._now_s()
        for row in range(self._slots):
            if passed_s > 2 * _KEEP_S or not self._row(row)[1]:
                self._clear(row)

    def _clear(self, row):
        self._unfinished.pop(row, None)
        struct.pack_into(_ROW, self._rows, row * _ROW_LEN, b"", b"", 0, 0)

    def _unfinished_row(self, id_hash):
        """The row of an id without a result, or None."""
        for row, hashes in self._unfinished.items():
            if hashes[:8] == id_hash and self._row(row)[1]:
                return row
        return None

    def _find(self, id_hash):
        """(row, entry of the journal) of an id with a result, the newest if there are several, or (None, None). An
        entry that cannot be read is None, and counts only where there is no other."""
        rows = self._rows
        best: tuple = None, None
        newest = 0
        at = rows.find(id_hash[:2])
        while at >= 0:
            row = at // _ROW_LEN
            _, is_young, seq = self._row(row)
            if at % _ROW_LEN == 0 and is_young and seq > newest:
                entry = self._journal.get(seq)
                if entry is None and best[0] is None:
                    best = row, None
                elif entry is not None and entry[1:9] == id_hash:
                    best = row, entry
                    newest = seq
            at = rows.find(id_hash[:2], at + 1)
        return best

    def look(self, id, digest, share=ALL):
        """What is known of request `id` with `digest`, 8 bytes of its content's hash -> (NEW | RUNNING | KNOWN |
        CONFLICT | LOST | FULL, payload of the stored result or None). NEW takes the id: `done` or `drop` must follow.
        """
        self._sweep()
        id_hash = _hash(id)
        row = self._unfinished_row(id_hash)
        if row is not None:
            return (RUNNING if self._unfinished[row][8:] == digest else CONFLICT), None
        row, entry = self._find(id_hash)
        if entry is not None:
            if entry[9:17] != digest:
                return CONFLICT, None
            payload = self._opened(entry)
            return (KNOWN, payload) if payload else (LOST, None)
        if row is not None:  # flash damage must not make it act again
            return (LOST if self._row(row)[0] == digest[6:8] else CONFLICT), None
        row = self._vacate(share, True)
        if row is None:
            return FULL, None
        self._put(row, id_hash, digest, 0)
        return NEW, None

    def is_known(self, id):
        """Whether a request with this id came in the last ten minutes; takes nothing."""
        id_hash = _hash(id)
        return self._unfinished_row(id_hash) is not None or self._find(id_hash)[0] is not None

    def kept(self, id, digest):
        """The stored result (bytes) of a request, or None; takes nothing."""
        _, entry = self._find(_hash(id))
        return self._opened(entry) or None if entry is not None and entry[9:17] == digest else None

    def _append(self, kind, id_hash, digest, content):
        wrapped = self._vault.wrap(id_hash[:_CHECK_LEN] + content)
        return self._journal.append(bytes((kind | _IS_WRAPPED,)) + id_hash + digest, wrapped)

    def _opened(self, entry):
        """What an entry holds behind its hashes, or None when the key is another one."""
        content = entry[_HEAD_LEN:]
        if not entry[0] & _IS_WRAPPED:
            return content
        content = self._vault.unwrap(content)
        return content[_CHECK_LEN:] if content and content[:_CHECK_LEN] == entry[1 : 1 + _CHECK_LEN] else None

    def interrupted(self):
        """(digest, note) of requests that had begun to act when the board was last reset, once; `done` must follow."""
        interrupted = [(digest, self._opened(entry)) for digest, entry in self._interrupted.values()]
        self._interrupted.clear()
        return [pair for pair in interrupted if pair[1] is not None]

    def start(self, id, digest, note):
        """Note durably that the request is about to act; after a reset `interrupted` tells of it, with `note`."""
        self._append(_STARTED, _hash(id), digest, note)

    def done(self, id, digest, payload):
        """Keep the result of the request (bytes of its `rsp`). One too long to keep, which only queries have, is
        forgotten with its id: a repeat asks again."""
        if len(payload) > _RESULT_MAX:
            self.drop(id)
            return
        self._sweep()
        id_hash = _hash(id)
        row = self._unfinished_row(id_hash)
        if row is None:
            row, _ = self._find(id_hash)
        seq = self._append(_DONE, id_hash, digest, payload)
        self._put(row, id_hash, digest, seq)

    def erase_results(self):
        """A generator that drops every result of before, and what the journal holds of them; the ids stay, for their
        ten minutes. Whoever repeats one is told that its result is LOST."""
        journal = self._journal
        first = journal.begin_segment()
        unfinished = [hashes[:8] for hashes in self._unfinished.values()]
        for seq, entry in journal.records():
            if seq >= first:
                break
            if entry[0] & ~_IS_WRAPPED == _STARTED and entry[1:9] in unfinished:
                journal.append(entry)
            yield
        for row in range(self._slots):
            _, is_young, seq = self._row(row)
            entry = journal.get(seq) if is_young and 0 < seq < first else None
            if entry is not None:
                mark = journal.append(bytes((_DONE,)) + entry[1:_HEAD_LEN]) % _MARKS + 1
                struct.pack_into("<H", self._rows, row * _ROW_LEN + 6, mark)
                yield
        journal.trim_below(first)

    def drop(self, id):
        """Forget an id that was NEW and did not act: it may come again."""
        row = self._unfinished_row(_hash(id))
        if row is not None:
            self._clear(row)


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

    def count(self):
        """Count one request; after `allows`."""
        self._left -= self._span_s

    def take(self, now_s):
        """Count one request if it is within the limit -> whether it is."""
        is_allowed = self.allows(now_s)
        if is_allowed:
            self.count()
        return is_allowed


class Rates:
    """The limits of one gateway: unlock per lock, everything else together, and what means nothing apart from both."""

    def __init__(self, unlock_per_min, unlock_per_h, other_per_min):
        self._unlock_per_min = unlock_per_min
        self._unlock_per_h = unlock_per_h
        self._unlocks = {}
        self._other = Rate(other_per_min, 60)
        self._unmeant = Rate(other_per_min, 60)

    def admit(self, op, lock_id, now_s):
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
            limit.count()
        return True

    def forget(self, lock):
        """Drop the counters of a lock that is no longer served."""
        self._unlocks.pop(lock.id, None)
