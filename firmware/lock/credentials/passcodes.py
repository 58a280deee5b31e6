"""The passcodes of the lock: up to 250 entries in numbered slots, kept in the vault.

Owns storing and finding; who may do it is `authority`'s, whether a code opens now is `validity`'s. An entry is the
bytes of a 0x07 item: type, length, digits, length, digits as created, trailer (start; start, end; start, schedule).
Source: lock-ble-commands.md 3.1-3.3.
"""

from firmware.lib import crypto
from firmware.lib.compat import const
from firmware.lib.credentials import CYCLIC, PERMANENT

CAPACITY = 250

_CLASS = "passcodes"
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


def _entry(kind, digits, created, trailer):
    return bytes((kind, len(digits))) + digits + bytes((len(created),)) + created + trailer


class Passcodes:
    """`add`, `modify` and `delete` return None, or the error byte of lock-ble-commands.md 1.5; durable on return."""

    def __init__(self, vault):
        self._vault = vault
        self._slots = []
        self.reload()

    def reload(self):
        """Take the state from the vault (start, roll-back, reset)."""
        slots = []
        packed = self._vault.load(_CLASS) or b""
        at = 0
        while at < len(packed):
            end = at + 1 + packed[at]
            slots.append(packed[at + 1 : end] or None)
            at = end
        self._slots = slots

    def _keep(self, slots):
        while slots and slots[-1] is None:
            slots.pop()
        packed = bytearray(sum(1 + len(entry or b"") for entry in slots))
        at = 0
        for entry in slots:
            if entry:
                packed[at] = len(entry)
                packed[at + 1 : at + 1 + len(entry)] = entry
                at += len(entry)
            at += 1
        self._vault.save(_CLASS, packed)
        self._slots = slots

    def __len__(self):
        return sum(1 for entry in self._slots if entry is not None)

    def find(self, digits):
        """(slot, entry) of the code `digits`, whole entries only, or None. Compares with every entry."""
        found = None
        for slot, entry in enumerate(self._slots):
            if entry is not None and crypto.equal(digits_of(entry), digits):
                found = slot, entry
        return found

    def add(self, kind, digits, trailer):
        """Identical repeat: success without change; same digits otherwise 0x14; 0x16 when full."""
        wanted = _entry(kind, digits, digits, trailer)
        found = self.find(digits)
        if found is not None:
            same = found[1][0] == kind and trailer_of(found[1]) == trailer
            return None if same else _EXISTS
        slots = list(self._slots)
        if None in slots:
            slots[slots.index(None)] = wanted
        elif len(slots) < CAPACITY:
            slots.append(wanted)
        else:
            return _FULL
        self._keep(slots)
        return None

    def modify(self, old, new, start, end):
        """New digits and dates, type and slot kept. 0x15 old unknown, 0x14 new belongs to another entry."""
        found = self.find(old)
        if found is None:
            return _UNKNOWN
        slot, entry = found
        other = self.find(new)
        if other is not None and other[0] != slot:
            return _EXISTS
        kind = entry[0]
        if kind == PERMANENT:
            trailer = start
        elif kind == CYCLIC:
            trailer = trailer_of(entry)  # 0x03 op 5 carries no schedule
        else:
            trailer = start + end
        slots = list(self._slots)
        slots[slot] = _entry(kind, new, created_as(entry), trailer)
        if slots[slot] != entry:
            self._keep(slots)
        return None

    def delete(self, digits):
        """0x15 when there is no such code."""
        found = self.find(digits)
        if found is None:
            return _UNKNOWN
        slots = list(self._slots)
        slots[found[0]] = None
        self._keep(slots)
        return None

    def clear(self):
        """No passcode is left; the admin passcode is not one of these."""
        if self._slots:
            self._keep([])

    def at(self, cursor):
        """The first entry in or above slot `cursor`: (slot, entry), or None at the end."""
        for slot in range(cursor, len(self._slots)):
            if self._slots[slot] is not None:
                return slot, self._slots[slot]
        return None
