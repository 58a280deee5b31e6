"""The button inside: a short press turns the bolt, five seconds arm a reset that `000#` confirms within ten.

Source: domain.md 3.10, records 46 and 47; security.md RST-1.
"""

from firmware.lib.compat import const
from firmware.lock import bolt

_UNLOCKED = const(46)
_LOCKED = const(47)

_BOUNCE_MS = const(30)
_SHORT_MS = const(2000)
_HOLD_MS = const(5000)
_CONFIRM_MS = const(10000)
_CONFIRMATION = b"000"


class Button:
    """`pin.is_active()` is polled. `may_reset`: the owner's setting; a client's is an option."""

    def __init__(self, pin, thing, may_reset=True):
        self._pin = pin
        self._device = thing
        self._may_reset = may_reset
        self._pressed_ms = None
        self._armed_ms = None
        self._has_armed = False  # by this press: a button that is stuck arms once

    def poll(self, now_ms):
        """Look at the button."""
        if self._pin.is_active():
            if self._pressed_ms is None:
                self._pressed_ms = now_ms
                self._has_armed = False
                self._device.touch(now_ms)
            elif now_ms - self._pressed_ms >= _HOLD_MS and self._can_reset() and not self._has_armed:
                self._has_armed = True
                self._armed_ms = now_ms
                self._device.feedback.show("reset_armed", now_ms)
            return
        if self._pressed_ms is not None:
            held_ms = now_ms - self._pressed_ms
            self._pressed_ms = None
            if _BOUNCE_MS <= held_ms < _SHORT_MS:
                self._turn(now_ms)

    def _can_reset(self):
        return self._may_reset and self._device.options.reset_button

    def is_armed(self, now_ms):
        """True while `000#` resets the lock."""
        return self._armed_ms is not None and now_ms - self._armed_ms < _CONFIRM_MS

    def takes(self, digits, now_ms):
        """An entry of the keypad: True if it was the confirmation, and the lock is reset."""
        if not self.is_armed(now_ms):
            return False
        self._armed_ms = None
        if digits != _CONFIRMATION:
            return False
        self._device.pairing.link_down(now_ms)
        self._device.begin_reset()
        self._device.wipe()  # which also ends the link of a client that is connected
        self._device.feedback.show("reset", now_ms)
        return True

    def _turn(self, now_ms):
        thing = self._device
        target, kind = bolt.UNLOCKED, _UNLOCKED
        if thing.bolt.state == bolt.UNLOCKED:
            target, kind = bolt.LOCKED, _LOCKED
        thing.operate(target, kind, b"", _nothing, now_ms)


def _nothing(arrived):
    pass
