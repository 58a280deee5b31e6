"""Cards, fingerprints and key fobs: rows with a period and hours in a bank of the vault.

Owns storing and finding; whether one of them opens now is `validity`'s. Row: a head, start5, end5, windows of seven
bytes (0x70).

* Cards: the head is the length of the number, 4 or 8, and the number. A card that was reported lost is refused whether
  it is stored or not, and stays lost when all cards are removed: lost ones are heads in a bank of their own.
* Fingerprints: the head is the template, eight bytes, and a counter, four, which never comes back: with the slot it
  makes the number of six bytes by which clients name the finger. The sensor of this lock recognises a finger as itself,
  which is all that a template of eight bytes says.
* Fobs: the head is the address, as on the air, and the battery when it was added; what its radio sent since then is
  kept in RAM.

Source: lock-ble-commands.md 4, 4.6, 5, 8.1; domain.md 2 (key features 3 and 8), 3.2, 3.3.
"""

from firmware.lib import credentials
from firmware.lib.compat import const
from firmware.lock.stores.bank import Bank, Store

MAX_CARDS = 1000
MAX_LOST = 256
MAX_FINGERS = 100
MAX_FOBS = 20

_CARDS = "cards"
_LOST = "lostcards"
_FINGERS = "fingers"
_FINGER_COUNTER = "fingerno"  # class with the counter given out last
_FOBS = "fobs"
_TEMPLATE = const(8)
_FINGER_HEAD = const(12)
_ADDRESS = const(6)
_FOB_HEAD = const(7)

_NO_LIMITS = b"\x00\x01\x01\x00\x00\x63\x01\x01\x00\x00"
_LIMITS = const(10)
_MAX_WINDOWS = const(8)
_WINDOW_LEN = const(7)
_ONLINE_MS = const(60000)
_FULL = const(0x04)
_UNKNOWN_CARD = const(0x18)
_UNKNOWN = const(0x1A)


class Held(Store):
    """What the three have in common. `key` is the part of a head that is searched for, `id` what clients name one by:
    the key, but for fingerprints.

    Changes are durable on return, and return None or the error byte of lock-ble-commands.md 1.5.
    """

    unknown = _UNKNOWN  # error byte for one that is not stored

    def __init__(self, vault, name, capacity):
        self._capacity = capacity
        self.bank = Bank(vault, name, capacity, self.key_of)  # its counters are what a decision costs

    def key_of(self, row):
        """What a row is searched for by."""
        raise NotImplementedError

    def _head_of(self, row):
        raise NotImplementedError  # its length

    def _find_id(self, id):
        return self.bank.find(id)

    def load(self):
        self.bank.load()

    def __len__(self):
        return len(self.bank)

    @property
    def is_full(self):
        """True if there is no room for another one."""
        return len(self.bank) >= self._capacity

    def knows(self, key):
        """True if this template, or this address, is stored."""
        return self.bank.find(key) is not None

    def limits_of(self, row):
        """start5 + end5."""
        head = self._head_of(row)
        return row[head : head + _LIMITS]

    def _windows_of(self, row):
        return row[self._head_of(row) + _LIMITS :]

    def credential(self, key):
        """What the lock knows of a key, for `validity`; None: nothing."""
        stored = self.bank.find(key)
        if stored is None:
            return None
        limits = self.limits_of(stored[1])
        return credentials.dated(limits[:5], limits[5:], self._windows_of(stored[1]))

    def _change(self, id, limits, packed):
        """Another period or other hours; None: as before."""
        stored = self._find_id(id)
        if stored is None:
            return self.unknown
        row = stored[1]
        limits = self.limits_of(row) if limits is None else limits
        packed = self._windows_of(row) if packed is None else packed
        self.bank.put(self.key_of(row), row[: self._head_of(row)] + limits + packed)
        return None

    def modify(self, id, limits):
        """Another period; the hours stay."""
        return self._change(id, limits, None)

    def delete(self, id):
        """It opens no more, and its hours are gone with it."""
        stored = self._find_id(id)
        if stored is None:
            return self.unknown
        self.bank.remove(self.key_of(stored[1]))
        return None

    def clear(self):
        """None is left."""
        self.bank.clear()

    def windows(self, id):
        """The hours, one window after the other, or None: unknown."""
        stored = self._find_id(id)
        return None if stored is None else self._windows_of(stored[1])

    def set_windows(self, id, packed):
        """Replace them. 0x04: more than eight."""
        if len(packed) > _MAX_WINDOWS * _WINDOW_LEN:
            return _FULL
        return self._change(id, None, packed)


