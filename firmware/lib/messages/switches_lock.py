"""Switches and numbers of our lock: requests and answers.

0x68 switches, 0x67 lamp, 0x71 unlock direction, 0x61 freeze, 0xe6 numbers, all at S3. Decoders give None for the query;
BadRequest (0x1D) for values that mean nothing; what this lock lacks is its handler's to refuse.
Source: lock-ble-commands.md 6.5, 6.6, 6.8.
"""

from firmware.lib.compat import const
from firmware.lib.messages.common import (
    CHANGE,
    QUERY,
    bad_request,
    check_length,
    decode_number,
    number,
    operation,
    percent,
    unknown_operation,
)

_DIRECTIONS = const(3)


def _is_query(plain, length=1):
    op = operation(plain)
    if op == QUERY:
        check_length(plain, length)
        return True
    if op != CHANGE:
        raise unknown_operation(op)
    return False


def decode_switches(plain):
    """0x68 -> None, or (mask, values): the bits of mask take the bits of values."""
    if _is_query(plain):
        return None
    check_length(plain, 3)
    return plain[1], plain[2] & plain[1]


def encode_switches(op, bits):
    """Data of the answer to 0x68; no battery byte: what some clients read comes first."""
    return bytes((bits & 0xFF, op)) + number(bits, 4)


def decode_lamp(plain):
    """0x67 -> None, or seconds."""
    if _is_query(plain):
        return None
    check_length(plain, 2)
    return plain[1]


def encode_lamp(seconds):
    """Data of the answer to 0x67."""
    return number(seconds, 1)


def decode_direction(plain):
    """0x71 -> None, or 0 default, 1 clockwise, 2 counter-clockwise."""
    if _is_query(plain):
        return None
    check_length(plain, 2)
    if plain[1] >= _DIRECTIONS:
        raise bad_request("direction %d" % plain[1])
    return plain[1]


def encode_direction(op, way):
    """Data of the answer to 0x71."""
    return bytes((op, way))


def decode_freeze(plain):
    """0x61 -> None, or True to freeze."""
    if _is_query(plain):
        return None
    check_length(plain, 2)
    if plain[1] > 1:
        raise bad_request("switch value %d" % plain[1])
    return plain[1] == 1


def encode_frozen(battery, is_frozen):
    """Data of the answer to the query of 0x61."""
    return bytes((percent(battery), QUERY, 1 if is_frozen else 0))


def decode_number_of(plain):
    """0xe6 -> (which, None) for the query, else (which, value)."""
    if _is_query(plain, 2):
        return plain[1], None
    check_length(plain, 4)
    return plain[1], decode_number(plain, 2, 2)


def encode_number(battery, op, which, value):
    """Data of the answer to 0xe6."""
    return bytes((percent(battery), op, which)) + number(value, 2)
