"""What fingerprints and fobs have in common: rows with a period and hours in a bank, named by six bytes.

Row: a head, in which the subclass has what it needs, start5, end5, windows of seven bytes (0x70). Durable on return.
Source: lock-ble-commands.md 4.6, 5, 8.1; domain.md 3.2.
"""

from firmware.lib import credentials
from firmware.lib.compat import const

NO_LIMITS = b"\x00\x01\x01\x00\x00\x63\x01\x01\x00\x00"

_LIMITS = const(10)
_MOST_WINDOWS = const(8)
_WINDOW_LEN = const(7)
_FULL = const(0x04)
_UNKNOWN = const(0x1A)


class Holders:
    """`head` is the length of a row's head. A subclass gives `_where(id6)`, (slot, row) or None, and `_key(row)`.

    Changes return None or the error byte of lock-ble-commands.md 1.5.
    """

    def __init__(self, bank, head):
        self._bank = bank
        self._head = head

    def _where(self, id6):
        raise NotImplementedError

    def _key(self, row):
        raise NotImplementedError

    @property
    def bank(self):
        """Where they are stored; its counters are what a decision costs."""
        return self._bank

    def reload(self):
        """Take the state from the vault (start, roll-back, reset)."""
        self._bank.reload()

    def __len__(self):
        return len(self._bank)

    def limits_of(self, row):
        """start5 + end5."""
        return row[self._head : self._head + _LIMITS]

    def _windows_of(self, row):
        return row[self._head + _LIMITS :]

    def _credential(self, found):
        if found is None:
            return None
        row = found[1]
        limits = self.limits_of(row)
        return credentials.dated(limits[:5], limits[5:], self._windows_of(row))

    def _change(self, id6, limits, packed):
        """Another period or other hours; None: as before. 0x1A: unknown."""
        found = self._where(id6)
        if found is None:
            return _UNKNOWN
        row = found[1]
        limits = self.limits_of(row) if limits is None else limits
        packed = self._windows_of(row) if packed is None else packed
        self._bank.put(self._key(row), row[: self._head] + limits + packed)
        return None

    def modify(self, id6, limits):
        """Another period; the hours stay."""
        return self._change(id6, limits, None)

    def delete(self, id6):
        """It opens no more, and its hours are gone with it."""
        found = self._where(id6)
        if found is None:
            return _UNKNOWN
        self._bank.remove(self._key(found[1]))
        return None

    def clear(self):
        """None is left."""
        self._bank.clear()

    def windows(self, id6):
        """The hours, one window after the other, or None: unknown."""
        found = self._where(id6)
        return None if found is None else self._windows_of(found[1])

    def set_windows(self, id6, packed):
        """Replace them. 0x04: more than eight."""
        if len(packed) > _MOST_WINDOWS * _WINDOW_LEN:
            return _FULL
        return self._change(id6, None, packed)
