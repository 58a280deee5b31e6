"""Windows that come back every day, on days of the week or of the month: whether one is open, and until when.

Owns the calendar of recurring passcodes, of cyclic cards, fingerprints and fobs, and of passage mode. Knows neither a
clock nor a credential. Times are minutes since 2000-01-01 00:00, lock-local; a window is a tuple
(days, month_day, month, opens, length): bits of the weekdays, bit 0 = Monday, or, with no bit set, the day of the month
(month 0 = of every month); `opens` in minutes since midnight, `length` at most a day. A window that runs over midnight
belongs to the day on which it opens; it closes with the minute at which it ends. No window begins before 2000 or after
2099, and bytes that make no sense make a window that is never open.
Source: domain.md 3.1, 3.2, 3.6; lock-ble-commands.md 3.1 (schedule codes), 4.6 (0x70), 6.2 (0x66).
"""

from firmware.lib import dates
from firmware.lib.compat import const

WINDOW_LEN = 7  # bytes of one window in 0x70 and 0x66: kind, day, month, hour and minute of start and end

_DAY_MIN = const(1440)
_WEEK_MIN = const(7 * 1440)
_SCHEDULES = const(1000)  # codes 1000 + 24 * row + hours - 1
_EVERY_DAY = const(0x7F)
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


def _hours(raw, at):
    """(opens, closes) in minutes since midnight, or None."""
    for place in range(at + 3, at + 7, 2):
        if raw[place] > 23 or raw[place + 1] > 59:
            return None
    return raw[at + 3] * 60 + raw[at + 4], raw[at + 5] * 60 + raw[at + 6]


def cyclic(raw):
    """Windows of 0x70, seven bytes each -> tuple of windows. Kinds: 1 day of the week, 2 every day, 3 day of the month.

    An end before the start is on the next day. Equal times enclose nothing, but 00:00 to 00:00, as in passage mode and
    as the API's 0 to 1440 has to be sent, is the whole day.
    """
    found = []
    for at in range(0, len(raw), WINDOW_LEN):
        kind, day = raw[at], raw[at + 1]
        window = NEVER
        hours = _hours(raw, at)
        if hours is not None:
            opens, closes = hours
            length = _DAY_MIN if opens == closes == 0 else (closes - opens) % _DAY_MIN
            if kind == 1 and 1 <= day <= 7:
                window = (1 << (day - 1), 0, 0, opens, length)
            elif kind == 2:
                window = (_EVERY_DAY, 0, 0, opens, length)
            elif kind == 3:
                window = (0, day, 0, opens, length)
        found.append(window)
    return tuple(found)


def passage(raw):
    """Windows of 0x66, seven bytes each -> tuple of windows. Kinds: 1 day of the week (0 every day), 2 day and month.

    All times zero is the whole day. None runs over midnight; the wire knows no 24:00, so an end of 23:59 stands for it,
    else a door that is to stay open for days would lock for the last minute of each.
    """
    found = []
    for at in range(0, len(raw), WINDOW_LEN):
        kind, day, month = raw[at], raw[at + 1], raw[at + 2]
        window = NEVER
        hours = _hours(raw, at)
        if hours is not None:
            opens, closes = hours
            if closes == _DAY_MIN - 1 or opens == closes == 0:
                closes = _DAY_MIN
            length = closes - opens  # below zero: never open
            if kind == 1 and day <= 7:
                window = (1 << (day - 1) if day else _EVERY_DAY, 0, 0, opens, length)
            elif kind == 2:
                window = (0, day, month, opens, length)
        found.append(window)
    return tuple(found)


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


def open_until(windows, now):
    """When the last of windows that overlap or follow each other without a gap closes, or None if none is open.

    Looks a week ahead: a later end is told when the time has come nearer.
    """
    until = now
    while until < now + _WEEK_MIN:
        latest = until
        for window in windows:
            end = closes(window, until)
            if end is not None and end > latest:
                latest = end
        if latest == until:
            break
        until = latest
    return until if until > now else None


def first_opening(window, start):
    """When a window of weekdays opens for the first time at or after `start`, or None if it never does."""
    day = start // _DAY_MIN
    for day in range(day, day + 8):
        begins = day * _DAY_MIN + window[3]
        if begins >= start and window[0] >> (day + 5) % 7 & 1:
            return begins
    return None
