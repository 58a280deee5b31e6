"""Hours of cards, fingerprints and fobs: requests to a lock and its answers. Command 0x70.

A window is seven bytes (`windows.cyclic`). Real locks know add and clear only; query and remove are our own.
Source: lock-ble-commands.md 4.6; vectors k_cyclic_*, x_cyclic_*.
"""

from firmware.lib.compat import const
from firmware.lib.errors import ProtocolError
from firmware.lib.messages.common import bad_request, check_length, decode_percent, number

FINGERPRINT = 1  # whose hours
CARD = 2
FACE = 0x10
PALM = 0x11
QR = 0x12
FOB = 0x13

WEEKLY = 1
DAILY = 2
MONTHLY = 3

QUERY = 1
ADD = 2
REMOVE = 3
CLEAR = 4

_DAY_MIN = const(1440)
_END = const(0xFF)


def window(kind, day, from_min, to_min):
    """Seven bytes: a day (1 Monday to 7, or of the month; 0 of DAILY) and minutes since midnight, `to_min` up to 1440.

    The wire has no 24:00: an end of 1440 goes as 00:00, which with a start of 0 is the whole day.
    """
    if not (0 <= from_min < _DAY_MIN and 0 < to_min <= _DAY_MIN):
        raise bad_request("no times of day")
    to_min %= _DAY_MIN
    return number(kind, 1) + number(day, 1) + bytes((0, from_min // 60, from_min % 60, to_min // 60, to_min % 60))


def parts(from_min, to_min, takes_one):
    """Hours as the windows of one day, each (days later, from, to). An end before the start is on the next day: one
    window where the lock `takes_one` over midnight, else two, of which the first ends with 23:59, as does every other
    that ends at 24:00."""
    if takes_one:
        return ((0, from_min, to_min),)
    if from_min < to_min:
        return ((0, from_min, min(to_min, _DAY_MIN - 1)),)
    return (0, from_min, _DAY_MIN - 1), (1, 0, to_min)


def _whose(op, kind, user):
    return bytes((op, kind, len(user))) + user


def add(kind, user, window):
    """Let `user` (the bytes of a number, as many as the lock lists) in at these hours as well."""
    return _whose(ADD, kind, user) + window + b"\0\0\0\0"


def clear(kind, user):
    """Let `user` in at any hour."""
    return _whose(CLEAR, kind, user)


def query(kind, user, index):
    """The window number `index`; answered by `window_of`."""
    return _whose(QUERY, kind, user) + number(index, 1)


def remove(kind, user, window):
    """Take exactly this window away."""
    return _whose(REMOVE, kind, user) + window


def window_of(data):
    """Answer to query -> (index to ask for next, seven bytes), or (None, None) behind the last."""
    decode_percent(data)
    check_length(data, 3, 10)
    if data[1] != QUERY or (len(data) == 3) != (data[2] == _END):
        raise ProtocolError("no window")
    return (None, None) if len(data) == 3 else (data[2], bytes(data[3:]))
