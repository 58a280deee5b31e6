"""Whether the radio does its work. Owns the signs, which `radio` and `central` note; what they mean, and what is done
about them, is for whoever watches.
"""

from firmware.lib.compat import const
from firmware.system.timing import ticks_diff, ticks_ms

_MASK = const(0x3FFFFFFF)  # the count stays a small integer


class Health:
    """`adverts` counts what was received; the others what went wrong in a row, until its opposite."""

    def __init__(self):
        self.adverts = 0
        self._listened_ms = 0
        self._since_ms = None  # tick since which the radio scans
        self.forgive()

    def forgive(self):
        """Count anew: something was done about it."""
        self.refused = 0  # attempts to connect that the stack would not begin
        self.unreported = 0  # attempts of which the stack never told the end
        self.failed = 0  # attempts that led to no link, whatever the reason

    def listens(self, is_on):
        """The radio has begun to scan, or ended it."""
        self._listened_ms = self.listened_ms()
        self._since_ms = ticks_ms() if is_on else None

    def listened_ms(self):
        """For how long it has scanned so far; wraps at 2^30."""
        passed_ms = 0 if self._since_ms is None else ticks_diff(ticks_ms(), self._since_ms)
        return (self._listened_ms + passed_ms) & _MASK

    def heard(self):
        """An advertisement of anybody was received. In the interrupt handler."""
        self.adverts = (self.adverts + 1) & _MASK

    def attempted(self, is_refused=False, is_unreported=False):
        """An attempt to connect has ended, or never begun. In whichever way, it led to no link so far."""
        self.refused = self.refused + 1 if is_refused else 0
        self.unreported = self.unreported + 1 if is_unreported else 0
        self.failed += 1

    def linked(self):
        """A peer has answered on a link."""
        self.forgive()
