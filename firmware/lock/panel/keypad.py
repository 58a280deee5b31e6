"""The keypad: digits in, a decision at `#`. Owns the entry being typed and what a finished one does.

Source: domain.md 3.1, 3.10, 3.11; security.md LIM-4, DEL-3; records 4, 7, 11, 48, 92.
"""

from firmware.lib import crypto, records
from firmware.lib.compat import const
from firmware.lock import access, bolt, device
from firmware.lock.credentials import passcodes

_BY_PASSCODE = const(4)
_WRONG = const(7)
_NOT_NOW = const(11)
_BY_ADMIN_PASSCODE = const(92)

_FORGET_MS = const(10000)  # between two keys of one entry
_LONGEST = const(9)
_SHORTEST = const(4)


class Keypad:
    """`button` is told of a finished `000#`, which may be the second half of a reset."""

    def __init__(self, thing, button):
        self._device = thing
        self._button = button
        self._typed = b""
        self._is_overlong = False
        self._key_ms = 0

    def touch(self, now_ms):
        """A palm on the keypad: wakes the lock."""
        self._device.feedback.show("touched", now_ms)
        self._device.touch(now_ms)

    def press(self, key, now_ms):
        """One key: "0" to "9", "#" ends an entry, "*" forgets it."""
        if now_ms - self._key_ms >= _FORGET_MS:
            self._clear()
        self._key_ms = now_ms
        self._device.touch(now_ms)
        if key == "#":
            typed, is_overlong = self._typed, self._is_overlong
            self._clear()
            self._entered(typed, is_overlong, now_ms)
            return
        self._device.feedback.show("key", now_ms)
        if key == "*":
            self._clear()
        elif len(self._typed) < _LONGEST:
            self._typed += key.encode()
        else:
            self._is_overlong = True

    def _clear(self):
        self._typed = b""
        self._is_overlong = False

    def _entered(self, digits, is_overlong, now_ms):
        if self._button.takes(digits, now_ms):
            return
        thing = self._device
        if not thing.is_usable or is_overlong or len(digits) < _SHORTEST:
            thing.feedback.show("refused", now_ms)  # nothing that could be a code: not counted
            return
        guard = thing.limits.keypad
        if not guard.begin(now_ms):
            thing.feedback.show("lockout", now_ms)
            return
        is_admin = crypto.equal(thing.keys.admin_passcode, digits)
        found = thing.passcodes.find(digits)
        if is_admin:
            guard.succeed()
            self._open(_BY_ADMIN_PASSCODE, digits, now_ms)
        elif found is None:
            self._wrong(digits, now_ms)
        elif not access.passcode_opens(found[1], thing.clock):
            guard.withdraw()
            thing.record(_NOT_NOW, records.by_code(digits))
            thing.feedback.show("refused", now_ms)
        else:
            guard.succeed()
            if found[1][0] == passcodes.ONCE and thing.battery_pct >= device.MIN_BATTERY_PCT:
                thing.passcodes.delete(digits)  # durable before the bolt moves (DEL-3)
            self._open(_BY_PASSCODE, digits, now_ms)

    def _wrong(self, digits, now_ms):
        thing = self._device
        thing.record(_WRONG, records.by_wrong_code(digits))
        if thing.limits.keypad.is_pausing:
            thing.record(device.LOCKED_OUT)
            thing.feedback.show("lockout", now_ms)
        else:
            thing.feedback.show("refused", now_ms)

    def _open(self, kind, digits, now_ms):
        thing = self._device
        if thing.battery_pct < device.MIN_BATTERY_PCT:
            thing.feedback.show("low_battery", now_ms)
            return
        thing.operate(bolt.UNLOCKED, kind, records.by_code(digits), _nothing, now_ms)


def _nothing(arrived):
    pass
