"""Codes made without the lock: which were used up or taken away, and up to when all are barred. In the vault.

Owns what keeps such a code from opening again (security.md DEL-1), for its digits can be derived at any time: a mark
for each that has opened once (from then on it is an entry of `passcodes`, but for a one-time code), and the moment of
the last erasure. Marks count for the seeds they were made under. They are dropped when the day of their start is over,
and from then on no code that starts so early opens, whatever the clock is set to.

What takes two saves (a first use, an erasure) is promised here with the first, and finished at the next start when
power goes in between. Layout: tag of the seeds 4, barred u32 (minutes; 0 none), open u8, floor u24, number of rows u8,
rows of kind u8, start u24, 25 bytes of bits; then the promise: b"", 1 and a row of `passcodes`, or 2 and what the
erasure needs. Hours and minutes as in `offline_codes`.
"""

from firmware.lib import crypto
from firmware.lib.compat import const
from firmware.lock.stores.bank import Store
from firmware.lock.stores.keys import SEEDS

_CLASS = "offline"

KEEP = 1
ERASE = 2

_HEAD = const(13)
_ROW = const(29)
_ROW_HEAD = const(4)
_DAY_H = const(24)
_FOR_EVER = const(0x3FFFFFFF)


class Offline(Store):
    """All changes are durable on return."""

    CLASSES = ((_CLASS, 0),)

    def __init__(self, vault):
        self._vault = vault
        self.has_seeds = False
        self.promise = b""
        self._tag = b""
        self._barred = self._floor = 0
        self._is_open = False
        self._rows = []

    def load(self):
        """As in `Store`; also after other seeds were set."""
        seeds = self._vault.load(SEEDS)
        self._tag = bytes(4) if seeds is None else crypto.hkdf(seeds, b"", b"gatehouse-codes-tag-1", 4)
        self.has_seeds = seeds is not None
        packed = self._vault.load(_CLASS)
        if packed is None:
            packed = self._tag + bytes(_HEAD - 4)
        end = _HEAD + _ROW * packed[_HEAD - 1]
        self.promise = packed[end:]
        is_ours = packed[:4] == self._tag
        self._barred = int.from_bytes(packed[4:8], "big") if is_ours else 0
        self._is_open = bool(packed[8]) and is_ours
        self._floor = int.from_bytes(packed[9:12], "big") if is_ours else 0
        self._rows = [bytes(packed[at : at + _ROW]) for at in range(_HEAD, end, _ROW)] if is_ours else []

    def _keep(self, barred, is_open, floor, rows, promise):
        head = self._tag + barred.to_bytes(4, "big") + bytes((is_open,)) + floor.to_bytes(3, "big")
        self._vault.save(_CLASS, head + bytes((len(rows),)) + b"".join(rows) + promise)
        self._barred, self._is_open, self._floor = barred, is_open, floor
        self._rows, self.promise = rows, promise

    def secret(self):
        """The secret of the codes, of a lock that has seeds."""
        from firmware.lib import offline_codes

        return offline_codes.secret(self._vault.load(SEEDS))

    def is_used(self, kind, start, number):
        """True for a code that has opened once, or is too old to open for the first time."""
        head = _row_head(kind, start)
        for row in self._rows:
            if row[:_ROW_HEAD] == head:
                return bool(row[_ROW_HEAD + (number >> 3)] >> (number & 7) & 1)
        return start <= self._floor

    def use(self, kind, start, number, now_min, row=b""):
        """A code was typed, at a trusted time. `row`: what `passcodes` is to keep of it, promised with this."""
        head = _row_head(kind, start)
        bits = bytearray(_ROW - _ROW_HEAD)
        rows = []
        floor = self._floor
        for kept in self._rows:
            begins = int.from_bytes(kept[1:_ROW_HEAD], "big")
            if kept[:_ROW_HEAD] == head:
                bits[:] = kept[_ROW_HEAD:]
            elif begins + _DAY_H <= now_min // 60:
                floor = max(floor, begins)
            else:
                rows.append(kept)
        bits[number >> 3] |= 1 << (number & 7)
        rows.append(head + bytes(bits))
        self._keep(self._barred, self._is_open, floor, rows, bytes((KEEP,)) + row if row else b"")

    def barred_min(self, now_min, is_trusted):
        """Codes that start up to then do not open; None: no erasure."""
        if self._is_open:
            if not is_trusted:
                return _FOR_EVER
            try:
                self._keep(now_min, False, self._floor, self._rows, self.promise)
            except OSError:  # a full flash: other codes must open
                return _FOR_EVER
        return self._barred or None

    def erase(self, now_min, is_trusted, promise):
        """No code that starts up to now opens from here on; `promise` is what is left to do. A lock that does not know
        the time bars every code until it does.
        """
        barred = max(self._barred, now_min) if is_trusted else self._barred
        self._keep(barred, not is_trusted, self._floor, self._rows, bytes((ERASE,)) + promise)

    @property
    def is_erasing(self):
        """True while an erasure is promised: what is stored opens no more, whether it is gone or not."""
        return self.promise[:1] == bytes((ERASE,))

    def settle(self):
        """What was promised is done."""
        if self.promise:
            self._keep(self._barred, self._is_open, self._floor, self._rows, b"")


def _row_head(kind, start):
    return bytes((kind,)) + start.to_bytes(3, "big")
