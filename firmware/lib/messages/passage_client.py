"""Passage windows of a lock (0x66): requests and answers.

A window is seven bytes: kind (1 day of the week, 0 = every day; 2 day and month), day, month, hour and minute of start
and end; all times zero is the whole day. Source: lock-ble-commands.md 6.2; what they mean: `lib.windows.passage`.
"""

from firmware.lib.compat import const
from firmware.lib.errors import ProtocolError
from firmware.lib.messages.common import bad_request, check_length, decode_percent

LIST = 1
ADD = 2
DELETE = 3
CLEAR = 4

WEEKLY = 1
MONTHLY = 2

_END = const(0xFF)
_WINDOW_LEN = const(7)
_DAY_MIN = const(1440)


def window(kind, day, month, start_min, end_min):
    """The seven bytes of a window from minutes since midnight; 0 to 1440 is the whole day, another end of 1440 is sent
    as 23:59, which stands for it. An end before the start is on the next day, which only a lock of ours takes. Raises
    BadRequest (0x1D) for what no lock takes."""
    if kind == WEEKLY:
        is_day = 0 <= day <= 7 and month == 0
    else:
        is_day = kind == MONTHLY and 1 <= day <= 31 and 0 <= month <= 12
    if not is_day:
        raise bad_request("no such day")
    if not (0 <= start_min < _DAY_MIN and 0 < end_min <= _DAY_MIN and start_min != end_min):
        raise bad_request("no times of day")
    if start_min == 0 and end_min == _DAY_MIN:
        end_min = 0
    elif end_min == _DAY_MIN:
        end_min -= 1
    return bytes((kind, day, month, start_min // 60, start_min % 60, end_min // 60, end_min % 60))


def read(raw):
    """Seven bytes of a lock -> (kind, day, month, start_min, end_min), the whole day as 0 to 1440."""
    start, end = raw[3] * 60 + raw[4], raw[5] * 60 + raw[6]
    return raw[0], raw[1], raw[2], start, end or _DAY_MIN


def list_request(cursor=0):
    """Ask for the entry at `cursor`. Answered by `entry`."""
    return bytes((LIST, cursor))


def add(raw):
    """Add the window `raw`. Answered by `managed`."""
    return bytes((ADD,)) + raw


def delete(raw):
    """Remove exactly this window. Answered by `managed`."""
    return bytes((DELETE,)) + raw


def clear():
    """Remove all. Answered by `managed`."""
    return bytes((CLEAR,))


def entries(data):
    """Answer to a listing -> (next cursor or None, list of windows of seven bytes; none at the end). One answer may
    hold several (hardware-facts.md F47); what is left over at its end is a window of another length."""
    decode_percent(data)
    if len(data) < 3 or data[1] != LIST:
        raise ProtocolError("answer to another operation")
    after = None if data[2] in (0, _END) or len(data) == 3 else data[2]
    return after, [bytes(data[at : at + _WINDOW_LEN]) for at in range(3, len(data), _WINDOW_LEN)]


def is_known(raw):
    """Whether a window of a listing is one that `read` can tell."""
    if len(raw) != _WINDOW_LEN or raw[0] not in (WEEKLY, MONTHLY):
        return False
    return raw[3] <= 23 and raw[5] <= 23 and raw[4] <= 59 and raw[6] <= 59


def managed(data, op):
    """Answer to a change -> battery."""
    check_length(data, 2)
    if data[1] != op:
        raise ProtocolError("answer to another operation")
    return decode_percent(data)
