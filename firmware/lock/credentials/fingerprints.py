"""The fingerprints of the lock: up to 100, found by what the sensor recognises. In the vault.

Owns the numbers by which clients name them: a counter that never comes back, and the place of the template. Rows are
those of `holders`; their head is the template, eight bytes, and the counter, four. The sensor of this lock recognises a
finger as itself, which is all that a template of eight bytes says. Source: lock-ble-commands.md 5; domain.md 3.3.
"""

from firmware.lib.compat import const
from firmware.lock.credentials.bank import Bank
from firmware.lock.credentials.holders import NO_LIMITS, Holders

CAPACITY = 100
CLASS = "fingerno"  # the counter given out last

_TEMPLATE = const(8)
_HEAD = const(12)


def _template_of(row):
    return row[:_TEMPLATE]


class Fingerprints(Holders):
    """See `holders`."""

    def __init__(self, vault):
        super().__init__(Bank(vault, "fingers", CAPACITY, _template_of), _HEAD)
        self._vault = vault

    def _key(self, row):
        return _template_of(row)

    def _where(self, id6):
        found = self._bank.at(int.from_bytes(id6[4:], "big"))
        return found if found is not None and self._id(found) == id6 else None

    def _id(self, found):
        return found[1][_TEMPLATE:_HEAD] + found[0].to_bytes(2, "big")

    def number(self, template):
        """The six bytes that name a finger; zeros for one that is not stored."""
        found = self._bank.find(template)
        return bytes(6) if found is None else self._id(found)

    def knows(self, template):
        """True if this finger is stored."""
        return self._bank.find(template) is not None

    def credential(self, template):
        """What the lock knows of a finger, for `validity`; None: nothing."""
        return self._credential(self._bank.find(template))

    def add(self, template):
        """Store a finger without limits -> its number, or None: the store is full."""
        if len(self._bank) >= CAPACITY:
            return None
        counter = int.from_bytes(self._vault.load(CLASS) or b"", "big") + 1
        packed = (counter & 0xFFFFFFFF).to_bytes(4, "big")
        self._vault.save(CLASS, packed)  # first: a cut costs a number, and gives none out twice
        slot = self._bank.put(template, template + packed + NO_LIMITS)
        return None if slot is None else packed + slot.to_bytes(2, "big")

    def at(self, index):
        """The first in or above slot `index`: (slot, its number, start5 + end5), or None at the end."""
        found = self._bank.at(index)
        return None if found is None else (found[0], self._id(found), self.limits_of(found[1]))
