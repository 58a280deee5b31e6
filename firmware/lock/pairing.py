"""Whose lock it is: when and how far it is paired, that this happens wholly or not at all, and resets.

`Pairing` owns the touch window (security.md PAIR-1) and the transaction (security.md PAIR-2): until `finish`, keys and
whatever else a pairing client sets are held in RAM by the vault. `Ownership` owns what follows from a change of owner.
The bytes of the commands are `commands.pairing`'s.
"""

from firmware.lib import crypto
from firmware.lib.compat import const
from firmware.lock import authority

_TOUCH_MS = const(15000)
_WINDOW_MS = const(120000)
_MAX_FAILURES = const(3)
_UNFINISHED_MS = const(30000)  # security.md PAIR-2: a client that never says "finished", but logged in


class Pairing:
    """`over_air` False: the owner's setting forbids it."""

    def __init__(self, stores, over_air):
        self._stores = stores
        self._keys = stores.keys
        self._over_air = over_air
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
        if self._keys.is_paired or not self._over_air or self._stores.is_damaged:
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
        """The link is gone: what is not finished is undone, and counts as a failure. True if something was."""
        self._is_linked = False
        is_undone = self._stage != authority.FACTORY
        if is_undone:
            self._stage = authority.FACTORY
            self._key = None
            self._stores.roll_back()
            self.fail()
        self.is_open(now_ms)
        return is_undone

    def fail(self):
        """A failed attempt; three close the window."""
        self._failures += 1
        if self._failures >= _MAX_FAILURES:
            self._opened_ms = None

    def new_key(self):
        """0x19: a fresh random key, used from 0x56 on."""
        self._key = crypto.new_key(16)
        self._stage = authority.KEYED
        return self._key

    def add_admin(self, admin_ps, unlock_key, now_ms):
        """0x56: hold the numbers; level P begins."""
        self._stores.begin()
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
        self._stores.commit()
        self._stage = authority.FACTORY  # that is PAIRED, now that keys are stored
        self._key = None
        self._opened_ms = None
        return True

    def is_due(self, now_ms):
        """True when it is to be finished for a client that proved its numbers and never says that it has finished
        (security.md PAIR-2).
        """
        is_long = now_ms - self._admin_ms >= _UNFINISHED_MS
        return self._stage == authority.PROVISIONAL and self._has_proof and is_long

    def is_overdue(self, now_ms):
        """True when the link must go: the window is closed and nothing is stored."""
        return self._stage != authority.FACTORY and not self.is_open(now_ms)


class Ownership:
    """`device` and `motion` are the lock's; `device.pairing` is driven through here."""

    def __init__(self, device, motion):
        self._device = device
        self._motion = motion

    def finish_pairing(self, now_ms):
        """The pairing client is done, if there is one: what it set is durable from here on."""
        device = self._device
        if device.pairing.finish():
            device.release_held(True)
            device.feedback.show("paired", now_ms)
            device.log("paired")

    def poll(self, now_ms):
        """Finish a pairing that is due."""
        if self._device.pairing.is_due(now_ms):
            self.finish_pairing(now_ms)

    def link_down(self, now_ms):
        """The client's link is gone: a pairing that it did not finish is undone."""
        device = self._device
        if device.pairing.link_down(now_ms):
            device.options_changed()
            device.release_held(False)
            device.feedback.show("pairing_undone", now_ms)
            device.log("pairing_undone")

    def promise_reset(self):
        """First phase of a reset: durably promised; from here on no right of the owner holds (security.md RST-2)."""
        self._device.stores.promise_reset()
        self._device.is_resetting = True

    def reset(self, now_ms):
        """Second phase: nothing of the owner is left; the bolt stays where it is."""
        device = self._device
        self._motion.abandon()
        device.release_held(False)
        device.stores.reset()
        device.options_changed()
        device.feedback.calm()
        device.enrolment.cancel()
        device.is_resetting = False
        device.resets += 1
        device.changes += 1
        device.feedback.show("reset", now_ms)
