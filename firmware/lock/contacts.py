"""What is read by polling a pin: the door's contact, the case's contact, the knob and the button inside.

Owns their debouncing, what they record and what they set off. `pin.is_active()`; a pin None is a part that is not
fitted. `device` and `motion` are the lock's.
"""

from firmware.lib.compat import const
from firmware.lock import bolt

_REST_MS = const(60)

_CLOSED = const(30)
_OPENED = const(31)
_LEFT_OPEN = const(64)

_TAMPERED = const(44)
_SIREN_MS = const(60000)

_DOUBLE_LOCK_ON = const(59)
_DOUBLE_LOCK_OFF = const(60)

_UNLOCKED_BY_BUTTON = const(46)
_LOCKED_BY_BUTTON = const(47)
_BOUNCE_MS = const(30)
_SHORT_MS = const(2000)
_HOLD_MS = const(5000)
_CONFIRM_MS = const(10000)
_CONFIRMATION = b"000"


class Contact:
    """A contact or a knob. `is_active` is None before the first reading has come to rest, and always without a pin."""

    def __init__(self, pin):
        self._pin = pin
        self._last = None
        self._since_ms = 0
        self.is_active = None

    def has_changed(self, now_ms):
        """Read it. True if it has come to rest at another level than before; the first level is no change."""
        if self._pin is None:
            return False
        level = self._pin.is_active()
        if level is not self._last:
            self._last = level
            self._since_ms = now_ms
        if level is self.is_active or now_ms - self._since_ms < _REST_MS:
            return False
        was, self.is_active = self.is_active, level
        return was is not None


class Door:
    """The records of the door's contact, `device.door`, and the alarm of a door that is left open.

    Source: domain.md 3.6, 3.9, 4 (records 30, 31, 64).
    """

    def __init__(self, device):
        self._device = device
        self._opened_ms = None
        self._has_alarmed = False

    def poll(self, now_ms):
        """Read the contact, and see how long the door has been open."""
        device = self._device
        is_paired = device.stores.keys.is_paired
        has_changed = device.door.has_changed(now_ms)
        is_open = device.door.is_active is False
        if has_changed:
            device.changes += 1
            device.wake(now_ms)
            if is_paired:
                device.record(_OPENED if is_open else _CLOSED, bytes((device.battery_pct,)))
        if not is_open:
            self._opened_ms = None
            return
        if self._opened_ms is None:
            self._opened_ms = now_ms
            self._has_alarmed = False
        limit_s = device.stores.options.door_alarm_s
        if limit_s and not self._has_alarmed and now_ms - self._opened_ms >= 1000 * limit_s and is_paired:
            self._has_alarmed = True
            device.record(_LEFT_OPEN, bytes((device.battery_pct,)))
            device.feedback.show("left_open", now_ms)
            device.wake(now_ms)


class Tamper:
    """The case's contact, active while the case is closed: whoever opens it while the setting is on starts the siren.

    Source: domain.md 3.9, record 44.
    """

    def __init__(self, device, pin):
        self._device = device
        self._contact = Contact(pin)

    def poll(self, now_ms):
        """Read the contact; a setting that was switched off ends the siren."""
        device = self._device
        is_on = device.stores.options.tamper and device.stores.keys.is_paired
        if self._contact.has_changed(now_ms) and self._contact.is_active is False and is_on:
            device.feedback.alarm(now_ms, _SIREN_MS)  # first: it needs no flash
            device.wake(now_ms)
            device.record(_TAMPERED)
        elif not is_on:
            device.feedback.calm()


class Privacy:
    """The knob inside that locks the door double: while it is, nobody but the administrator opens from outside.

    `pin` is active while the knob is turned. The state is an option, so that it outlives a loss of power; `validity`
    refuses by it. It ends when the knob is turned back, when the bolt is drawn, by whomever, and when the setting is
    switched off. Source: domain.md 3.8, records 59, 60.
    """

    def __init__(self, device, motion, pin):
        self._device = device
        self._motion = motion
        self._knob = Contact(pin)
        self._is_wanted = False  # turned, and the bolt is not out yet

    def poll(self, now_ms):
        """Read the knob, the setting and the bolt."""
        device = self._device
        options = device.stores.options
        if self._knob.has_changed(now_ms):
            device.wake(now_ms)
            self._is_wanted = bool(self._knob.is_active and options.privacy and device.is_usable)
            if self._is_wanted and device.bolt.state != bolt.LOCKED:
                self._motion.operate(bolt.LOCKED, _LOCKED_BY_BUTTON, b"", self._locked, now_ms)
        if self._is_wanted and device.bolt.state == bolt.LOCKED:
            self._is_wanted = False
            self._set(1, now_ms)
        is_back = self._knob.is_active is False  # perhaps turned while there was no power
        if is_back or not options.privacy or device.bolt.state == bolt.UNLOCKED:
            self._set(0, now_ms)

    def _locked(self, arrived):
        if not arrived:
            self._is_wanted = False

    def _set(self, value, now_ms):
        device = self._device
        options = device.stores.options
        if options.double_locked == value:
            return
        options.keep_state("double_locked", value)
        device.record(_DOUBLE_LOCK_ON if value else _DOUBLE_LOCK_OFF)
        device.feedback.show("double_locked" if value else "double_lock_off", now_ms)
        device.changes += 1


class Button:
    """The button inside: a short press turns the bolt, five seconds arm a reset that `000#` confirms within ten.

    `may_reset` is the owner's setting; a client's is an option.
    Source: domain.md 3.10, records 46 and 47; security.md RST-1.
    """

    def __init__(self, pin, device, motion, ownership, may_reset=True):
        self._pin = pin
        self._device = device
        self._motion = motion
        self._ownership = ownership
        self._may_reset = may_reset
        self._pressed_ms = None
        self._armed_ms = None
        self._has_armed = False  # by this press: a button that is stuck arms once

    def poll(self, now_ms):
        """Read the button."""
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
        return self._may_reset and self._device.stores.options.reset_button

    def is_armed(self, now_ms):
        """True while `000#` resets the lock."""
        return self._armed_ms is not None and now_ms - self._armed_ms < _CONFIRM_MS

    def confirms(self, digits, now_ms):
        """An entry of the keypad: True if it confirmed a reset, which is done then."""
        if not self.is_armed(now_ms):
            return False
        self._armed_ms = None
        if digits != _CONFIRMATION:
            return False
        self._ownership.link_down(now_ms)
        self._ownership.promise_reset()
        self._ownership.reset(now_ms)  # which also ends the link of a client that is connected
        return True

    def _turn(self, now_ms):
        target, kind = bolt.UNLOCKED, _UNLOCKED_BY_BUTTON
        if self._device.bolt.state == bolt.UNLOCKED:
            target, kind = bolt.LOCKED, _LOCKED_BY_BUTTON
        self._motion.operate(target, kind, b"", None, now_ms)
