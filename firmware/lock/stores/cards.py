"""The cards of the lock: up to 1000 with their periods and hours, and those that were reported lost. In the vault.

Owns storing and finding; whether a card opens now is `validity`'s. A lost card is refused whether it is stored or not,
and stays lost when all cards are removed. Source: lock-ble-commands.md 4, 4.6; domain.md 2 (key feature 3), 3.2, 3.3.

Row: length of the number u8 (4 or 8), number, start5, end5, windows of seven bytes (0x70). Of a lost card: length and
number.
"""

from firmware.lib import credentials
from firmware.lib.compat import const
from firmware.lock.stores.bank import Bank, Store

CAPACITY = 1000
LOST_CAPACITY = 256

_CARDS = "cards"
_LOST = "lostcards"

_MAX_WINDOWS = const(8)
_WINDOW_LEN = const(7)
_FULL = const(0x04)
_UNKNOWN = const(0x18)
_NO_LIMITS = b"\x00\x01\x01\x00\x00\x63\x01\x01\x00\x00"


def id_of(row):
    """The card's number: 4 or 8 bytes."""
    return row[1 : 1 + row[0]]


def limits_of(row):
    """start5 + end5; "always" for a card of which only the loss is known."""
    return row[1 + row[0] : 11 + row[0]] or _NO_LIMITS


def windows_of(row):
    """The windows, one after the other."""
    return row[11 + row[0] :]


class Cards(Store):
    """Changes return None or the error byte of lock-ble-commands.md 1.5, and are durable on return."""

    CLASSES = ((_CARDS, CAPACITY), (_LOST, LOST_CAPACITY))

    def __init__(self, vault):
        self._bank = Bank(vault, _CARDS, CAPACITY, id_of)
        self._lost = Bank(vault, _LOST, LOST_CAPACITY, id_of)

    @property
    def bank(self):
        """Where the cards are stored; its counters are what a decision costs."""
        return self._bank

    def load(self):
        self._bank.load()
        self._lost.load()

    def __len__(self):
        return len(self._bank)

    def find(self, card):
        """(slot, row) or None."""
        return self._bank.find(card)

    def at(self, index, lost=False):
        """The first card, or lost card, in or above slot `index`: (slot, row), or None at the end."""
        return (self._lost if lost else self._bank).at(index)

    def credential(self, card):
        """What the lock knows of a card, for `validity`; None: nothing."""
        stored = self._bank.find(card)
        is_lost = len(self._lost) and self._lost.find(card) is not None
        if stored is None and not is_lost:
            return None
        row = b"\x00" if stored is None else stored[1]
        limits = limits_of(row)
        made = credentials.dated(limits[:5], limits[5:], windows_of(row))
        made.is_lost = bool(is_lost)
        return made

    def is_stored(self, card, limits):
        """True if `add` would change nothing."""
        stored = self._bank.find(card)
        return stored is not None and stored[1] == _row(card, limits)

    def add(self, card, limits=None):
        """With the period `limits`, and no hours, whatever the card had before; None: one that is there stays as it is,
        another has no limits. 0x04: the store is full.
        """
        if limits is None:
            if self._bank.find(card) is not None:
                return None
            limits = _NO_LIMITS
        return _FULL if self._bank.put(card, _row(card, limits)) is None else None

    def modify(self, card, limits):
        """Another period; the hours stay. 0x18: unknown."""
        stored = self._bank.find(card)
        if stored is None:
            return _UNKNOWN
        self._bank.put(card, _row(card, limits) + windows_of(stored[1]))
        return None

    def delete(self, card):
        """0x18: unknown."""
        return None if self._bank.remove(card) else _UNKNOWN

    def clear(self):
        """No card is left; those that are lost stay lost."""
        self._bank.clear()

    def mark_lost(self, card):
        """0x04: too many."""
        return _FULL if self._lost.put(card, bytes((len(card),)) + card) is None else None

    def unmark_lost(self, card):
        """0x18: it was not."""
        return None if self._lost.remove(card) else _UNKNOWN

    # Hours (0x70)

    def windows(self, card):
        """The windows of a card, one after the other, or None: unknown."""
        stored = self._bank.find(card)
        return None if stored is None else windows_of(stored[1])

    def set_windows(self, card, packed):
        """Replace them. 0x18: unknown, 0x04: more than eight."""
        stored = self._bank.find(card)
        if stored is None:
            return _UNKNOWN
        if len(packed) > _MAX_WINDOWS * _WINDOW_LEN:
            return _FULL
        self._bank.put(card, _row(card, limits_of(stored[1])) + packed)
        return None


def _row(card, limits):
    return bytes((len(card),)) + card + limits
