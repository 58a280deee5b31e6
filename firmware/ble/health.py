"""Whether the radio works. Owns the counters that `radio` and `central` raise; what they mean, and what is done about
it, is for whoever watches.
"""

from firmware.lib.compat import const
from firmware.system.timing import ticks_diff, ticks_ms

_MASK = const(0x3FFFFFFF)  # the count stays a small integer


class Health:
    """`adverts` counts advertisements received; the other counters count failures in a row, and end with a success."""

    def __init__(self):
        self.adverts = 0
        self._listened_ms = 0
        self._since_ms = None  # tick since which the radio scans
        self.forgive()

    def forgive(self):
        """Start the failure counters again: a repair was tried, or a link works."""
        self.refused = 0  # attempts to connect that the stack refused to start
        self.unreported = 0  # attempts whose end the stack never reported
        self.failed = 0  # attempts without a link, whatever the reason

    def listens(self, is_on):
        """Scanning has started, or has stopped."""
        self._listened_ms = self.listened_ms()
        self._since_ms = ticks_ms() if is_on else None

    def listened_ms(self):
        """How long the radio has scanned since start-up; wraps at 2^30."""
        passed_ms = 0 if self._since_ms is None else ticks_diff(ticks_ms(), self._since_ms)
        return (self._listened_ms + passed_ms) & _MASK

    def advertised(self):
        """An advertisement was received, of whatever device. Called in the interrupt handler."""
        self.adverts = (self.adverts + 1) & _MASK

    def attempted(self, is_refused=False, is_unreported=False):
        """An attempt to connect has ended, or could not start. It counts as failed until `linked`."""
        self.refused = self.refused + 1 if is_refused else 0
        self.unreported = self.unreported + 1 if is_unreported else 0
        self.failed += 1

    def linked(self):
        """A peer has answered on a link."""
        self.forgive()
