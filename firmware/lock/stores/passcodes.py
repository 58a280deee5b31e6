"""The passcodes of the lock: up to 250 entries in numbered slots, kept in a bank of the vault.

Owns storing and finding; who may do it is `authority`'s, whether a code opens now is `validity`'s, and which codes that
were made without the lock are used or barred is `offline`'s. An entry is the bytes of a 0x07 item: kind, length,
digits, length, digits as created, trailer (start; start, end; start, schedule). A row of the bank is an entry whose
kind has bit 7 set if it is a code of the algorithm in use, as it was made. Source: lock-ble-commands.md 3.1-3.3.
"""

from firmware.lib import credentials
from firmware.lib.compat import const
from firmware.lib.credentials import CYCLIC, PERMANENT
from firmware.lock.stores.bank import Bank, Store

CAPACITY = 250

_BANK = "codes"
_BEFORE = "passcodes"  # one class with all entries, of boards in use; moved to the bank at start
_OFFLINE = const(0x80)
_EXISTS = const(0x14)
_UNKNOWN = const(0x15)
_FULL = const(0x16)


def digits_of(entry):
    """The digits that open now (ASCII bytes)."""
    return entry[2 : 2 + entry[1]]


def created_as(entry):
    """The digits the entry was made with (ASCII bytes)."""
    at = 2 + entry[1]
    return entry[at + 1 : at + 1 + entry[at]]


def trailer_of(entry):
    """5, 10 or 7 bytes: see the module."""
    at = 2 + entry[1]
    return entry[at + 1 + entry[at] :]


def kind_of(row):
    """1 to 4."""
    return row[0] & ~_OFFLINE


def credential_of(row):
    """What a stored code may do, for `validity`."""
    is_offline = bool(row[0] & _OFFLINE)  # a code of the algorithm that is in use
    made = credentials.passcode(kind_of(row), trailer_of(row), is_offline)
    made.is_offline = is_offline
    made.is_used = is_offline
    return made


def entry(kind, digits, created, trailer):
    """The parts, put together."""
    return bytes((kind, len(digits))) + digits + bytes((len(created),)) + created + trailer


def used(kind, digits, trailer):
    """The row of a code of the algorithm that is now in use."""
    return entry(kind | _OFFLINE, digits, digits, trailer)


class Passcodes(Store):
    """`add`, `modify` and `delete` return None, or the error byte of lock-ble-commands.md 1.5; durable on return."""

    CLASSES = ((_BANK, CAPACITY), (_BEFORE, 0))

    def __init__(self, vault):
        self._vault = vault
        self.bank = Bank(vault, _BANK, CAPACITY, digits_of)

    def load(self):
        self.bank.load()
        self._convert()

    def _convert(self):
        """Move the entries of firmware that kept them in one class to the bank; a power cut in between begins again."""
        packed = self._vault.load(_BEFORE)
        if packed is None:
            return
        at = 0
        while at < len(packed):
            end = at + 1 + packed[at]
            row = packed[at + 1 : end]
            if row:
                self.bank.put(digits_of(row), row)
            at = end
        self._vault.remove(_BEFORE)

    def __len__(self):
        return len(self.bank)

    @property
    def is_full(self):
        """True if there is no room for another one."""
        return len(self.bank) >= CAPACITY

    def find(self, digits):
        """(slot, row) of the code `digits`, whole entries only, or None."""
        return self.bank.find(digits)

    def credential(self, digits):
        """What the lock knows of the code `digits`, for `validity`; None: nothing."""
        stored = self.bank.find(digits)
        return None if stored is None else credential_of(stored[1])

    def add(self, kind, digits, trailer):
        """Identical repeat: success without change; same digits otherwise 0x14; 0x16 when full."""
        stored = self.bank.find(digits)
        if stored is not None:
            same = kind_of(stored[1]) == kind and trailer_of(stored[1]) == trailer
            return None if same else _EXISTS
        return _FULL if self.bank.put(digits, entry(kind, digits, digits, trailer)) is None else None

    def keep(self, row):
        """A row as `used` makes it; there is room, or it is there already."""
        self.bank.put(digits_of(row), row)

    def modify(self, old, new, start, end):
        """New digits and dates, kind and slot kept. 0x15 old unknown, 0x14 new belongs to another entry."""
        stored = self.bank.find(old)
        if stored is None:
            return _UNKNOWN
        slot, row = stored
        other = self.bank.find(new)
        if other is not None and other[0] != slot:
            return _EXISTS
        kind = kind_of(row)
        if kind == PERMANENT:
            trailer = start
        elif kind == CYCLIC:
            trailer = trailer_of(row)  # 0x03 op 5 carries no schedule
        else:
            trailer = start + end
        self.bank.change(old, entry(kind, new, created_as(row), trailer))
        return None

    def delete(self, digits):
        """0x15 when there is no such code."""
        return None if self.bank.remove(digits) else _UNKNOWN

    def clear(self):
        """No passcode is left; the admin passcode is not one of these."""
        self.bank.clear()

    def at(self, cursor):
        """The first entry in or above slot `cursor`: (slot, entry), or None at the end."""
        stored = self.bank.at(cursor)
        if stored is None:
            return None
        slot, row = stored
        return slot, bytes((kind_of(row),)) + row[1:]
