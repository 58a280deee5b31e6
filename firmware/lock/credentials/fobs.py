"""The key fobs of the lock, found by their address. In the vault; what is heard of them is kept in RAM.

Rows are those of `holders`; their head is the address, as on the air, and the battery when it was let in.
Source: lock-ble-commands.md 8.1; domain.md 2 (key feature 8), 3.2.
"""

from firmware.lib.compat import const
from firmware.lock.credentials.bank import Bank
from firmware.lock.credentials.holders import NO_LIMITS, Holders

CAPACITY = 20

_ADDRESS = const(6)
_HEAD = const(7)
_ONLINE_MS = const(60000)


def _address_of(row):
    return row[:_ADDRESS]


class Fobs(Holders):
    """See `holders`. `id6` is the address."""

    def __init__(self, vault):
        super().__init__(Bank(vault, "fobs", CAPACITY, _address_of), _HEAD)
        self._heard = {}  # slot: (battery, when)

    def reload(self):
        super().reload()
        self._heard = {}

    def _key(self, row):
        return _address_of(row)

    def _where(self, id6):
        return self._bank.find(id6)

    def knows(self, address):
        """True if this fob is stored."""
        return self._bank.find(address) is not None

    def credential(self, address):
        """What the lock knows of a fob, for `validity`; None: nothing."""
        return self._credential(self._bank.find(address))

    def add(self, address, battery):
        """Let a fob in, without limits; one that is stored stays as it is. False: the store is full."""
        if self._bank.find(address) is not None:
            return True
        slot = self._bank.put(address, address + bytes((battery,)) + NO_LIMITS)
        self._heard.pop(slot, None)
        return slot is not None

    def heard(self, address, battery, now_ms):
        """The radio of a stored fob was heard."""
        found = self._bank.find(address)
        if found is not None:
            self._heard[found[0]] = (battery, now_ms)

    def at(self, index, now_ms):
        """The first in or above slot `index`: (slot, address, start5 + end5, battery, is near), or None at the end."""
        found = self._bank.at(index)
        if found is None:
            return None
        slot, row = found
        battery, at_ms = self._heard.get(slot, (row[_ADDRESS], None))
        is_near = at_ms is not None and now_ms - at_ms < _ONLINE_MS
        return slot, _address_of(row), self.limits_of(row), battery, is_near

    def weakest(self, now_ms):
        """The lowest battery of all fobs in per cent, or None: there is no fob."""
        lowest = None
        found = self.at(0, now_ms)
        while found is not None:
            lowest = found[3] if lowest is None else min(lowest, found[3])
            found = self.at(found[0] + 1, now_ms)
        return lowest
