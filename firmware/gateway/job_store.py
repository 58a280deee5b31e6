"""Requests that wait for their locks, on flash: one class of a vault each. Owns the folder and its slots.

A slot is used again and its class never removed: a free one holds a single byte. Its number in NVS therefore only
rises, and a request that has ended does not come back from an older copy of the folder (security.md DEL-1). Arguments
may hold codes and card numbers, so that nothing of a request is written in the clear.

That a request is about to change something is one small file, a `Cell` with the 8 random bytes that name the request:
the mark of an earlier one in the same slot says nothing. A mark that cannot be read counts as set.
"""

import json

from firmware.lib import crypto
from firmware.lib.compat import const
from firmware.system.cell import Cell
from firmware.system.vault import Vault

MOST = 64
_TAG_LEN = const(8)
_FREE = b"-"


class JobStore:
    """`nvs` as `Vault` takes it."""

    def __init__(self, folder, nvs):
        self._folder = folder
        self._vault = Vault(folder, nvs)
        self._taken = set()
        self.damaged = 0  # requests that could not be read at start

    def load(self):
        """What is kept, as a list of (slot, request, whether it was marked); to be called once."""
        found = []
        for name in self._vault.names():
            packed = self._vault.load(name)
            if packed is None:
                self.damaged += 1
                continue
            if packed == _FREE:
                continue
            slot = int(name[3:])
            try:
                kept = json.loads(packed.decode())
                found.append((slot, kept, self._is_marked(slot, kept["tag"])))
            except (KeyError, ValueError, UnicodeError):
                self.damaged += 1
                continue
            self._taken.add(slot)
        return found

    def _is_marked(self, slot, tag):
        cell = self._mark(slot)
        return cell.load() == bytes.fromhex(tag) or cell.is_damaged

    def _mark(self, slot):
        return Cell(self._folder + "/mark%02d" % slot)

    def add(self, kept):
        """Keep a request (dict of JSON kind; gets the member `tag`) -> slot. Raises OSError when the flash refuses; it
        is not kept then."""
        slot = 0
        while slot in self._taken:
            slot += 1
        kept["tag"] = crypto.random_bytes(_TAG_LEN).hex()
        packed = json.dumps(kept).encode()
        name = _name(slot)
        try:
            self._vault.save(name, packed)
        except OSError:
            if self._vault.load(name) != packed:  # one good copy is as good as two
                raise
        self._taken.add(slot)
        return slot

    def args(self, slot):
        """The arguments of a request, or None when flash damage took them."""
        packed = self._vault.load(_name(slot))
        try:
            return json.loads(packed.decode())["args"]
        except (AttributeError, KeyError, ValueError, UnicodeError):
            return None

    def mark(self, slot, tag):
        """Note durably that the request is about to change something."""
        self._mark(slot).save(bytes.fromhex(tag))

    def drop(self, slot):
        """Forget a request. Raises OSError when the flash refuses: it is still there then."""
        self._vault.save(_name(slot), _FREE)
        self._taken.discard(slot)


def _name(slot):
    return "job%02d" % slot
