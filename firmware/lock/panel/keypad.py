"""The keypad: keys in, a finished entry out at `#`. Owns what is being typed; what an entry does is `entry`'s.

Source: domain.md 3.1, 3.10.
"""

from firmware.lib.compat import const
from firmware.lock.panel.entry import Entry

_FORGET_MS = const(10000)  # between two keys of one entry
_LONGEST = const(9)
_SHORTEST = const(4)


class Keypad:
    """`button` is told of a finished `000#`, which may be the second half of a reset."""

    def __init__(self, thing, button):
        self._device = thing
        self._button = button
        self._entry = Entry(thing)
        self._next = None  # one more finished entry, while the one before is searched for
        self._typed = b""
        self._is_overlong = False
        self._key_ms = 0

    @property
    def is_busy(self):
        """True while an entry is not decided yet."""
        return self._entry.is_busy

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

    def poll(self, now_ms):
        """Drive what an entry has begun."""
        self._entry.poll(now_ms)
        if self._next is not None and not self._entry.is_busy:
            digits = self._next
            self._next = None
            self._decide(digits, now_ms)

    def _clear(self):
        self._typed = b""
        self._is_overlong = False

    def _entered(self, digits, is_overlong, now_ms):
        if self._button.takes(digits, now_ms):
            return
        if is_overlong or len(digits) < _SHORTEST or self._next is not None:
            self._device.feedback.show("refused", now_ms)  # nothing that could be a code: not counted
        elif self._entry.is_busy:
            self._next = digits
        else:
            self._decide(digits, now_ms)

    def _decide(self, digits, now_ms):
        if self._device.is_usable:
            self._entry.begin(digits, now_ms)
        else:
            self._device.feedback.show("refused", now_ms)
