"""The lock's clock: local wall time without zone, and whether it can be trusted.

Owns the rules for setting it, and the file that says whether it is trusted. Uses the board's RTC, which is handed in as
two functions and holds local time as seconds since 2000-01-01. Source: security.md 3.2 (0x43), CLK-1, DEL-3;
lock-ble-link.md 8.7; domain.md 3.7.
"""

from firmware.lib import dates
from firmware.lib.compat import const
from firmware.lock.stores.bank import Store
from firmware.system import store

_FREE_S = const(300)  # what the key alone may change between two settings by the administrator


class Clock(Store):
    """`rtc_s()` reads and `set_rtc(s)` sets the RTC; `path` is the file. The RTC runs on over a reset and a roll-back:
    who then is nobody's lock distrusts it.
    """

    def __init__(self, rtc_s, set_rtc, path):
        self._rtc_s = rtc_s
        self._set_rtc = set_rtc
        self._path = path
        self._moved_s = 0
        self._newest_s = 0
        self.is_trusted = False

    def start(self, is_lost=False, newest_s=0):
        """At start. `is_lost`: the board comes from a loss of power, so that the RTC says nothing. `newest_s` is the
        time of the newest record, below which the clock does not start again.
        """
        kept = store.load(self._path)
        if kept is not None:
            self._moved_s = kept["moved_s"]
            self.is_trusted = kept["trusted"] and not is_lost and self._rtc_s() >= newest_s
        if not self.is_trusted:
            self._set_rtc(newest_s)
            self._keep()
        self._newest_s = newest_s

    def _keep(self):
        try:
            store.save(self._path, {"trusted": self.is_trusted, "moved_s": self._moved_s}, twin=True)
        except OSError:  # the flash is full: the door must work, and a start without the file distrusts the clock
            store.remove(self._path)

    def seconds(self):
        """Local seconds since 2000-01-01 00:00:00."""
        return self._rtc_s()

    def date6(self):
        """(year, month, day, hour, minute, second)"""
        return dates.from_seconds(self._rtc_s())

    def record_written(self):
        """A record was written now: the key alone cannot set the clock below this any more."""
        self._newest_s = self._rtc_s()

    def set(self, date6, is_admin):
        """Set the clock; False: not allowed. `is_admin`: level P or S3."""
        wanted_s = dates.to_seconds(date6)
        if is_admin:
            self._set_rtc(wanted_s)
            self._moved_s = 0
            self.is_trusted = True
            self._keep()
            return True
        moved_s = self._moved_s + wanted_s - self._rtc_s()
        floor_s = self._newest_s if self.is_trusted else self._rtc_s()
        if not -_FREE_S <= moved_s <= _FREE_S or wanted_s < floor_s:
            return False
        if moved_s != self._moved_s:
            self._moved_s = moved_s
            self._keep()
            self._set_rtc(wanted_s)
        return True

    def distrust(self):
        """Pairing broke off or the lock was reset: no owner of this lock has set the clock."""
        if self.is_trusted:
            self.is_trusted = False
            self._keep()
