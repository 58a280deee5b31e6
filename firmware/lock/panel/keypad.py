"""The keypad: digits in, a decision at `#`. Owns the entry being typed and what a finished one does.

Source: domain.md 3.1, 3.10, 3.11; security.md LIM-4, DEL-3; records 4, 7, 48, 92; of refusals: `access`.
"""

from firmware.lib import credentials, crypto, records, validity
from firmware.lib.compat import const
from firmware.lock import access, bolt, device

_BY_PASSCODE = const(4)
_WRONG = const(7)
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
        now = access.situation(thing)
        now.is_locked_out = not guard.begin(now_ms)
        kind, credential = (None, None) if now.is_locked_out else self._look_up(digits)
        verdict = validity.decide(credential, now)
        if verdict.is_right:
            guard.succeed()
        elif verdict.why != "unknown" and not now.is_locked_out:
            guard.withdraw()  # no guess
        if verdict.opens:
            if verdict.then == validity.USE_UP:
                thing.passcodes.delete(digits)  # durable before the bolt moves (DEL-3)
            thing.operate(bolt.UNLOCKED, kind, records.by_code(digits), _nothing, now_ms)
        elif verdict.why == "unknown":
            self._wrong(digits, now_ms)
        else:
            self._refused(verdict.why, digits, now_ms)

    def _look_up(self, digits):
        """(record of its use, credential or None); the codes of both kinds are always compared."""
        thing = self._device
        is_admin = crypto.equal(thing.keys.admin_passcode, digits)
        found = thing.passcodes.find(digits)
        if is_admin:
            return _BY_ADMIN_PASSCODE, credentials.admin()
        return _BY_PASSCODE, access.of_passcode(found[1]) if found else None

    def _wrong(self, digits, now_ms):
        thing = self._device
        thing.record(_WRONG, records.by_wrong_code(digits))
        if thing.limits.keypad.is_pausing:
            thing.record(device.LOCKED_OUT)
            thing.feedback.show("lockout", now_ms)
        else:
            thing.feedback.show("refused", now_ms)

    def _refused(self, why, digits, now_ms):
        thing = self._device
        kind = access.passcode_record(why)
        if kind is not None:
            thing.record(kind, records.by_code(digits))
        thing.feedback.show(why if why in ("lockout", "low_battery") else "refused", now_ms)


def _nothing(arrived):
    pass
