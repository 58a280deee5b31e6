"""Ekeys of persons: requests to our lock and its answers. Command 0xe8, our own; layouts in `lib/README.md`.

Encoders give the data of a success. Dates stay the bytes in which they are stored (`credentials.dated`).
"""

from firmware.lib.compat import const
from firmware.lib.errors import ProtocolError
from firmware.lib.messages.common import (
    bad_request,
    check_length,
    decode_date,
    decode_number,
    number,
    operation,
    percent,
    unknown_operation,
)

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

_FLAGS = const(7)
_MAX_KEY = const(0x7FFFFFFF)
_LENGTHS = {STATUS: 1, ADD: 20, REVOKE: 5, RESET: 4, MODIFY: 16, LIST: 3}  # the operation byte counted


def _limits(plain, at):
    """(start5, end5, flags) at `at`. BadRequest unless they are dates in order and known flags."""
    decode_date(plain, at)
    decode_date(plain, at + 5)
    start, end, flags = bytes(plain[at : at + 5]), bytes(plain[at + 5 : at + 10]), plain[at + 10]
    if end <= start or flags > _FLAGS:
        raise bad_request("limits of an ekey")
    return start, end, flags


def decode_manage(plain):
    """0xe8 -> (operation, ...): add (uid, unlock key, start5, end5, flags), modify (uid, start5, end5, flags), revoke
    (uid), list (index), reset (flag position). BadRequest for values out of range, ProtocolError for lengths that do
    not add up.
    """
    op = operation(plain)
    if op not in _LENGTHS:
        raise unknown_operation(op)
    check_length(plain, _LENGTHS[op])
    if op == STATUS:
        return (op,)
    if op == RESET:
        return op, decode_number(plain, 1, 3)
    if op == LIST:
        return op, decode_number(plain, 1, 2)
    uid = decode_number(plain, 1, 4)
    if not FIRST_UID <= uid <= LAST_UID:
        raise bad_request("uid of no ekey")
    if op == REVOKE:
        return op, uid
    if op == MODIFY:
        return (op, uid) + _limits(plain, 5)
    key = decode_number(plain, 5, 4)
    if not 0 < key <= _MAX_KEY:
        raise bad_request("unlock key out of range")
    return (op, uid, key) + _limits(plain, 9)


def encode_managed(battery, op):
    """Data of the answer to add, modify and revoke."""
    return bytes((percent(battery), op))


def encode_status(battery, flag_pos, next_uid, count, capacity):
    """Data of the answer to status."""
    if count > 255 or capacity > 255:
        raise ProtocolError("more ekeys than a byte counts")
    return encode_managed(battery, STATUS) + number(flag_pos, 3) + number(next_uid, 4) + bytes((count, capacity))


def encode_reset(battery, flag_pos):
    """Data of the answer to reset: the flag position from here on."""
    return encode_managed(battery, RESET) + number(flag_pos, 3)


def encode_list(battery, after, uid=0, limits=b""):
    """Data of the answer to list: one entry, `limits` being start5, end5 and flags; `after` None: behind the last."""
    if after is None:
        return encode_managed(battery, LIST) + b"\xff\xff"
    return encode_managed(battery, LIST) + number(after, 2) + number(uid, 4) + limits
