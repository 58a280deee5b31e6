"""Passcodes: requests to our lock and its answers. Commands 0x03 (all operations) and 0x07.

Encoders give the data of a success. Source: lock-ble-commands.md 3.1-3.3; security.md PAR-4.
"""

from firmware.lib.compat import const
from firmware.lib.errors import ProtocolError
from firmware.lib.messages.common import (
    bad_request,
    check_length,
    decode_date,
    decode_number,
    digits,
    number,
    operation,
    percent,
    take,
    unknown_operation,
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
_JS_TAIL = b"\x00" * 5  # one public client appends it to a permanent add (lock-ble-commands.md 3.2)


def _kind(plain):
    if len(plain) < 2:
        raise ProtocolError("request without a kind")
    return plain[1]


def _decode_added(op, plain):
    kind = _kind(plain)
    code, at = take(plain, 2)
    trailer = bytes(plain[at:])
    if len(trailer) == 10 and kind == PERMANENT and trailer[5:] == _JS_TAIL:
        trailer = trailer[:5]
    if kind == PERMANENT:
        check_length(trailer, 5)
    elif kind == CYCLIC:
        check_length(trailer, 7, 10)
    elif kind in (ONCE, PERIOD):
        check_length(trailer, 10)
    else:
        check_length(trailer, 5, 7, 10)
        raise bad_request("passcode kind %d" % kind)
    code = digits(code)
    decode_date(trailer, 0)
    if kind == CYCLIC:
        if len(trailer) == 10 or not _MIN_SCHEDULE <= decode_number(trailer, 5, 2) <= _MAX_SCHEDULE:
            raise bad_request("cyclic passcode without its schedule")  # two dates must not become "always"
    elif kind != PERMANENT:
        decode_date(trailer, 5)
    return op, kind, code, trailer


def _decode_modify(plain):
    kind = _kind(plain)
    old, at = take(plain, 2)
    new, at = take(plain, at)
    if len(plain) != at + 10:
        raise ProtocolError("change of %d bytes" % len(plain))
    if not PERMANENT <= kind <= CYCLIC:
        raise bad_request("passcode kind %d" % kind)
    old = digits(old)
    new = digits(new)
    decode_date(plain, at)
    decode_date(plain, at + 5)
    return MODIFY, old, new, bytes(plain[at : at + 5]), bytes(plain[at + 5 :])


def decode_manage(plain):
    """0x03 -> a tuple that begins with the operation.

    (CLEAR,); (ADD or RECOVER, kind, digits, trailer); (DELETE, digits); (MODIFY, old, new, start, end). Digits are
    ASCII bytes; trailer, start and end are checked bytes of the wire: start5 for the permanent kind, start5 end5 for
    once and period, start5 schedule16 for the cyclic kind. The kind in a deletion or change is not given: the digits
    decide. BadRequest with 0x0F for digits, 0x1D for kinds, dates and schedules, 0x1B for an unknown operation.
    """
    op = operation(plain)
    if op == CLEAR:
        check_length(plain, 1)
        return (CLEAR,)
    if op in (ADD, RECOVER):
        return _decode_added(op, plain)
    if op == DELETE:
        kind = _kind(plain)
        code, at = take(plain, 2)
        if at != len(plain):
            raise ProtocolError("deletion of %d bytes" % len(plain))
        if not PERMANENT <= kind <= CYCLIC:
            raise bad_request("passcode kind %d" % kind)
        return DELETE, digits(code)
    if op == MODIFY:
        return _decode_modify(plain)
    raise unknown_operation(op)


def encode_managed(battery, op):
    """Data of the answer to 0x03."""
    return bytes((percent(battery), op))


def encode_count(battery, count):
    """Data of the answer to 0x04."""
    return bytes((percent(battery),)) + number(count, 2)


def decode_list(plain):
    """0x07 -> cursor."""
    check_length(plain, 2)
    return decode_number(plain, 0, 2)


def encode_list(cursor, item):
    """Data of the answer to 0x07: exactly one entry, or None at the end.

    `item`: kind, length, digits, length, digits as created, trailer. `cursor` is what to ask for next.
    """
    if item is None:
        return b"\x00\x00"
    body = number(cursor, 2) + number(len(item), 1) + item
    return number(len(body), 2) + body
