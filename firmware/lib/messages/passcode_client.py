"""Passcodes: requests to a lock and its answers. Commands 0x03 (all operations) and 0x07.

Type numbers are those of the link, not the vendor cloud's. Source: lock-ble-commands.md 3.1-3.3.
"""

from firmware.lib import dates
from firmware.lib.compat import const
from firmware.lib.errors import ProtocolError
from firmware.lib.messages.common import (
    bad_request,
    check_length,
    decode_number,
    decode_percent,
    digits,
    encode_date,
    is_digits,
    number,
    take,
)

PERMANENT = 1
ONCE = 2
PERIOD = 3
CYCLIC = 4

CLEAR = 1
ADD = 2
DELETE = 3
MODIFY = 5
RECOVER = 6

_MIN_SCHEDULE = const(1000)
_MAX_SCHEDULE = const(1239)


class Passcode:
    """One entry of the list. `code` opens now, `created` is what it was made as (text); `start`, `end` are date5.

    `end` is None for the permanent kind, `schedule` the 16-bit code of the cyclic kind (lock-ble-commands.md 3.1), else
    None. A kind or form that is not known has neither dates nor schedule; one that cannot be read at all has no `code`
    either (hardware-facts.md F40, F42).
    """

    __slots__ = ("code", "created", "end", "kind", "schedule", "start")

    def __init__(self, kind, code, created, start=None, end=None, schedule=None):
        self.kind = kind
        self.code = code
        self.created = created
        self.start = start
        self.end = end
        self.schedule = schedule


def _field(code):
    code = digits(code)
    return bytes((len(code),)) + code


def _entry(op, kind, code, start, end, schedule):
    plain = bytes((op, kind)) + _field(code) + encode_date(dates.NO_START if start is None else start)
    if kind == PERMANENT:
        return plain
    if kind in (ONCE, PERIOD):
        return plain + encode_date(dates.NO_END if end is None else end)
    if kind == CYCLIC and schedule is not None and _MIN_SCHEDULE <= schedule <= _MAX_SCHEDULE:
        return plain + number(schedule, 2)
    raise bad_request("no such kind of passcode or schedule")


def add(kind, code, start=None, end=None, schedule=None):
    """0x03, operation 2. Dates are date5 or date6; without them the sentinels for "always". Answered by `managed`."""
    return _entry(ADD, kind, code, start, end, schedule)


def recover(kind, code, start=None, end=None, schedule=None):
    """0x03, operation 6: as `add`."""
    return _entry(RECOVER, kind, code, start, end, schedule)


def modify(kind, old, new, start=None, end=None):
    """0x03, operation 5: new digits (may be the old ones) and dates for an entry, which keeps its kind."""
    start = encode_date(dates.NO_START if start is None else start)
    return bytes((MODIFY, kind)) + _field(old) + _field(new) + start + encode_date(dates.NO_END if end is None else end)


def delete(kind, code):
    """0x03, operation 3."""
    return bytes((DELETE, kind)) + _field(code)


def clear():
    """0x03, operation 1: every passcode, but not the administrator's."""
    return bytes((CLEAR,))


def managed(data):
    """Answer to 0x03 -> (battery, operation)."""
    check_length(data, 2)
    return decode_percent(data), data[1]


def set_erase_code(code):
    """0x44: the digits that remove all passcodes; "" deletes it. One byte per digit; the answer carries no data."""
    return bytes(byte - 0x30 for byte in digits(code)) if code else b""


def count_request():
    """0x04, answered by `count`."""
    return b""


def count(data):
    """Answer to 0x04 -> (battery, how many passcodes the lock holds)."""
    check_length(data, 3)
    return decode_percent(data), decode_number(data, 1, 2)


def list_request(cursor):
    """0x07: begin with 0, go on with what `page` gave."""
    return number(cursor, 2)


def _decode_item(item):
    entry = Passcode(item[0] if item else None, None, None)
    try:
        code, at = take(item, 1)
        created, at = take(item, at)
        if not is_digits(code) or not is_digits(created):
            return entry
        kind = entry.kind
        entry.code, entry.created = code.decode(), created.decode()
        if not PERMANENT <= kind <= CYCLIC or len(item) - at != (5, 10, 10, 7)[kind - 1]:
            return entry
        start = dates.decode5(item, at)
        if kind == CYCLIC:
            entry.schedule = decode_number(item, at + 5, 2)
        elif kind != PERMANENT:
            entry.end = dates.decode5(item, at + 5)
        entry.start = start
    except ProtocolError:
        pass
    return entry


def page(data):
    """Answer to 0x07 -> (cursor to ask for next or None at the end, list of Passcode).

    Real locks send one entry per page; more are taken too. A cursor of 0 or 0xFFFF is the end (lock-ble-commands.md
    3.3).
    """
    total = decode_number(data, 0, 2)
    if total != len(data) - 2:
        raise ProtocolError("passcode page of %d bytes" % len(data))
    if total == 0:
        return None, []
    cursor = decode_number(data, 2, 2)
    entries = []
    at = 4
    while at < len(data):
        item, at = take(data, at)
        entries.append(_decode_item(item))
    return (None if cursor in (0, 0xFFFF) else cursor), entries
