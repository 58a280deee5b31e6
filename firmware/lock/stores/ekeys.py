"""The ekeys of persons: each has an unlock key of its own, a window and a uid by which the lock finds it. In the vault.

Owns who may still open (security.md CRED-4, CVE-2023-6960): a uid is given out once, in ascending order; one that was
given out and has no entry any more is revoked for good, which takes one number and no list. One class of the vault
holds all of it, so that a revocation and a reset are one save each. Fifty entries are under 1 KiB, read once.

Layout: flag position u24, serial of the next uid u24, then per slot: uid u32 (0: free), unlock key u32, start5, end5,
flags (1 frozen, 2 may open through a gateway, 4 opens once). Errors: lock-ble-commands.md 1.5.
"""

from firmware.lib import credentials, crypto
from firmware.lib.compat import const
from firmware.lib.messages.ekey_lock import FIRST_UID, FROZEN, LAST_UID, ONCE, REMOTE
from firmware.lock.stores.bank import Store

CAPACITY = 50

_CLASS = "ekeys"

_HEAD = const(6)
_ROW = const(19)
_REVOKED = const(0x0D)
_EXISTS = const(0x14)
_UNKNOWN = const(0x15)
_FULL = const(0x16)
_BAD_VALUE = const(0x1D)


class Ekeys(Store):
    """`add`, `modify` and `revoke` return None, or the error byte; all changes are durable on return."""

    CLASSES = ((_CLASS, 0),)

    def __init__(self, vault):
        self._vault = vault
        self.flag_pos = 0
        self._next = 0
        self._rows = []

    def load(self):
        packed = self._vault.load(_CLASS) or bytes(_HEAD)
        self.flag_pos = int.from_bytes(packed[:3], "big")
        self._next = int.from_bytes(packed[3:_HEAD], "big")
        self._rows = [packed[at : at + _ROW] for at in range(_HEAD, len(packed), _ROW)]

    def _keep(self, rows, flag_pos=None, following=None):
        flag_pos = self.flag_pos if flag_pos is None else flag_pos
        following = self._next if following is None else following
        while rows and not _is_used(rows[-1]):
            rows.pop()
        self._vault.save(_CLASS, flag_pos.to_bytes(3, "big") + following.to_bytes(3, "big") + b"".join(rows))
        self.flag_pos = flag_pos
        self._next = following
        self._rows = rows

    def __len__(self):
        return sum(1 for row in self._rows if _is_used(row))

    @property
    def next_uid(self):
        """The uid that the next person is to get."""
        return FIRST_UID + self._next

    def slot(self, uid):
        """Where the ekey of `uid` stands, or None."""
        wanted = uid.to_bytes(4, "big")
        for slot, row in enumerate(self._rows):
            if row[:4] == wanted and uid:
                return slot
        return None

    def unlock_key(self, slot):
        """The secret of an ekey."""
        return int.from_bytes(self._rows[slot][4:8], "big")

    def answered(self, challenge, given):
        """The uid of the ekey whose secret answers `challenge` with the sum `given`, or None. Looks at every one.

        For clients that show uid 0 whatever their bundle says, as public ones do (lock-ble-commands.md 10.3).
        """
        person = None
        wanted = given.to_bytes(4, "big")
        for row in self._rows:
            total = (challenge + int.from_bytes(row[4:8], "big")) & 0xFFFFFFFF
            if crypto.equal(total.to_bytes(4, "big"), wanted) and _is_used(row):
                person = int.from_bytes(row[:4], "big")
        return person

    def credential(self, uid):
        """What the lock itself knows of `uid`, for `validity`; None for a uid that is nobody's: the owner's keys."""
        slot = self.slot(uid)
        if slot is None:
            if not FIRST_UID <= uid <= LAST_UID:
                return None
            revoked = credentials.Credential()
            revoked.is_revoked = True
            return revoked
        row = self._rows[slot]
        ekey = credentials.dated(row[8:13], row[13:18])
        ekey.is_frozen = bool(row[18] & FROZEN)
        ekey.has_remote_right = bool(row[18] & REMOTE)
        ekey.is_once = bool(row[18] & ONCE)
        return ekey

    def add(self, uid, key, limits):
        """`limits`: start5, end5, flags. The same again: success without change; 0x0D: it was given out before."""
        row = uid.to_bytes(4, "big") + key.to_bytes(4, "big") + limits
        slot = self.slot(uid)
        if slot is not None:
            return None if self._rows[slot] == row else _EXISTS
        if uid < self.next_uid:
            return _REVOKED
        if uid == LAST_UID:  # there would be no next one
            return _BAD_VALUE
        rows = list(self._rows)
        for slot, other in enumerate(rows):
            if not _is_used(other):
                rows[slot] = row
                break
        else:
            if len(rows) >= CAPACITY:
                return _FULL
            rows.append(row)
        self._keep(rows, following=uid - FIRST_UID + 1)
        return None

    def modify(self, uid, limits):
        """Other limits; 0x0D when it was revoked, 0x15 when there never was one."""
        slot = self.slot(uid)
        if slot is None:
            return _REVOKED if uid < self.next_uid else _UNKNOWN
        row = self._rows[slot][:8] + limits
        if row != self._rows[slot]:
            rows = list(self._rows)
            rows[slot] = row
            self._keep(rows)
        return None

    def revoke(self, uid):
        """It never opens again. Success also when it was revoked before; 0x15 when there never was one."""
        slot = self.slot(uid)
        if slot is None:
            return None if uid < self.next_uid else _UNKNOWN
        rows = list(self._rows)
        rows[slot] = bytes(_ROW)
        self._keep(rows)
        return None

    def reset(self, flag_pos):
        """None is left, and whoever shares the owner's keys has to know the new flag position (error 0x0D). The present
        one: it was done before; success without change. A smaller one: 0x1D.
        """
        if flag_pos < self.flag_pos:
            return _BAD_VALUE
        if flag_pos > self.flag_pos:
            self._keep([], flag_pos)
        return None

    def at(self, index):
        """The first entry in or above slot `index`: (slot, uid, its limits), or None at the end."""
        for slot in range(index, len(self._rows)):
            row = self._rows[slot]
            if _is_used(row):
                return slot, int.from_bytes(row[:4], "big"), row[8:]
        return None


def _is_used(row):
    return row[:4] != b"\x00\x00\x00\x00"
