"""The record store: the last 500 records, how far they have been fetched, and the record that a movement will lack.

`Ring` owns numbering (0 to 65533, then 0 again) and the read cursor. Does not know what a record means. A record may
hold typed digits, so each is encrypted in the journal: a reset, which destroys the key, leaves none of them readable in
blocks that the file system has given up (security.md DEL-2). The cursor is a cell of four bytes.
Source: lock-ble-link.md 9.1; capacity: domain.md 3.3.

`Intent` owns a cell with what the bolt is about to do and for whom, on flash before it moves (security.md 4.3 rule 4).
A movement that was asked for with a credential leaves its record there first; the record itself is written when the
bolt has arrived. After a power cut in between, where the bolt stands says what became of it; nothing is done again.
Layout: target (0 locked, 1 unlocked), sequence of the record store u32 big-endian, the record as `vault.wrap` leaves
it (it may hold typed digits).
"""

from firmware.lib import records
from firmware.lib.compat import const
from firmware.lib.errors import ProtocolError
from firmware.lock import bolt
from firmware.lock.stores.bank import Store

CAPACITY = 500

_NUMBERS = const(65534)
_WRAP_CURSOR = const(0xFFFE)
_UNLOCK_TIMED_OUT = const(65)
_LOCK_TIMED_OUT = const(66)
_INTENT_HEAD = const(5)
_LAZY = const(16)  # cursor moves between two writes: a power cut delivers up to that many again, and loses none


class Ring(Store):
    """Records by number. `append` returns when the record is durable.

    `journal` is a system.journal.Journal, `cursor` a system.store.Cell; `vault` has wrap(bytes) and unwrap(bytes).
    """

    def __init__(self, journal, cursor, vault):
        self._journal = journal
        self._cell = cursor
        self._vault = vault
        kept = cursor.load()
        self._cursor = self._kept_cursor = 0  # sequence, not number: first record not yet delivered
        if kept is not None and len(kept) == 4:
            self._cursor = self._kept_cursor = int.from_bytes(kept, "big")
        if self._cursor > journal.next_seq:  # records erased, cursor not: a reset that was cut
            self._cursor = journal.next_seq

    def __len__(self):
        return self._journal.next_seq - self._first()

    def _first(self):
        return max(self._journal.first_seq, self._journal.next_seq - CAPACITY)

    @property
    def has_unread(self):
        """Advertisement flag bit 1."""
        return max(self._cursor, self._first()) < self._journal.next_seq

    @property
    def next_number(self):
        """The number the next record will get."""
        return self._journal.next_seq % _NUMBERS

    def append(self, raw):
        """Keep one record; its number."""
        return self._journal.append(self._vault.wrap(raw)) % _NUMBERS

    def latest(self):
        """The newest record, or None."""
        return self._get(self._journal.next_seq - 1) if len(self) else None

    def _get(self, seq):
        wrapped = self._journal.get(seq)
        return None if wrapped is None else self._vault.unwrap(wrapped)

    def newest(self, n):
        """The records among the `n` newest that can be read, the newest first."""
        for seq in range(self._journal.next_seq - 1, max(self._first(), self._journal.next_seq - n) - 1, -1):
            raw = self._get(seq)
            if raw is not None:
                yield raw

    @property
    def next_sequence(self):
        """Counts records without end, unlike their numbers."""
        return self._journal.next_seq

    def holds(self, seq):
        """True if a record with this sequence is kept, or would be the next."""
        return self._first() <= seq <= self._journal.next_seq

    def since(self, seq):
        """The records from this sequence on, the oldest first."""
        for _, wrapped in self._journal.records(max(seq, self._first())):
            raw = self._vault.unwrap(wrapped)
            if raw is not None:
                yield raw

    def _sequence_of(self, number):
        """The sequence of the stored record `number`, of the oldest one above it, or None if there is none."""
        first = self._first()
        end = self._journal.next_seq
        if number == _WRAP_CURSOR:
            number = 0
        if first == end or number == end % _NUMBERS:
            return None
        seq = first - first % _NUMBERS + number
        if seq < first:
            if first // _NUMBERS == (end - 1) // _NUMBERS:
                return first  # below everything stored
            seq += _NUMBERS
        if seq < end:
            return seq
        # Above the newest: nothing, unless numbers wrapped within the store and the oldest are higher
        return first if first // _NUMBERS != (end - 1) // _NUMBERS and number < first % _NUMBERS else None

    def read(self, cursor, is_walk=True):
        """The record a page for `cursor` delivers: (number, record), or None. A walk moves the read cursor past it."""
        if cursor == records.NEXT_UNREAD:
            seq = max(self._cursor, self._first())
            if seq >= self._journal.next_seq:
                seq = None
        else:
            seq = self._sequence_of(cursor)
        if seq is None:
            self.keep_cursor()
            return None
        raw = self._get(seq)
        if raw is None:  # damaged on flash: the walk goes on behind it
            if is_walk:
                self._cursor = max(self._cursor, seq + 1)
            return None if seq + 1 >= self._journal.next_seq else self.read((seq + 1) % _NUMBERS, is_walk)
        if is_walk and seq + 1 > self._cursor:
            self._cursor = seq + 1
            if self._cursor - self._kept_cursor >= _LAZY:
                self.keep_cursor()
        return seq % _NUMBERS, raw

    def keep_cursor(self):
        """Write the read cursor down: at the end of a walk and when the link ends."""
        if self._cursor != self._kept_cursor:
            self._kept_cursor = self._cursor
            try:
                self._cell.save(self._cursor.to_bytes(4, "big"))
            except OSError:  # the flash is full: some records will be delivered again
                pass

    def wipe(self):
        """Factory reset: no records, numbers from 0."""
        self._journal.clear(0)
        self._cursor = 0
        self.keep_cursor()


class Intent(Store):
    """`cell` is a system.store.Cell, `ring` the record store, `vault` has wrap and unwrap."""

    def __init__(self, cell, ring, vault):
        self._cell = cell
        self._ring = ring
        self._vault = vault

    def begin(self, target, raw):
        """The bolt is about to move to `target`; `raw` is the record of its arrival. Durable on return.

        A flash that refuses does not keep the door shut.
        """
        place = b"\x01" if target == bolt.UNLOCKED else b"\x00"
        try:
            self._cell.save(place + self._ring.next_sequence.to_bytes(4, "big") + self._vault.wrap(raw))
        except OSError:
            pass

    def wipe(self):
        """With another key the record would be noise, which must not pass for one."""
        try:
            self._cell.save(b"")
        except OSError:  # the reset matters more
            pass

    def unresolved(self, state):
        """At start: the record that the last movement still lacks, or None. `state` is where the bolt stands.

        (type, tail): of the arrival if the bolt is where it was to go, else that it did not get there.
        """
        kept = self._cell.load()
        if kept is None or len(kept) <= _INTENT_HEAD:
            return None
        seq = int.from_bytes(kept[1:_INTENT_HEAD], "big")
        raw = self._vault.unwrap(kept[_INTENT_HEAD:])
        try:
            wanted = records.decode(raw or b"")
        except ProtocolError:
            return None
        if not self._ring.holds(seq):  # long ago, or the store was erased since
            return None
        failed = _UNLOCK_TIMED_OUT if kept[0] else _LOCK_TIMED_OUT
        for later in self._ring.since(seq):
            if later[0] in (wanted.type, _UNLOCK_TIMED_OUT, _LOCK_TIMED_OUT):
                return None
        if state == (bolt.UNLOCKED if kept[0] else bolt.LOCKED):
            return wanted.type, wanted.tail
        return failed, b""
