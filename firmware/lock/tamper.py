"""The case's contact: whoever opens it while the setting is on starts the siren, and a record says so at once.

Source: domain.md 3.9, record 44.
"""

from firmware.lib.compat import const
from firmware.lock.contact import Contact

_TAMPERED = const(44)
_SIREN_MS = const(60000)


class Tamper:
    """`pin` is active while the case is closed, or None without a contact; `thing` is the lock's device."""

    def __init__(self, thing, pin):
        self._device = thing
        self._contact = Contact(pin)

    def poll(self, now_ms):
        """Look at the contact; a setting that was switched off ends the siren."""
        thing = self._device
        is_on = thing.options.tamper and thing.keys.is_paired
        if self._contact.changed(now_ms) and self._contact.is_active is False and is_on:
            thing.feedback.alarm(now_ms, _SIREN_MS)  # first: it needs no flash
            thing.wake(now_ms)
            thing.record(_TAMPERED)
        elif not is_on:
            thing.feedback.calm()
