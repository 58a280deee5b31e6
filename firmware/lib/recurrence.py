"""Windows that come back every day, on days of the week or of the month: whether one is open, and until when.

Owns the calendar of recurring passcodes, of cyclic cards, fingerprints and fobs, and of passage mode; `windows` reads
those of the latter two. Knows neither a clock nor a credential. Times are minutes since 2000-01-01 00:00, lock-local; a
window is a tuple (days, month_day, month, opens, length): bits of the weekdays, bit 0 = Monday, or, with none set, the
day of the month (month 0 = of every month); `opens` in minutes since midnight, `length` at most a day. A window that
runs over midnight belongs to the day on which it opens; it closes with the minute at which it ends. No window begins
before 2000 or after 2099, and what makes no sense is a window that is never open.
Source: domain.md 3.1, 3.2, 3.6; lock-ble-commands.md 3.1 (schedule codes).
"""

from firmware.lib import dates
from firmware.lib.compat import const

_DAY_MIN = const(1440)
_SCHEDULES = const(1000)  # codes 1000 + 24 * row + hours - 1
# Rows of schedule codes, and in the same order types 5 to 14 of the API: Sat+Sun, every day, Mon-Fri, Mon, ... Sun
_ROWS = b"\x60\x7f\x1f\x01\x02\x04\x08\x10\x20\x40"

NEVER = (0, 0, 0, 0, 0)


def row(place, opens, length):
    """The window of a row of weekdays: 0 weekend, 1 daily, 2 Monday to Friday, 3 Monday ... 9 Sunday."""
    if not (0 <= place < len(_ROWS) and 0 <= opens < _DAY_MIN and 0 < length <= _DAY_MIN):
        return NEVER
    return _ROWS[place], 0, 0, opens, length


def schedule(code, opens):
    """The window of a schedule code (1000 to 1239) that opens at a minute of the day."""
    place = code - _SCHEDULES
    return row(place // 24, opens, (place % 24 + 1) * 60)


def falls(place, day):
    """True if a row of weekdays (see `row`) has the day, counted from 2000-01-01."""
    return _ROWS[place] >> (day + 5) % 7 & 1 == 1


def _falls_on(window, day):
    if not 0 <= day < dates.DAYS:
        return False
    if window[0]:
        return window[0] >> (day + 5) % 7 & 1 == 1  # 2000-01-01 was a Saturday
    _, month, month_day = dates.from_days(day)
    return month_day == window[1] and (window[2] == 0 or window[2] == month)


def closes(window, now):
    """When the window closes that is open at `now`, or None if it is not open."""
    today = now // _DAY_MIN
    for day in (today, today - 1):
        begins = day * _DAY_MIN + window[3]
        if begins <= now < begins + window[4] and _falls_on(window, day):
            return begins + window[4]
    return None
