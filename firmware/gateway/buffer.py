"""Records of one lock, kept on flash from reading until a consumer (or the broker) has them. Owns their numbering.

The reading cursor is not kept apart: it follows from the newest record stored, so that storing a record and moving the
cursor are one write (security.md 4.3). A record's era (mqtt.md 2) follows from the lock's key. What is stored names a
turn, which grows by one with each new key; the eras of turns of which records still wait are kept beside.

What a record tells is encrypted under the board's key (`vault.wrap`), its number with it, so that one which another
key encrypted is not taken for a record. Earlier releases stored it in clear, and it is still read.
"""

import hashlib
import struct

from firmware.lib import marks
from firmware.lib.compat import const
from firmware.system.journal import Journal
from firmware.system.store import Cell

_HEAD = ">HH"  # turn with the bits below, number; then encrypted: number, records lost before this one, what it tells
_HEAD_LEN = const(4)
_IS_WRAPPED = const(0x8000)
_HAS_WHO = const(0x4000)  # a WHO stands before what it tells
_TURNS = const(0x3FFF)
_OLD_HEAD = ">HHI"  # in clear: turn, number, records lost; the top bit of the last: a WHO follows
_OLD_HEAD_LEN = const(8)
_OLD_HAS_WHO = const(0x80000000)
_WHO = ">HI"  # number of the credential, upper and lower part
_WHO_LEN = const(6)
_STATE = ">II6s"  # turn, sequence acknowledged last, era; behind it a row for each turn before of which records wait
_STATE_LEN = const(14)
_TURN = ">I6s"  # turn, era
_TURN_LEN = const(10)
_PACKED = ">IIHHHB"  # sequence acknowledged last, offered last, how many wait, turn, cursor, has begun
_PACKED_LEN = const(15)  # with a row of the journal 31 bytes, and a lock has two blocks of heap for them
_NUMBERS = const(65534)  # 0 to 65533 (lock-ble-link.md 9.1)
_HALF = const(32767)
_SEGMENT = const(64)
_SEGMENTS = const(34)
FULL = const(2048)  # records with which reading waits (security.md R-04): about 100 KiB of flash


class Entry:
    """A stored record: `seq` in this buffer, `era` and `number` of the lock, `gap` records lost before it; `who` the
    number of the credential or None, `raw` without secrets, None when it cannot be decrypted."""

    __slots__ = ("era", "gap", "number", "raw", "seq", "turn", "who")

    def __init__(self, seq, stored, vault):
        self.seq = seq
        turn, self.number = struct.unpack_from(_HEAD, stored)
        self.who = self.era = self.raw = None
        self.gap = 0
        if turn & _IS_WRAPPED:
            self.turn = turn & _TURNS
            tail = vault.unwrap(stored[_HEAD_LEN:])
            if tail is None or tail[:2] != stored[2:4]:
                return
            self.gap = struct.unpack_from(_HEAD, tail)[1]
            has_who = turn & _HAS_WHO
            tail = tail[_HEAD_LEN:]
        else:
            self.turn, _, gap = struct.unpack_from(_OLD_HEAD, stored)
            has_who = gap & _OLD_HAS_WHO
            self.gap = gap & ~_OLD_HAS_WHO
            tail = stored[_OLD_HEAD_LEN:]
        if has_who:
            high, low = struct.unpack_from(_WHO, tail)
            self.who = high << 32 | low
            tail = tail[_WHO_LEN:]
        self.raw = tail


def waiting_in(packed):
    """(how many records wait to be acknowledged, whether some of them are offered), of a buffer that is packed."""
    sent, offered, waiting = struct.unpack_from(_PACKED, packed)[:3]
    return waiting, offered > sent


