"""Pairing: when it is possible, how far it has come, and that it happens wholly or not at all.

Owns the touch window (security.md PAIR-1) and the transaction (PAIR-2): until `finish`, keys and whatever else a
pairing client sets are held in RAM by the vault. The bytes of the commands are `commands.pairing`'s.
"""

from firmware.lib import crypto
from firmware.lib.compat import const
from firmware.lock import authority
from firmware.lock.credentials import keys as owner_keys

_TOUCH_MS = const(15000)
_WINDOW_MS = const(120000)
_FAILURES = const(3)
_UNFINISHED_MS = const(30000)  # PAIR-2: a client that never says "finished", but logged in


class Pairing:
    """`over_air` False: the owner's setting forbids it. `on_undo()` follows a roll-back, `on_done()` success."""

    def __init__(self, keys, vault, over_air, on_done, on_undo):
        self._keys = keys
        self._vault = vault
        self._over_air = over_air
        self.is_blocked = False  # until a reset: the keys of an owner are there and cannot be read
        self._on_done = on_done
        self._on_undo = on_undo
        self._opened_ms = None
        self._touched_ms = 0
        self._failures = 0
        self._is_linked = False
        self._admin_ms = 0
        self._has_proof = False
        self._key = None
        self._stage = authority.FACTORY

    @property
    def stage(self):
        """FACTORY, KEYED, PROVISIONAL or PAIRED of `authority`."""
        if self._stage == authority.FACTORY and self._keys.is_paired:
            return authority.PAIRED
        return self._stage

    @property
    def is_final(self):
        """True once the lock belongs to somebody for good; a pairing that may still be undone does not count."""
        return self.stage == authority.PAIRED

    @property
    def key(self):
        """The AES key of this pairing link, or None."""
        return self._key

    def touch(self, now_ms):
        """Somebody stands at the lock: opens the window, or makes it last 15 s more."""
        if self._keys.is_paired or not self._over_air or self.is_blocked:
            return
        if not self.is_open(now_ms):
            self._opened_ms = now_ms
            self._failures = 0
        self._touched_ms = now_ms

    def is_open(self, now_ms):
        """Advertisement flag bit 2, and whether 0x45 and 0x19 are allowed."""
        if self._opened_ms is None:
            return False
        in_touch = now_ms - self._touched_ms < _TOUCH_MS
        linked = self._is_linked or self._stage != authority.FACTORY
        if now_ms - self._opened_ms >= _WINDOW_MS or not (in_touch or linked):
            self._opened_ms = None
        return self._opened_ms is not None

    def link_up(self, now_ms):
        """A client connected; made while the window is open, its link keeps the window open."""
        self._is_linked = self.is_open(now_ms)

    def link_down(self, now_ms):
        """The link is gone: what is not finished is undone, and counts as a failure."""
        self._is_linked = False
        if self._stage != authority.FACTORY:
            self._undo()
        self.is_open(now_ms)

    def _undo(self):
        self._stage = authority.FACTORY
        self._key = None
        self._vault.rollback()
        self._keys.reload()
        self.fail()
        self._on_undo()

    def fail(self):
        """A failed attempt; three close the window."""
        self._failures += 1
        if self._failures >= _FAILURES:
            self._opened_ms = None

    def new_key(self):
        """0x19: a fresh random key, used from 0x56 on."""
        self._key = crypto.new_key(16)
        self._stage = authority.KEYED
        return self._key

    def add_admin(self, admin_ps, unlock_key, now_ms):
        """0x56: hold the numbers; level P begins."""
        self._vault.begin()
        self._keys.add_admin(self._key, admin_ps, unlock_key)
        self._stage = authority.PROVISIONAL
        self._admin_ms = now_ms
        self._has_proof = False

    def proved(self):
        """The client of this link showed both numbers (0x41, 0x30)."""
        self._has_proof = True

    def finish(self):
        """Store durably. Level P ends; True if there was anything to finish."""
        if self._stage != authority.PROVISIONAL:
            return False
        self._vault.commit(owner_keys.KEYS)
        self._stage = authority.FACTORY  # that is PAIRED, now that keys are stored
        self._key = None
        self._opened_ms = None
        self._on_done()
        return True

    def poll(self, now_ms):
        """Keep what a client set up that proved its numbers and never says that it has finished (PAIR-2)."""
        if self._stage == authority.PROVISIONAL and self._has_proof and now_ms - self._admin_ms >= _UNFINISHED_MS:
            self.finish()

    def is_overdue(self, now_ms):
        """True when the link must go: the window is closed and nothing is stored."""
        return self._stage != authority.FACTORY and not self.is_open(now_ms)
