"""The door's contact: open or closed, its records, and the alarm of a door that is left open.

Source: domain.md 3.6, 3.9, 4 (records 30, 31, 64); lock-ble-link.md 8.4 for the byte.
"""

from firmware.lib.compat import const
from firmware.lock.contact import Contact

_CLOSED = const(30)
_OPENED = const(31)
_LEFT_OPEN = const(64)


class Door:
    """`pin` is active while the door is closed, or None without a contact; `thing` is the lock's device."""

    def __init__(self, thing, pin):
        self._device = thing
        self._contact = Contact(pin)
        self._opened_ms = None
        self._has_told = False

    @property
    def byte(self):
        """As in 0x14: 0 open, 1 closed, 2 unknown."""
        return {None: 2, True: 1, False: 0}[self._contact.is_active]

    @property
    def is_open(self):
        """True if the door is known to be open."""
        return self._contact.is_active is False

    def poll(self, now_ms):
        """Look at the contact and at how long it has been open."""
        thing = self._device
        if self._contact.changed(now_ms):
            thing.changes += 1
            thing.wake(now_ms)
            if thing.keys.is_paired:
                thing.record(_OPENED if self.is_open else _CLOSED, bytes((thing.battery_pct,)))
        if not self.is_open:
            self._opened_ms = None
            return
        if self._opened_ms is None:
            self._opened_ms = now_ms
            self._has_told = False
        limit_s = thing.options.door_alarm_s
        if limit_s and not self._has_told and now_ms - self._opened_ms >= 1000 * limit_s and thing.keys.is_paired:
            self._has_told = True
            thing.record(_LEFT_OPEN, bytes((thing.battery_pct,)))
            thing.feedback.show("left_open", now_ms)
            thing.wake(now_ms)
