"""What all stores of the lock have in common, and the bank: many small credentials in pages of the vault.

`Store` is the protocol by which `stores.Stores` reads, rolls back and resets everything that is on flash.

A `Bank` finds rows by a key and changes or clears them with one durable save each. It owns where a row stands, not what
it means: `key_of(row)` tells which part of a row is its key. A page is a class of 32 slots, so that a change rewrites
one block of flash; in RAM are four bytes for each row (a hash of the key, the slot) and one page. A class of its own
says which generation of pages counts: clearing raises it, and pages of any other are void wherever they come from
(security.md DEL-1); what is left of them is removed afterwards, or at the next start.

Layout: head class `name`: generation u32. Page class `name.NN` (hex): generation u32, then 32 times length u8, row;
length 0 is a free slot. The hash is taken with a random number of this start: nobody can choose keys that collide.
"""

import hashlib

from firmware.lib import crypto
from firmware.lib.compat import const
from firmware.lib.errors import EntropyError

_SLOTS = const(32)  # of a page: with rows of up to 80 bytes it fits one block of flash
_ENTRY = const(4)  # 22 bits of hash, 10 bits of slot
_MAX_SLOTS = const(1024)
_HASH_END = const(0xFC)  # of its third byte
_MAX_ROW = const(255)
_MAX_NAME = const(10)  # with the page, and what the vault adds, 15 characters


class Store:
    """Something that is kept on flash. `CLASSES` names the classes of the vault that it may have used, each with the
    number of rows if it is a bank, else 0.
    """

    CLASSES: tuple = ()

    def load(self):
        """Take the state from the vault: at start, after a roll-back, after a reset."""

    def wipe(self):
        """A reset: remove what lies outside the vault."""


