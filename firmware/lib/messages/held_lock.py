"""Fingerprints, key fobs, their hours and those of cards, accessories: requests to our lock and its answers.

Commands 0x06 (fingerprints), 0xe3 to 0xe5 (fobs and their like: the same operations, with the address, in the order of
the air, as the number), 0x74 (battery of an accessory), 0x70 (hours). Encoders give the data of a success. Numbers are
six bytes, dates and windows the bytes in which they are stored (`windows.cyclic`).
Source: lock-ble-commands.md 4.6, 5, 6.7, 8.1; vectors k_fr_*, r_fr_*, k_cyclic_*, d_accessory_battery_fob,
r_accessory_battery, x_face_*.
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
    take,
    unknown_operation,
)

ADD = 2
DELETE = 3
CLEAR = 4
MODIFY = 5
LIST = 6

HOURS_QUERY = 1
HOURS_ADD = 2
HOURS_REMOVE = 3
HOURS_CLEAR = 4

OF_FINGER = 1  # kinds of users with hours
OF_CARD = 2
OF_FOB = 0x13

ONLINE = 1  # flag of a fob

_ADDED = const(1)  # states of an addition
_READY = const(2)
_PRESSED = const(3)

_LENGTHS = {ADD: 1, DELETE: 7, CLEAR: 1, MODIFY: 17, LIST: 3}  # the operation byte counted
_LAST_DAYS = b"\x00\x07\x00\x1f"  # by kind of window: weekly 1-7, daily 0, monthly 1-31
_WINDOW_LEN = const(7)
_USER_LENGTHS = {OF_FINGER: (6,), OF_CARD: (4, 8), 0x10: (6,), 0x11: (6,), 0x12: (6,), OF_FOB: (6,)}


def decode_fingerprint(plain):
    """0x06 -> (operation, ...): delete (id6), modify (id6, start5 + end5), list (index), add and clear ().

    BadRequest for values out of range and for the transfer of templates (7), which this lock does not know;
    ProtocolError for lengths that do not add up.
    """
    op = operation(plain)
    if op not in _LENGTHS:
        raise unknown_operation(op)
    check_length(plain, _LENGTHS[op])
    if op == LIST:
        return op, decode_number(plain, 1, 2)
    if op == DELETE:
        return op, bytes(plain[1:])
    return (op, bytes(plain[1:7]), _period(plain, 7)) if op == MODIFY else (op,)


def decode_fob(plain):
    """0xe3, as `decode_fingerprint`; an addition is (ADD,), wait for one, or (ADD, id6), add this one."""
    if len(plain) == 7 and plain[0] == ADD:
        return ADD, bytes(plain[1:])
    return decode_fingerprint(plain)


def _period(plain, at):
    """start5 + end5 at `at`, as they are stored. BadRequest unless they are dates in order."""
    decode_date(plain, at)
    decode_date(plain, at + 5)
    period = bytes(plain[at : at + 10])
    if period[5:] <= period[:5]:
        raise bad_request("period that ends before it begins")
    return period


def encode_managed(battery, op):
    """Data of the answer to delete, clear and modify."""
    return bytes((percent(battery), op))


def encode_ready(battery):
    """Data of the first answer to an addition: the lock waits."""
    return bytes((percent(battery), ADD, _READY))


def encode_pressed(battery, done, total):
    """Data of the answer to a good press; `done` of `total` are what our own clients show, others ignore them."""
    return bytes((percent(battery), ADD, _PRESSED, done, total))


def encode_added(battery, id6):
    """Data of the last answer to an addition."""
    return bytes((percent(battery), ADD, _ADDED)) + id6


def encode_list(battery, after, id6=b"", limits=b""):
    """Data of the answer to list: one entry, `limits` being start5 + end5; `after` None: behind the last."""
    if after is None:
        return encode_managed(battery, LIST) + b"\xff\xff"
    return encode_managed(battery, LIST) + number(after, 2) + id6 + limits


def encode_fob(battery, after, id6, limits, level, flags):
    """Data of the answer to list with a fob; the end is that of fingerprints. `level` is the fob's own battery."""
    return encode_list(battery, after, id6, limits) + bytes((percent(level), flags))


def decode_battery(plain):
    """0x74 -> kind of accessory: 1 door sensor, 2 remote control, 3 wireless keypad, 4 key fob."""
    check_length(plain, 1)
    return plain[0]


def encode_battery(kind, level):
    """Data of the answer: no battery of the lock in front."""
    return bytes((kind, percent(level)))


def decode_hours(plain):
    """0x70 -> (operation, kind of user, user, ...): add and remove (window), query (index), clear ().

    BadRequest for values out of range, ProtocolError for lengths that do not add up. Behind the window of an addition
    stand four zero bytes, as one client sends, or nothing.
    """
    op = operation(plain)
    if not HOURS_QUERY <= op <= HOURS_CLEAR:
        raise unknown_operation(op)
    if len(plain) < 3:
        raise ProtocolError("no user")
    kind = plain[1]
    user, at = take(plain, 2)
    lengths = _USER_LENGTHS.get(kind)
    if lengths is None:
        raise bad_request("user of an unknown kind")
    check_length(user, *lengths)
    if op == HOURS_CLEAR:
        check_length(plain, at)
        return op, kind, user
    if op == HOURS_QUERY:
        check_length(plain, at + 1)
        return op, kind, user, plain[at]
    end = at + _WINDOW_LEN
    if op == HOURS_REMOVE or len(plain) != end + 4 or any(plain[end:]):
        check_length(plain, end)
    return op, kind, user, _window(plain[at:end])


def _window(raw):
    kind, day = raw[0], raw[1]
    if not 1 <= kind <= 3 or not (day == 0 if kind == 2 else 1 <= day <= _LAST_DAYS[kind]):
        raise bad_request("day of a window")
    if raw[2] or raw[3] > 23 or raw[4] > 59 or raw[5] > 23 or raw[6] > 59:
        raise bad_request("hours of a window")
    if raw[3:5] == raw[5:7] and any(raw[3:5]):
        raise bad_request("window that encloses nothing")
    return bytes(raw)


def encode_hours_changed(battery, op):
    """Data of the answer to add, remove and clear."""
    return bytes((percent(battery), op))


def encode_window(battery, after, window=b""):
    """Data of the answer to query; `after` None: behind the last."""
    return bytes((percent(battery), HOURS_QUERY, 0xFF if after is None else after)) + window