class Cards(Held):
    """The key is the card's number, 4 or 8 bytes."""

    CLASSES = ((_CARDS, MAX_CARDS), (_LOST, MAX_LOST))
    unknown = _UNKNOWN_CARD

    def __init__(self, vault):
        super().__init__(vault, _CARDS, MAX_CARDS)
        self._lost = Bank(vault, _LOST, MAX_LOST, self.key_of)

    def key_of(self, row):
        return row[1 : 1 + row[0]]

    def _head_of(self, row):
        return 1 + row[0]

    def load(self):
        self.bank.load()
        self._lost.load()

    def at(self, index, lost=False):
        """The first card, or lost card, in or above slot `index`: (slot, number, start5 + end5), or None at the end.
        One of which only the loss is known has no limits.
        """
        stored = (self._lost if lost else self.bank).at(index)
        if stored is None:
            return None
        return stored[0], self.key_of(stored[1]), self.limits_of(stored[1]) or _NO_LIMITS

    def credential(self, key):
        made = super().credential(key)
        is_lost = len(self._lost) and self._lost.find(key) is not None
        if made is None and is_lost:
            made = credentials.dated(_NO_LIMITS[:5], _NO_LIMITS[5:])
        if made is not None:
            made.is_lost = bool(is_lost)
        return made

    def is_stored(self, card, limits):
        """True if `add` would change nothing."""
        stored = self.bank.find(card)
        return stored is not None and (limits is None or stored[1] == _head(card) + limits)

    def add(self, card, limits=None):
        """With the period `limits`, and no hours, whatever the card had before; None: one that is stored stays as it
        is, another has no limits. 0x04: the store is full.
        """
        if limits is None:
            if self.knows(card):
                return None
            limits = _NO_LIMITS
        return _FULL if self.bank.put(card, _head(card) + limits) is None else None

    def mark_lost(self, card):
        """0x04: too many."""
        return _FULL if self._lost.put(card, _head(card)) is None else None

    def unmark_lost(self, card):
        """0x18: it was not."""
        return None if self._lost.remove(card) else self.unknown


def _head(card):
    return bytes((len(card),)) + card


class Fingerprints(Held):
    """The key is the template, `id` the number of a finger: its counter and its slot."""

    CLASSES = ((_FINGERS, MAX_FINGERS), (_FINGER_COUNTER, 0))

    def __init__(self, vault):
        super().__init__(vault, _FINGERS, MAX_FINGERS)
        self._vault = vault

    def key_of(self, row):
        return row[:_TEMPLATE]

    def _head_of(self, row):
        return _FINGER_HEAD

    def _find_id(self, id):
        stored = self.bank.at(int.from_bytes(id[4:], "big"))
        return stored if stored is not None and _number(stored) == id else None

    def number(self, template):
        """The six bytes that name a finger; zeros for one that is not stored."""
        stored = self.bank.find(template)
        return bytes(6) if stored is None else _number(stored)

    def add(self, template):
        """Store a finger without limits -> its number, or None: the store is full."""
        if self.is_full:
            return None
        counter = int.from_bytes(self._vault.load(_FINGER_COUNTER) or b"", "big") + 1
        packed = (counter & 0xFFFFFFFF).to_bytes(4, "big")
        self._vault.save(_FINGER_COUNTER, packed)  # first: a power cut costs a number, and gives none out twice
        slot = self.bank.put(template, template + packed + _NO_LIMITS)
        return None if slot is None else packed + slot.to_bytes(2, "big")

    def at(self, index):
        """The first in or above slot `index`: (slot, its number, start5 + end5), or None at the end."""
        stored = self.bank.at(index)
        return None if stored is None else (stored[0], _number(stored), self.limits_of(stored[1]))


def _number(stored):
    return stored[1][_TEMPLATE:_FINGER_HEAD] + stored[0].to_bytes(2, "big")


class Fobs(Held):
    """The key is the address."""

    CLASSES = ((_FOBS, MAX_FOBS),)

    def __init__(self, vault):
        super().__init__(vault, _FOBS, MAX_FOBS)
        self._sightings = {}  # slot: (battery, when)

    def key_of(self, row):
        return row[:_ADDRESS]

    def _head_of(self, row):
        return _FOB_HEAD

    def load(self):
        self.bank.load()
        self._sightings = {}

    def add(self, address, battery):
        """Store a fob, without limits; one that is stored stays as it is. False: the store is full."""
        if self.knows(address):
            return True
        slot = self.bank.put(address, address + bytes((battery,)) + _NO_LIMITS)
        self._sightings.pop(slot, None)
        return slot is not None

    def sighted(self, address, battery, now_ms):
        """The radio of a stored fob was heard."""
        stored = self.bank.find(address)
        if stored is not None:
            self._sightings[stored[0]] = (battery, now_ms)

    def at(self, index, now_ms):
        """The first in or above slot `index`: (slot, address, start5 + end5, battery, is near), or None at the end."""
        stored = self.bank.at(index)
        if stored is None:
            return None
        slot, row = stored
        battery, at_ms = self._sightings.get(slot, (row[_ADDRESS], None))
        is_near = at_ms is not None and now_ms - at_ms < _ONLINE_MS
        return slot, row[:_ADDRESS], self.limits_of(row), battery, is_near

    def weakest(self, now_ms):
        """The lowest battery of all fobs in per cent, or None: there is no fob."""
        lowest = None
        fob = self.at(0, now_ms)
        while fob is not None:
            lowest = fob[3] if lowest is None else min(lowest, fob[3])
            fob = self.at(fob[0] + 1, now_ms)
        return lowest
