"""What the bolt is about to do and for whom, on flash before it moves (security.md 4.3 rule 4, I1).

Owns a cell. A movement that was asked for with a credential leaves its record there first; the record itself is written
when the bolt has arrived. After a power cut in between, where the bolt is found says what became of it; nothing is done
again. Layout: target (0 locked, 1 unlocked), sequence of the record store u32 big-endian, the record as `vault.wrap`
leaves it (it may hold typed digits).
"""

from firmware.lib import records
from firmware.lib.compat import const
from firmware.lib.errors import ProtocolError
from firmware.lock import bolt

_UNLOCK_TIMED_OUT = const(65)
_LOCK_TIMED_OUT = const(66)
_FAILURES = (_UNLOCK_TIMED_OUT, _LOCK_TIMED_OUT)
_HEAD_LEN = const(5)


class Intent:
    """`cell` is a system.cell.Cell, `ring` the record store, `vault` has wrap and unwrap."""

    def __init__(self, cell, ring, vault):
        self._cell = cell
        self._ring = ring
        self._vault = vault

    def begin(self, target, raw):
        """The bolt is about to move to `target`; `raw` is the record of its arrival. Durable on return.

        A flash that refuses does not keep the door shut.
        """
        place = b"\x01" if target == bolt.UNLOCKED else b"\x00"
        try:
            self._cell.save(place + self._ring.next_sequence.to_bytes(4, "big") + self._vault.wrap(raw))
        except OSError:
            pass

    def forget(self):
        """At a reset: with another key the record would be noise, which must not pass for one."""
        try:
            self._cell.save(b"")
        except OSError:  # the reset matters more
            pass

    def unresolved(self, state):
        """At start: the record that the last movement still lacks, or None. `state` is where the bolt was found.

        (type, tail): of the arrival if the bolt is where it was to go, else that it did not get there.
        """
        kept = self._cell.load()
        if kept is None or len(kept) <= _HEAD_LEN:
            return None
        seq = int.from_bytes(kept[1:_HEAD_LEN], "big")
        raw = self._vault.unwrap(kept[_HEAD_LEN:])
        try:
            wanted = records.decode(raw or b"")
        except ProtocolError:
            return None
        if not self._ring.holds(seq):  # long ago, or the store was erased since
            return None
        failed = _UNLOCK_TIMED_OUT if kept[0] else _LOCK_TIMED_OUT
        for found in self._ring.since(seq):
            if found[0] == wanted.type or found[0] in _FAILURES:
                return None
        if state == (bolt.UNLOCKED if kept[0] else bolt.LOCKED):
            return wanted.type, wanted.tail
        return failed, b""
