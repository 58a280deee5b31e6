"""The knob inside that locks the door double: while it is, nobody but the administrator opens from outside.

The state is an option, so that it outlives a loss of power; `validity` refuses by it. It ends when the knob is turned
back, when the bolt is drawn, by whomever, and when the setting is switched off. Source: domain.md 3.8, records 59, 60.
"""

from firmware.lib.compat import const
from firmware.lock import bolt
from firmware.lock.contact import Contact

_ON = const(59)
_OFF = const(60)
_LOCKED_BY_BUTTON = const(47)


class Privacy:
    """`pin` is active while the knob is turned, or None without one; `thing` is the lock's device."""

    def __init__(self, thing, pin):
        self._device = thing
        self._knob = Contact(pin)
        self._is_wanted = False  # turned, and the bolt is not out yet

    def poll(self, now_ms):
        """Look at the knob, the setting and the bolt."""
        thing = self._device
        options = thing.options
        if self._knob.changed(now_ms):
            thing.wake(now_ms)
            self._is_wanted = bool(self._knob.is_active and options.privacy and thing.is_usable)
            if self._is_wanted and thing.bolt.state != bolt.LOCKED:
                thing.operate(bolt.LOCKED, _LOCKED_BY_BUTTON, b"", self._locked, now_ms)
        if self._is_wanted and thing.bolt.state == bolt.LOCKED:
            self._is_wanted = False
            self._set(1, now_ms)
        is_back = self._knob.is_active is False  # perhaps turned while there was no power
        if is_back or not options.privacy or thing.bolt.state == bolt.UNLOCKED:
            self._set(0, now_ms)

    def _locked(self, arrived):
        if not arrived:
            self._is_wanted = False

    def _set(self, value, now_ms):
        thing = self._device
        if thing.options.double_locked == value:
            return
        thing.options.keep_state("double_locked", value)
        thing.record(_ON if value else _OFF)
        thing.feedback.show("double_locked" if value else "double_lock_off", now_ms)
        thing.changes += 1