def classes(name, capacity):
    """The names of all classes that a bank may have used, or, with a capacity of 0, of the class itself."""
    return [name] + ["%s.%02x" % (name, page) for page in range((capacity + _SLOTS - 1) // _SLOTS)]


def _salt():
    """A random number of this start. Without a generator that can be trusted the door must still work: then a search
    for keys that were chosen to collide is slow, and finds them."""
    try:
        return crypto.random_bytes(16)
    except EntropyError:
        return bytes(16)


class Bank:
    """`put`, `remove` and `clear` are durable on return. `comparisons` counts steps of the search in RAM and compared
    keys, `pages_read` pages taken from flash (one decision: bench/README.md).
    """

    def __init__(self, vault, name, capacity, key_of):
        assert len(name) <= _MAX_NAME and capacity <= _MAX_SLOTS
        self._vault = vault
        self._name = name
        self._capacity = capacity
        self._key_of = key_of
        self._salt = _salt()
        self._used = bytearray((capacity + _SLOTS - 1) // _SLOTS * _SLOTS // 8)
        self._index = bytearray(len(self._used) * 8 * _ENTRY)
        self._count = 0
        self._generation = 0
        self._cached = None
        self._page = b""
        self.comparisons = 0
        self.pages_read = 0

    def __len__(self):
        return self._count

    def load(self):
        """Take the state from the vault (start, roll-back, reset)."""
        self._count = 0
        self._cached = None
        self._page = b""
        for place in range(len(self._used)):
            self._used[place] = 0
        known = self._known()
        self._generation = self._stored_generation(known)
        for page in known:
            packed = self._vault.load(self._class(page))
            if packed is None:
                continue
            if int.from_bytes(packed[:4], "big") != self._generation:
                self._discard(page)
                continue
            for place, row in _rows(packed):
                slot = page * _SLOTS + place
                self._enter(self._hash(self._key_of(row)), slot)
                self._used[slot >> 3] |= 1 << (slot & 7)

    def _known(self):
        """Numbers of the pages of which there are files."""
        prefix = self._name + "."
        return [int(name[len(prefix) :], 16) for name in self._vault.names() if name[: len(prefix)] == prefix]

    def _class(self, page):
        return "%s.%02x" % (self._name, page)

    def _stored_generation(self, known):
        kept = self._vault.load(self._name)
        if kept is not None:
            return int.from_bytes(kept, "big")
        if not self._vault.is_damaged(self._name):
            return 0
        newest = 0  # which generation counts is lost: none of those that are there does
        for page in known:
            packed = self._vault.load(self._class(page))
            if packed is not None:
                newest = max(newest, int.from_bytes(packed[:4], "big"))
        self._vault.save(self._name, (newest + 1).to_bytes(4, "big"))
        return newest + 1

    def _discard(self, page):
        if not self._vault.is_holding:
            try:
                self._vault.remove(self._class(page))
            except OSError:  # it is void all the same, and the next start tries again
                pass

    # --- the index: hash and slot of each row, ascending by hash

    def _hash(self, key):
        digest = hashlib.sha256(self._salt + key).digest()
        return bytes((digest[0], digest[1], digest[2] & _HASH_END, 0))

    def _first(self, hashed):
        """Place of the first entry that is not below `hashed`."""
        low, high = 0, self._count
        index = self._index
        while low < high:
            middle = (low + high) >> 1
            self.comparisons += 1
            if index[middle * _ENTRY : middle * _ENTRY + _ENTRY] < hashed:
                low = middle + 1
            else:
                high = middle
        return low

    def _entries(self, hashed):
        """(place, slot) of the entries with this hash."""
        place = self._first(hashed)
        index = self._index
        while place < self._count:
            at = place * _ENTRY
            if index[at : at + 2] != hashed[:2] or index[at + 2] & _HASH_END != hashed[2]:
                return
            yield place, (index[at + 2] & ~_HASH_END) << 8 | index[at + 3]
            place += 1

    def _enter(self, hashed, slot):
        end = self._count * _ENTRY
        at = self._first(hashed) * _ENTRY
        index = memoryview(self._index)
        index[at + _ENTRY : end + _ENTRY] = index[at:end]
        index[at : at + _ENTRY] = hashed
        index[at + 2] |= slot >> 8
        index[at + 3] = slot & 255
        self._count += 1

    def _leave(self, place):
        at = place * _ENTRY
        end = self._count * _ENTRY
        index = memoryview(self._index)
        index[at : end - _ENTRY] = index[at + _ENTRY : end]
        self._count -= 1

    # --- pages

    def _load(self, page):
        if page != self._cached:
            self.pages_read += 1
            packed = self._vault.load(self._class(page)) or b""
            self._page = packed if packed[:4] == self._generation.to_bytes(4, "big") else b""
            self._cached = page
        return self._page

    def _row(self, slot):
        """The row that stands in a slot, or None."""
        for place, row in _rows(self._load(slot // _SLOTS)):
            if place == slot % _SLOTS:
                return row
        return None

    def _store(self, slot, row):
        """Write the page of `slot` with another row there (b"": none)."""
        page = slot // _SLOTS
        rows = [b""] * _SLOTS
        for place, other in _rows(self._load(page)):
            rows[place] = other
        rows[slot % _SLOTS] = row
        packed = self._generation.to_bytes(4, "big") + b"".join([bytes((len(each),)) + each for each in rows])
        try:
            self._vault.save(self._class(page), packed)
        except OSError:  # perhaps one copy was written: what counts is what a start would find
            self.load()
            raise
        self._cached = page
        self._page = packed

    def _find(self, key):
        """(place in the index, slot, row) or None."""
        for place, slot in self._entries(self._hash(key)):
            row = self._row(slot)
            self.comparisons += 1
            if row is not None and crypto.equal(self._key_of(row), key):
                return place, slot, row
        return None

    # --- what others use

    def find(self, key):
        """(slot, row) or None."""
        hit = self._find(key)
        return None if hit is None else hit[1:]

    def put(self, key, row):
        """Insert a row, or replace that of the same key, which keeps its slot. Its slot, or None: the bank is full."""
        assert 0 < len(row) <= _MAX_ROW
        hit = self._find(key)
        if hit is not None:
            if hit[2] != row:
                self._store(hit[1], row)
            return hit[1]
        if self._count >= self._capacity:
            return None
        slot = 0
        while self._used[slot >> 3] >> (slot & 7) & 1:
            slot += 1
        self._store(slot, row)
        self._enter(self._hash(key), slot)
        self._used[slot >> 3] |= 1 << (slot & 7)
        return slot

    def change(self, key, row):
        """Another row, perhaps of another key, in the slot of the row of `key`; False: there is none."""
        assert 0 < len(row) <= _MAX_ROW
        hit = self._find(key)
        if hit is None:
            return False
        place, slot, before = hit
        if row != before:
            self._store(slot, row)
            self._leave(place)
            self._enter(self._hash(self._key_of(row)), slot)
        return True

    def remove(self, key):
        """False: there was none."""
        hit = self._find(key)
        if hit is None:
            return False
        place, slot, _ = hit
        self._store(slot, b"")
        self._leave(place)
        self._used[slot >> 3] &= ~(1 << (slot & 7))
        return True

    def clear(self):
        """No row is left."""
        if not self._count:
            return
        try:
            self._vault.save(self._name, (self._generation + 1).to_bytes(4, "big"))
        finally:  # also when the flash refused: perhaps one copy was written, and then the old pages are void
            self.load()  # which removes them

    def at(self, slot):
        """The first row in or above `slot`: (slot, row), or None at the end."""
        while slot < len(self._used) * 8:
            if self._used[slot >> 3] >> (slot & 7) & 1:
                row = self._row(slot)
                if row is not None:
                    return slot, row
            slot += 1
        return None


def _rows(packed):
    """(place, row) of the slots that are taken."""
    place = 0
    at = 4
    while at < len(packed):
        end = at + 1 + packed[at]
        if packed[at]:
            yield place, packed[at + 1 : end]
        place += 1
        at = end
