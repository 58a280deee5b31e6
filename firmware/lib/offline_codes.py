"""Passcodes that need no contact with the lock: their digits, made by the host and found again by the lock, and what
such a code may do.

Owns derivation, search and the limits of the API's passcode types 1 to 14; whether a code may open now is `validity`'s.
A code is nine digits: a truncated HMAC-SHA-256, under a secret of the lock's own, of kind, start hour and a number that
tells codes of the same kind and hour apart. The digits carry no fields: the lock finds them by making every code that
could be valid now. Exact definition, known answers and the chance of a guess: lib/README.md. Source: decisions.md
DEC-37; domain.md 3.1.

`start` counts hours since 2000-01-01 00:00, lock-local. `number`: one-time 0 to 199 and permanent 0 to 19, in the order
of issue; timed, the place in DURATIONS_H; erase 0; recurring, the hours of a window less one, `start` being its first.
Types 5 to 14 are recurring, in the order of `recurrence.row`: weekend, daily, Monday to Friday, Monday to Sunday.
"""

from firmware.lib import recurrence
from firmware.lib.compat import const
from firmware.lib.credentials import Credential
from firmware.lib.crypto import Hmac, hkdf

ONCE = 1
PERMANENT = 2
PERIOD = 3
ERASE = 4
LENGTH = 9
SEEDS_LEN = 61
ONCE_COUNT = 200
PERMANENT_COUNT = 20
# Hours of a timed code: up to a day by hours, up to 31 days by days, then as listed
DURATIONS_H = tuple(range(1, 25)) + tuple(range(48, 745, 24))
DURATIONS_H += tuple(24 * days for days in (35, 42, 49, 56, 60, 90, 120, 180, 240, 270, 365, 366))

FIRST_RECURRING = 5
LAST_RECURRING = 14

_ONCE_MIN = const(6 * 60)
_DAY_MIN = const(1440)

_CODES = 1000000000
_SIZE = const(5)  # bytes of a digest that make a code
_PER_DIGEST = const(6)
_SLICE = const(8)  # digests between two pauses: some milliseconds on a board

# (first hour back, hour behind the last) in which a code may have started, of one-time codes and of all others: those
# that may be valid now, then those of a day before and a day to come, so that a right code at a wrong time is no guess
_STAGES = (((0, 6), (0, 24)), ((6, 30), (24, 48)), ((-24, 0), (-24, 0)))


def secret(seeds):
    """The 61 bytes of 0x31 -> the secret of 32 bytes."""
    return hkdf(seeds, b"", b"gatehouse-codes-1", 32)


def count(kind, start):
    """How many numbers codes of a kind have that start at an hour; 0 where the kind does not fall on that day."""
    if kind == ONCE:
        return ONCE_COUNT
    if kind == PERMANENT:
        return PERMANENT_COUNT
    if kind == PERIOD:
        return len(DURATIONS_H)
    if kind == ERASE:
        return 1
    if FIRST_RECURRING <= kind <= LAST_RECURRING and recurrence.falls(kind - FIRST_RECURRING, start // 24):
        return 24  # hours of the window
    return 0


def _first_opening(window, start):
    """When the window opens first; it opens at the time of day of `start`. None: never."""
    for opening in range(start, start + 7 * _DAY_MIN, _DAY_MIN):
        if recurrence.closes(window, opening) == opening + window[4]:
            return opening
    return None


def limits(kind, start_min, end_min=None, is_used=False):
    """Type, start, end -> Credential, in minutes as there. Start and end are cut to the hour.

    `end_min`: of a period; of a recurring code the end of the first window. All but one-time and erase codes must be
    used within 24 hours of the start, a recurring one within 24 hours of its first window, which may be days later.
    """
    start_min -= start_min % 60
    made = Credential(start_min)
    made.is_offline = True
    made.is_used = is_used
    if kind == ONCE:
        made.is_once = True
        made.end_min = start_min + _ONCE_MIN
    elif kind == ERASE:
        made.erases = True
        made.end_min = start_min + _DAY_MIN
    elif kind == PERMANENT:
        made.first_use_end_min = start_min + _DAY_MIN
    elif kind == PERIOD:
        made.first_use_end_min = start_min + _DAY_MIN
        made.end_min = end_min - end_min % 60
    else:
        window = recurrence.row(kind - FIRST_RECURRING, start_min % _DAY_MIN, end_min - end_min % 60 - start_min)
        made.windows = (window,)
        first_min = _first_opening(window, start_min)
        made.first_use_end_min = None if first_min is None else first_min + _DAY_MIN
    return made


def credential(kind, start, number, is_used=False):
    """What the code may do, for `validity`."""
    hours = DURATIONS_H[number] if kind == PERIOD else number + 1
    return limits(kind, start * 60, (start + hours) * 60, is_used)


def _digest(hmac, kind, start, group):
    return hmac.of(bytes((kind, start >> 16, start >> 8 & 0xFF, start & 0xFF, group)))


def _value(digest, place):
    return int.from_bytes(digest[_SIZE * place : _SIZE * place + _SIZE], "big") % _CODES


def digits(secret, kind, start, number):
    """The code as text."""
    if not 0 <= number < count(kind, start):
        raise ValueError("no such code")
    return "%09d" % _value(_digest(Hmac(secret), kind, start, number // _PER_DIGEST), number % _PER_DIGEST)


class Search:
    """Looks for nine digits (text or ASCII) among the codes that could be meant at the hour `now`.

    `found` is then (kind, start, number) or None; `digests` counts the work. Every code of a stage is compared, in
    constant time; only a stage that found something is the last.
    """

    def __init__(self, secret, now, digits):
        self.found = None
        self.digests = 0
        self._hmac = Hmac(secret)
        self._now = now
        self._wanted = int(digits)

    def steps(self):
        """A generator that pauses after every few digests."""
        for once, others in _STAGES:
            for back in range(min(once[0], others[0]), max(once[1], others[1])):
                start = self._now - back
                if start < 0:
                    continue
                for kind in range(ONCE, LAST_RECURRING + 1):
                    hours = once if kind == ONCE else others
                    if not hours[0] <= back < hours[1]:
                        continue
                    numbers = count(kind, start)
                    for group in range((numbers + _PER_DIGEST - 1) // _PER_DIGEST):
                        self._look(kind, start, group, numbers)
                        if self.digests % _SLICE == 0:
                            yield
            if self.found is not None:
                return

    def _look(self, kind, start, group, numbers):
        self.digests += 1
        digest = _digest(self._hmac, kind, start, group)
        first = group * _PER_DIGEST
        for place in range(min(_PER_DIGEST, numbers - first)):
            if _value(digest, place) == self._wanted:  # both below 2^30: one comparison of a machine word
                self.found = self.found or (kind, start, first + place)

    def run(self):
        """All of it at once -> `found`."""
        for _ in self.steps():
            pass
        return self.found
