"""A contact or a knob that is read by polling: what rests for a moment counts, what bounces does not.

Owns no meaning. `pin.is_active()`; a pin None is a part that is not fitted.
"""

from firmware.lib.compat import const

_REST_MS = const(60)


class Contact:
    """`is_active` is None before the first reading has come to rest, and for ever without the part."""

    def __init__(self, pin):
        self._pin = pin
        self._seen = None
        self._since_ms = 0
        self.is_active = None

    def changed(self, now_ms):
        """Look at it. True if it has come to rest at another level than before; the first level is no change."""
        if self._pin is None:
            return False
        seen = self._pin.is_active()
        if seen is not self._seen:
            self._seen = seen
            self._since_ms = now_ms
        if seen is self.is_active or now_ms - self._since_ms < _REST_MS:
            return False
        was, self.is_active = self.is_active, seen
        return was is not None
