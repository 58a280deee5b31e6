"""Passage mode: windows in which the door, once opened, stays open; and whether it does so at present.

Owns a class of the vault with the windows and the end of the window in which the door was opened, so that a start in
the middle of a window finds out whether the door may stand open. Moves nothing: `motion` asks. Which windows hold is
`lib.windows`'s. Layout of the class: end u32 big-endian (minutes since 2000, 0 = not held), then seven bytes each.
Source: domain.md 3.6; lock-ble-commands.md 6.2.
"""

from firmware.lib.compat import const
from firmware.lock.stores.bank import Store

_CLASS = "passage"
_WINDOW_LEN = const(7)
_HEAD_LEN = const(4)
_MAX = const(5)  # domain.md 3.3
_POLL_MS = const(500)


class Passage(Store):
    """`vault` is the lock's; times are minutes since 2000-01-01 00:00, lock-local."""

    CLASSES = ((_CLASS, 0),)

    def __init__(self, vault):
        self._vault = vault
        self._poll_ms = 0
        self._was_open = None  # whether a window held when last polled; None: not known, so none begins
        self._until_min = 0
        self._raw = b""
        self._windows = None

    def load(self):
        packed = self._vault.load(_CLASS) or bytes(_HEAD_LEN)
        self._until_min = int.from_bytes(packed[:_HEAD_LEN], "big")
        self._raw = bytes(packed[_HEAD_LEN:])
        self._windows = None
        self._was_open = None

    def _save(self, until_min, raw):
        if (until_min, raw) != (self._until_min, self._raw):
            self._vault.save(_CLASS, until_min.to_bytes(_HEAD_LEN, "big") + raw)
            if raw != self._raw:
                self._windows = None
            self._until_min, self._raw = until_min, raw

    # Windows

    def __len__(self):
        return len(self._raw) // _WINDOW_LEN

    def at(self, place):
        """The seven bytes of a window, or None behind the last."""
        return self._raw[place * _WINDOW_LEN : (place + 1) * _WINDOW_LEN] or None

    def _place(self, raw):
        for place in range(len(self)):
            if self.at(place) == raw:
                return place
        return None

    def add(self, raw):
        """Keep a window; one that is there already changes nothing. False when five others are. Durable on return.

        A window that holds at this moment has begun before: it opens nothing by itself.
        """
        if self._place(raw) is not None:
            return True
        if len(self) >= _MAX:
            return False
        self._save(self._until_min, self._raw + raw)
        self._was_open = None
        return True

    def remove(self, raw):
        """Remove exactly this window. False when there is none such. Durable on return."""
        place = self._place(raw)
        if place is None:
            return False
        at = place * _WINDOW_LEN
        self._save(self._until_min, self._raw[:at] + self._raw[at + _WINDOW_LEN :])
        return True

    def clear(self):
        """Remove all windows. Durable on return."""
        self._save(self._until_min, b"")

    @property
    def windows(self):
        """For `validity.Situation.passage`."""
        if not self._raw:
            return ()
        if self._windows is None:
            from firmware.lib import windows

            self._windows = windows.passage(self._raw)
        return self._windows

    # What holds the door

    @property
    def is_holding(self):
        """True while the door stands open because of a window."""
        return self._until_min != 0

    def opened(self, until_min):
        """The door was opened by an unlock; `until_min` of the windows that hold now, or None. True if it stays so."""
        self._keep(until_min or 0)
        return until_min is not None

    def locked(self):
        """The bolt is out, or not known to be in: nothing is held open."""
        self._keep(0)

    def start_open(self, now_min, until_min):
        """At start the bolt is drawn: "stays" if it was opened in a window that still holds, "ends" if in one that does
        not, else None.
        """
        if not self.is_holding:
            return None
        if until_min is not None and now_min < self._until_min:
            return "stays"
        self._keep(0)
        return "ends"

    def _keep(self, until_min):
        try:
            self._save(until_min, self._raw)
        except OSError:  # a full flash: the door opens all the same, and is not held open after the next start
            self._until_min = until_min

    def is_due(self, now_ms):
        """True twice a second when there is something to `poll` for."""
        if not (self._raw or self._until_min) or now_ms < self._poll_ms:
            return False
        self._poll_ms = now_ms + _POLL_MS
        return True

    def poll(self, until_min, is_clock_trusted):
        """What has changed, given the end of the windows that hold now or None: "begins", "ends" or None.

        A window that already holds when first polled with a trusted clock has begun before.
        """
        was_open = self._was_open
        self._was_open = until_min is not None if is_clock_trusted else None
        if until_min is None:
            if self._until_min:
                self._keep(0)
                return "ends"
            return None
        if self._until_min and until_min != self._until_min:
            self._keep(until_min)
        return "begins" if was_open is False else None