class Buffer:
    """Lives in `folder`. `key` is the lock's AES key; another one, of another pairing, begins a turn. `vault` has
    wrap(bytes) and unwrap(bytes).

    An open buffer needs some 450 bytes. `pack` gives what one that is made later needs to go on without reading the
    journal, and whatever was not yet acknowledged stays as it was offered.
    """

    def __init__(self, folder, key, vault, packed=None):
        self._vault = vault
        self._journal = Journal(folder, _SEGMENT, _SEGMENTS, packed=packed and packed[_PACKED_LEN:])
        self._cell = Cell(folder + "/state")
        kept = self._cell.load()
        self._era = b""
        self._older = b""
        if kept is not None and len(kept) >= _STATE_LEN:
            self._turn, self.sent, self._era = struct.unpack_from(_STATE, kept)
            self._older = kept[_STATE_LEN:]
        else:
            self._turn, self.sent = 0, self._journal.first_seq - 1
        self.cursor = 0
        self.has_begun = False  # a record of this pairing is known, so that what is missing after it is a gap
        if packed:
            self.sent, self.offered, _, self._turn, self.cursor, begun = struct.unpack_from(_PACKED, packed)
            self.has_begun = bool(begun)
            return
        last = self._last()
        if last and last.turn >= self._turn:
            self._turn = last.turn
            self._set_cursor(last.number)
        self.rekey(key)
        self.offered = self.sent  # given to the broker, not necessarily acknowledged by the consumer

    @property
    def era(self):
        """The era of the records that come, as it stands in `epoch` of a batch."""
        return int.from_bytes(self._era, "big")

    def pack(self):
        """This buffer as bytes, for the next one on the same folder; this one must not be used any more."""
        head = self.sent, self.offered, min(self.pending(), _NUMBERS), self._turn, self.cursor, self.has_begun
        return struct.pack(_PACKED, *head) + self._journal.pack()

    def rekey(self, key):
        """The lock has this key from now on; a new one begins a new era."""
        era = marks.era(key).to_bytes(6, "big")
        if self._era == era:
            return
        # The first release kept this fingerprint in place of the era, and a turn also began when numbers wrapped
        if self._era and self._era != hashlib.sha256(b"gatehouse-epoch" + key).digest()[:6]:
            if self.pending():
                self._older += struct.pack(_TURN, self._turn, self._era)
            self._turn += 1
            self.cursor = 0
            self.has_begun = False
        self._era = era
        self._save()

    def _last(self):
        seq = self._journal.next_seq - 1
        stored = self._journal.get(seq) if len(self._journal) else None
        return Entry(seq, stored, self._vault) if stored else None

    def last_date(self):
        """The six bytes of the date of the newest record of this pairing, or None."""
        last = self._last()
        return last.raw[1:7] if last and last.raw and last.turn == self._turn else None

    def _set_cursor(self, number):
        self.has_begun = True
        self.cursor = (number + 1) % _NUMBERS

    def _save(self):
        packed = struct.pack(_STATE, self._turn, self.sent, self._era) + self._older
        # Both copies: what is behind `sent` may be dropped next, so that an older one would tell of a gap
        for _ in range(2):
            self._cell.save(packed)

    def pending(self):
        """How many records wait to be acknowledged."""
        return max(0, self._journal.next_seq - 1 - self.sent)

    def append(self, number, raw, who=None, is_new_log=False):
        """Store the record that the lock delivered for the cursor, as `pages` made it. What numbers lie between are
        lost, unless its log has begun anew."""
        # What was before our time is not lost
        gap = (number - self.cursor) % _NUMBERS if self.has_begun and not is_new_log else 0
        turn = self._turn & _TURNS | _IS_WRAPPED
        tail = raw
        if who is not None:
            turn |= _HAS_WHO
            tail = struct.pack(_WHO, who >> 32 & 0xFFFF, who & 0xFFFFFFFF) + raw
        wrapped = self._vault.wrap(struct.pack(_HEAD, number, gap) + tail)
        self._journal.append(struct.pack(_HEAD, turn, number) + wrapped)
        self._set_cursor(number)

    def unsent(self, after):
        """Generator of the entries behind `after`; what flash damage took is added to the next one's gap."""
        expected = after + 1
        for seq, stored in self._journal.records(expected):
            entry = Entry(seq, stored, self._vault)
            if entry.raw is None:
                continue
            entry.gap += seq - expected
            entry.era = self._era_of(entry.turn)
            expected = seq + 1
            yield entry

    def _era_of(self, turn):
        for at in range(0, len(self._older), _TURN_LEN):
            known, era = struct.unpack_from(_TURN, self._older, at)
            if known == turn:
                return int.from_bytes(era, "big")
        return self.era

    def acknowledge(self, seq):
        """All up to `seq` have arrived where they should."""
        if seq > self.sent:
            self.sent = seq
            self.offered = max(self.offered, seq)
            if not self.pending():
                self._older = b""
            self._save()
            self._journal.trim_below(seq + 1)

    def find(self, era, first, last, date=None):
        """The sequence of the record `last` of what was offered and not yet acknowledged, beginning with the record
        `first`; or None. `date`, six bytes, is that of the record `last`: numbers come again after 65534 records."""
        begins = False
        for entry in self.unsent(self.sent):
            if entry.seq > self.offered or entry.era != era or not (begins or entry.number == first):
                break
            begins = True
            if entry.number == last:
                return entry.seq if date is None or entry.raw[1:7] == date else None
        return None


def ahead(cursor, number):
    """How many numbers lie between `cursor` and `number`, around the end of all numbers; None when it is before."""
    count = (number - cursor) % _NUMBERS
    return count if count <= _HALF else None
