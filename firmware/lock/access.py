"""May this credential open now? The answer from its window and the lock's clock, nothing else.

Source: domain.md 3.1; lock-ble-commands.md 3.1 (schedule codes); security.md DEL-3, CLK-1; lock-ble-link.md 8.5.
"""

from firmware.lib import dates
from firmware.lib.compat import const
from firmware.lock.credentials import passcodes

_DAY_S = const(86400)
_SCHEDULES = const(1000)  # codes 1000 + 24 * p + hours - 1
# Weekdays by p, bit 0 = Monday: Sat+Sun, every day, Mon-Fri, Mon, ... Sun
_DAYS = b"\x60\x7f\x1f\x01\x02\x04\x08\x10\x20\x40"


def schedule(code):
    """(weekday bits, hours) of a schedule code, or None when there is no such code."""
    place = code - _SCHEDULES
    if not 0 <= place < 24 * len(_DAYS):
        return None
    return _DAYS[place // 24], place % 24 + 1


def _cyclic_is_open(trailer, now_s):
    days, hours = schedule(trailer[5] << 8 | trailer[6])
    minutes = trailer[3] * 60 + trailer[4]
    today = now_s // _DAY_S
    if trailer[:3] > dates.encode6(dates.from_seconds(now_s))[:3]:
        return False  # the date part, if any, is the first day
    for day in (today, today - 1):  # a window over midnight belongs to the day on which it starts
        opens_s = day * _DAY_S + minutes * 60
        weekday = (day + 5) % 7  # 2000-01-01 was a Saturday
        if days >> weekday & 1 and opens_s <= now_s < opens_s + hours * 3600:
            return True
    return False


def passcode_opens(entry, clock):
    """True if the stored passcode `entry` opens at this moment."""
    kind = entry[0]
    if not clock.is_trusted:
        return kind == passcodes.PERMANENT
    trailer = passcodes.trailer_of(entry)
    if kind == passcodes.CYCLIC:
        return _cyclic_is_open(trailer, clock.seconds())
    now = dates.encode6(clock.date6())[:5]
    if now < trailer[:5]:
        return False
    return kind == passcodes.PERMANENT or now < trailer[5:10]


def window_refusal(start, end, clock):
    """Error byte for the window a client states in 0x55, or None. `start`, `end`: date5, or both None = permanent."""
    if start is None:
        return None
    if not clock.is_trusted:
        return 0x11
    now = clock.date6()[:5]
    if now < tuple(start):
        return 0x11
    return 0x0E if now > tuple(end) else None
