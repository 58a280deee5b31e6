"""Ekeys of persons: requests to a lock of ours and its answers. Command 0xe8, our own; layouts in `lib/README.md`."""

from firmware.lib import dates
from firmware.lib.compat import const
from firmware.lib.errors import ProtocolError
from firmware.lib.messages.common import check_length, decode_number, decode_percent, encode_date, number

STATUS = 1
ADD = 2
REVOKE = 3
RESET = 4
MODIFY = 5
LIST = 6

FROZEN = 1
REMOTE = 2
ONCE = 4

FIRST_UID = 0x4B000000
LAST_UID = 0x4BFFFFFF

_END = const(0xFFFF)
_FLAGS = const(7)


class Ekey:
    """One entry of the list; `start`, `end` are date5, NO_START and NO_END of `dates` where there is no limit."""

    def __init__(self, uid, start, end, flags):
        self.uid = uid
        self.start = start
        self.end = end
        self.flags = flags


def status():
    """Ask how many there are; answered by `status_of`."""
    return bytes((STATUS,))


def _limits(start, end, flags):
    start = encode_date(dates.NO_START if start is None else start)
    return start + encode_date(dates.NO_END if end is None else end) + number(flags, 1)


def add(uid, unlock_key, start=None, end=None, flags=0):
    """Let who shows `uid` open with `unlock_key`, from `start` to `end` (date5 of the lock's clock, None: no limit)."""
    return bytes((ADD,)) + number(uid, 4) + number(unlock_key, 4) + _limits(start, end, flags)


def revoke(uid):
    """The ekey opens no more, for ever; also one that is revoked already."""
    return bytes((REVOKE,)) + number(uid, 4)


def reset(flag_pos):
    """Revoke all and raise the flag position; to one that is reached already: nothing more. Answered by `reset_to`."""
    return bytes((RESET,)) + number(flag_pos, 3)


def modify(uid, start=None, end=None, flags=0):
    """Other limits."""
    return bytes((MODIFY,)) + number(uid, 4) + _limits(start, end, flags)


def list_request(index):
    """The first entry in or above `index`; answered by `entry`."""
    return bytes((LIST,)) + number(index, 2)


def _echoed(data, op, *lengths):
    decode_percent(data)
    check_length(data, *lengths)
    if data[1] != op:
        raise ProtocolError("answer to operation %d" % data[1])


def managed(data, op):
    """Answer to add, modify, revoke."""
    _echoed(data, op, 2)


def status_of(data):
    """Answer to status -> (flag position, uid to give out next, ekeys, capacity)."""
    _echoed(data, STATUS, 11)
    return decode_number(data, 2, 3), decode_number(data, 5, 4), data[9], data[10]


def reset_to(data):
    """Answer to reset -> flag position."""
    _echoed(data, RESET, 5)
    return decode_number(data, 2, 3)


def entry(data):
    """Answer to list -> (index to ask for next, Ekey), or (None, None) behind the last."""
    _echoed(data, LIST, 4, 19)
    after = decode_number(data, 2, 2)
    if len(data) == 4:
        if after != _END:
            raise ProtocolError("page without an ekey")
        return None, None
    uid = decode_number(data, 4, 4)
    if after == _END or not FIRST_UID <= uid <= LAST_UID or data[18] > _FLAGS:
        raise ProtocolError("no ekey")
    return after, Ekey(uid, dates.decode5(data, 8), dates.decode5(data, 13), data[18])
