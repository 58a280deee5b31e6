"""Two radios that advertise under one address: a lock, and somebody who passes for it (security.md 2.1).

Owns the two signs of it. A lock that serves a client is silent, so what advertises while the lock goes on answering is
another. And a lock changes what it advertises at the pace of people; two of them, heard in turns, seem to change back
and forth all the time.
"""

from firmware.lib.compat import const
from firmware.system.timing import ticks_add, ticks_diff, ticks_ms

_SETTLE_MS = const(300)  # advertisements of the moment before the link may still come out of a queue
_FLIPS = const(12)  # more than anybody turns a key; two advertisers make twice as many in the time
_WITHIN_MS = const(15000)


class Twins:
    """Remembers one link, and of each address the last two contents. Entries of addresses beyond `most` are dropped."""

    def __init__(self, most=64):
        self._most = most
        self._heard = {}  # address -> [content, content before, flips, tick of the first]
        self._address = None
        self._since_ms = 0
        self._is_doubled = False

    def linked(self, address, since_ms=0):
        """A link to `address` has begun, so many milliseconds from now; None: it has ended."""
        self._address = address
        self._since_ms = ticks_add(ticks_ms(), since_ms)
        self._is_doubled = False

    def answered(self, address):
        """The lock has answered on its link. True when somebody advertised in its name after the link had begun."""
        found = address == self._address and self._is_doubled
        self._is_doubled = False
        return found

    def heard(self, address, content):
        """An advertisement. True when its content has gone back and forth too often."""
        now_ms = ticks_ms()
        if address == self._address and ticks_diff(now_ms, self._since_ms) > _SETTLE_MS:
            self._is_doubled = True
        entry = self._heard.get(address)
        if entry is None:
            if len(self._heard) >= self._most:
                self._heard.pop(next(iter(self._heard)))
            self._heard[address] = [content, None, 0, now_ms]
            return False
        if content == entry[0]:
            return False
        if content != entry[1]:
            entry[2] = 0
        elif not entry[2] or ticks_diff(now_ms, entry[3]) > _WITHIN_MS:
            entry[2] = 1
            entry[3] = now_ms
        else:
            entry[2] += 1
        entry[1] = entry[0]
        entry[0] = content
        if entry[2] < _FLIPS:
            return False
        entry[2] = 0
        return True
