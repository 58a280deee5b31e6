"""Windows as they are sent and stored, of cards, fingerprints and fobs (0x70) and of passage mode (0x66), and how long
several of them hold together. Loaded only by a lock that has some.

Seven bytes each: kind, day, month, hour and minute of start and end. What they become, and that bytes which make no
sense become a window that is never open: `recurrence`. Source: lock-ble-commands.md 4.6, 6.2; domain.md 3.2, 3.6.
"""

from firmware.lib import recurrence
from firmware.lib.compat import const

_WINDOW_LEN = const(7)
_DAY_MIN = const(1440)
_WEEK_MIN = const(7 * 1440)
_EVERY_DAY = const(0x7F)


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
    read = []
    for at in range(0, len(raw), _WINDOW_LEN):
        kind, day = raw[at], raw[at + 1]
        window = recurrence.NEVER
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
        read.append(window)
    return tuple(read)


def passage(raw):
    """Windows of 0x66, seven bytes each -> tuple of windows. Kinds: 1 day of the week (0 every day), 2 day and month.

    All times zero is the whole day. An end before the start is on the next day. The wire knows no 24:00, so an end of
    23:59 stands for it, else a door that is to stay open for days would lock for the last minute of each.
    """
    read = []
    for at in range(0, len(raw), _WINDOW_LEN):
        kind, day, month = raw[at], raw[at + 1], raw[at + 2]
        window = recurrence.NEVER
        hours = _hours(raw, at)
        if hours is not None:
            opens, closes = hours
            if closes == _DAY_MIN - 1 or opens == closes == 0:
                closes = _DAY_MIN
            length = closes - opens if opens <= closes else closes - opens + _DAY_MIN  # of equal times nothing
            if kind == 1 and day <= 7:
                window = (1 << (day - 1) if day else _EVERY_DAY, 0, 0, opens, length)
            elif kind == 2:
                window = (0, day, month, opens, length)
        read.append(window)
    return tuple(read)


def open_until(windows, now):
    """When the last of windows that overlap or follow each other without a gap closes, or None if none is open.

    Looks a week ahead: a later end is told when the time has come nearer.
    """
    until = now
    while until < now + _WEEK_MIN:
        latest = until
        for window in windows:
            end = recurrence.closes(window, until)
            if end is not None and end > latest:
                latest = end
        if latest == until:
            break
        until = latest
    return until if until > now else None
