"""Dates of the wire: one plain binary byte for every two digits, years from 2000, local time without a zone.

A date6 is the tuple (year, month, day, hour, minute, second) with the full year, a date5 the same without seconds.
Source: lock-ble-link.md glossary (D5, D6), 8.5; lock-ble-commands.md 1.2.
"""

from firmware.lib.compat import const, is_whole
from firmware.lib.errors import BadRequest, ProtocolError

UNIX_2000 = const(946684800)  # the years that have dates, in Unix seconds
UNIX_2100 = const(4102444800)

NO_START = (2000, 1, 1, 0, 0)  # what credentials that begin whenever you like carry
NO_END = (2099, 1, 1, 0, 0)

DAYS = 36525  # from 2000-01-01 to 2099-12-31

_DAY_S = const(86400)
_DAY_MIN = const(1440)
_DAYS_IN = b"\x1f\x1c\x1f\x1e\x1f\x1e\x1f\x1f\x1e\x1f\x1e\x1f"
_LIMIT_S = const(36525 * 86400)


def days_in(year, month):
    """Days of a month; 2000 to 2099 has a leap day in every fourth year."""
    return 29 if month == 2 and year % 4 == 0 else _DAYS_IN[month - 1]


def check(date):
    """Return the date5 or date6 as a tuple. Raises ProtocolError if it is not one, or outside 2000 to 2099."""
    year, month, day, hour, minute = date[:5]
    second = date[5] if len(date) > 5 else 0
    if not (2000 <= year <= 2099 and 1 <= month <= 12 and 1 <= day <= days_in(year, month)):
        raise ProtocolError("no such day")
    if not (0 <= hour <= 23 and 0 <= minute <= 59 and 0 <= second <= 59):
        raise ProtocolError("no such time of day")
    return tuple(date)


def _encode(date, size):
    if len(date) < size:
        raise ProtocolError("date of %d fields" % len(date))
    date = check(date[:size])
    return bytes((date[0] - 2000,)) + bytes(date[1:size])


def _decode(buf, at, size):
    if at < 0 or len(buf) < at + size:
        raise ProtocolError("date cut off")
    return check((2000 + buf[at],) + tuple(buf[at + 1 : at + size]))


def encode6(date):
    """date6 -> six bytes."""
    return _encode(date, 6)


def decode6(buf, at=0):
    """Six bytes at `at` -> date6. Raises ProtocolError when cut off or no date."""
    return _decode(buf, at, 6)


def encode5(date):
    """date5 (or the first five fields of a date6) -> five bytes."""
    return _encode(date, 5)


def decode5(buf, at=0):
    """Five bytes at `at` -> date5. Raises ProtocolError when cut off or no date."""
    return _decode(buf, at, 5)


def to_minutes(date):
    """date5 or date6 -> whole minutes since 2000-01-01 00:00 of the same local time: a small integer on every board."""
    date = check(date)
    year = date[0] - 2000
    days = year * 365 + (year + 3) // 4 + date[2] - 1
    for month in range(1, date[1]):
        days += days_in(date[0], month)
    return days * _DAY_MIN + date[3] * 60 + date[4]


def to_seconds(date):
    """date5 or date6 -> seconds since 2000-01-01 00:00:00 of the same local time."""
    return to_minutes(date) * 60 + (date[5] if len(date) > 5 else 0)


def from_days(days):
    """Days since 2000-01-01 -> (year, month, day). Raises ProtocolError outside 2000 to 2099."""
    if not 0 <= days < DAYS:
        raise ProtocolError("day %d has no date" % days)
    year = 2000 + days // 1461 * 4
    days %= 1461
    if days >= 366:
        year += 1 + (days - 366) // 365
        days = (days - 366) % 365
    month = 1
    while days >= days_in(year, month):
        days -= days_in(year, month)
        month += 1
    return year, month, days + 1


def from_seconds(n):
    """Seconds since 2000-01-01 00:00:00 -> date6. Raises ProtocolError outside 2000 to 2099."""
    if not 0 <= n < _LIMIT_S:
        raise ProtocolError("%d s is no date" % n)
    rest = n % _DAY_S
    return from_days(n // _DAY_S) + (rest // 3600, rest % 3600 // 60, rest % 60)


def check_unix(value, key, low=UNIX_2000):
    """The value of `key` if it is whole Unix seconds, from `low` to 2099. Raises BadRequest that says what it is like:
    every date that somebody gives is checked here."""
    if is_whole(value, low, UNIX_2100 - 1):
        return value
    text = "%s must be whole Unix seconds from %s to 2099" % (key, "2000" if low else "0")
    if is_whole(value, UNIX_2000 * 1000, UNIX_2100 * 1000):
        text = "%s is in milliseconds: give Unix seconds" % key
    elif is_whole(value, UNIX_2100, 1 << 80):
        text = "%s lies too far ahead: %s" % (key, text)
    raise BadRequest(text)


def from_unix(unix_s):
    """Unix seconds -> date6 in UTC (in a zone: `lib/zone`). Raises ProtocolError as `from_seconds`."""
    return from_seconds(unix_s - UNIX_2000)


def to_unix(date):
    """date5 or date6 in UTC -> Unix seconds."""
    return to_seconds(date) + UNIX_2000
