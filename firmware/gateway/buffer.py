"""Records of one lock, kept on flash from reading until the broker (or a consumer) has them. Owns their numbering.

The reading cursor is not kept apart: it follows from the newest record stored, so that storing a record and moving the
cursor are one write (security.md 4.3). `epoch` grows by one when the lock has new keys and when its numbers wrap.
"""

import hashlib
import struct

from firmware.lib.compat import const
from firmware.system.journal import Journal
from firmware.system.store import Cell

_HEAD = ">HHI"  # epoch, number, records lost before this one; the top bit of the last: a WHO follows
_HEAD_LEN = const(8)
_WHO = ">HI"  # number of the credential, upper and lower part
_WHO_LEN = const(6)
_WHO_FOLLOWS = const(0x80000000)
_STATE = ">II6s"  # epoch, sequence acknowledged last, fingerprint of the key
_STATE_LEN = const(14)
_PACKED = ">IIIHHB"  # sequence acknowledged last, offered last, how many wait, epoch, cursor, has begun
_PACKED_LEN = const(17)
_NUMBERS = const(65534)  # 0 to 65533 (lock-ble-link.md 9.1)
_SEGMENT = const(64)
_SEGMENTS = const(34)
FULL = const(2048)  # records with which reading waits (security.md R-04): about 100 KiB of flash


class Entry:
    """A stored record: `seq` in this buffer, `epoch` and `number` of the lock, `gap` records lost before it; `who` the
    number of the credential or None, `raw` without secrets."""

    __slots__ = ("epoch", "gap", "number", "raw", "seq", "who")

    def __init__(self, seq, stored):
        self.seq = seq
        self.epoch, self.number, self.gap = struct.unpack_from(_HEAD, stored)
        self.who = None
        if self.gap & _WHO_FOLLOWS:
            self.gap &= ~_WHO_FOLLOWS
            high, low = struct.unpack_from(_WHO, stored, _HEAD_LEN)
            self.who = high << 32 | low
            self.raw = stored[_HEAD_LEN + _WHO_LEN :]
        else:
            self.raw = stored[_HEAD_LEN:]


def waiting_in(packed):
    """(how many records wait to be acknowledged, whether some of them are offered), of a buffer that is packed."""
    sent, offered, waiting = struct.unpack_from(_PACKED, packed)[:3]
    return waiting, offered > sent


class Buffer:
    """Lives in `folder`. `key` is the lock's AES key, of which a fingerprint tells whether the lock was paired anew.

    An open buffer needs some 450 bytes. `pack` gives what one that is made later needs to go on without reading the
    journal, and whatever was not yet acknowledged stays as it was offered.
    """

    def __init__(self, folder, key, packed=None):
        self._journal = Journal(folder, _SEGMENT, _SEGMENTS, packed=packed and packed[_PACKED_LEN:])
        self._cell = Cell(folder + "/state")
        kept = self._cell.load()
        self._key = None
        if kept is not None and len(kept) == _STATE_LEN:
            self.epoch, self.sent, self._key = struct.unpack(_STATE, kept)
        else:
            self.epoch, self.sent = 0, self._journal.first_seq - 1
        self.cursor = 0
        self._begun = False  # a record of this epoch is known, so that what is missing after it is a gap
        if packed:
            self.sent, self.offered, _, self.epoch, self.cursor, begun = struct.unpack_from(_PACKED, packed)
            self._begun = bool(begun)
            return
        last = self._last()
        if last and last.epoch >= self.epoch:
            self.epoch = last.epoch
            self._set_cursor(last.number)
        self.rekey(key)
        self.offered = self.sent  # given to the broker, not necessarily acknowledged by the consumer

    def pack(self):
        """This buffer as bytes, for the next one on the same folder; this one must not be used any more."""
        head = self.sent, self.offered, self.pending(), self.epoch, self.cursor, self._begun
        return struct.pack(_PACKED, *head) + self._journal.pack()

    def rekey(self, key):
        """The lock has this key from now on; a new one begins a new epoch."""
        print_ = hashlib.sha256(b"gatehouse-epoch" + key).digest()[:6]
        if self._key != print_:
            if self._key is not None:
                self.epoch += 1
                self.cursor = 0
                self._begun = False
            self._key = print_
            self._save()

    def _last(self):
        seq = self._journal.next_seq - 1
        stored = self._journal.get(seq) if len(self._journal) else None
        return Entry(seq, stored) if stored else None

    def _set_cursor(self, number):
        self._begun = True
        self.cursor = number + 1
        if self.cursor >= _NUMBERS:
            self.cursor = 0
            self.epoch += 1

    def _save(self):
        packed = struct.pack(_STATE, self.epoch, self.sent, self._key)
        # Both copies: what is behind `sent` may be dropped next, so that an older one would tell of a gap
        for _ in range(2):
            self._cell.save(packed)

    def pending(self):
        """How many records wait to be acknowledged."""
        return max(0, self._journal.next_seq - 1 - self.sent)

    def append(self, number, raw, who=None):
        """Store the record that the lock delivered for the cursor, as `pages` made it. `number` below the cursor: the
        numbers wrapped.
        """
        gap = number - self.cursor
        if gap < 0:
            gap += _NUMBERS
            self.epoch += 1
        if not self._begun:
            gap = 0  # what was before our time is not lost
        tail = raw
        if who is not None:
            gap |= _WHO_FOLLOWS
            tail = struct.pack(_WHO, who >> 32 & 0xFFFF, who & 0xFFFFFFFF) + raw
        self._journal.append(struct.pack(_HEAD, self.epoch, number, gap) + tail)
        self._set_cursor(number)

    def unsent(self, after):
        """Generator of the entries behind `after`; numbers that flash damage took are added to the next one's gap."""
        expected = after + 1
        for seq, stored in self._journal.records(expected):
            entry = Entry(seq, stored)
            entry.gap += seq - expected
            expected = seq + 1
            yield entry

    def acknowledge(self, seq):
        """All up to `seq` have arrived where they should."""
        if seq > self.sent:
            self.sent = seq
            self.offered = max(self.offered, seq)
            self._save()
            self._journal.trim_below(seq + 1)

    def find(self, epoch, number):
        """The sequence of a record offered and not yet acknowledged, or None."""
        for entry in self.unsent(self.sent):
            if entry.seq > self.offered:
                break
            if entry.epoch == epoch and entry.number == number:
                return entry.seq
        return None
