"""Switches and numbers of a lock: requests and answers.

0x68 switches, 0x67 lamp, 0x71 unlock direction, 0x61 freeze, 0xe6 numbers of our own lock. Each is asked for with
`query()`. Source: lock-ble-commands.md 6.5, 6.6, 6.8.
"""

from firmware.lib.errors import ProtocolError
from firmware.lib.messages.common import CHANGE, QUERY, bad_request, check_length, decode_number, decode_percent, number

# Bits of 0x68
PRIVACY = 0
TAMPER = 1
RESET_BUTTON = 2
PASSAGE_UNLOCK = 3

# Numbers of 0xe6
LANGUAGE = 1
WRONG_LIMIT = 3
LOCKOUT_S = 4
DOOR_ALARM_S = 5

_QUERY = bytes((QUERY,))


def query():
    """What asks for all of these but 0xe6."""
    return _QUERY


def switches(data):
    """Answer to 0x68, query or change -> bitmap. Real locks may send its low byte alone."""
    check_length(data, 1, 6)
    if len(data) == 1:
        return data[0]
    if data[1] not in (QUERY, CHANGE):
        raise ProtocolError("answer to another operation")
    return decode_number(data, 2, 4)


def switch_set(bit, is_on):
    """0x68: one switch. Answered by `switches`."""
    return bytes((CHANGE, 1 << bit, 1 << bit if is_on else 0))


def lamp(data):
    """Answer to 0x67, query or change -> seconds."""
    check_length(data, 1)
    return data[0]


def lamp_set(seconds):
    """0x67: seconds that the lamp stays on after a touch, 0 = never. Answered by `lamp`."""
    return bytes((CHANGE,)) + number(seconds, 1)


def direction(data):
    """Answer to 0x71, query or change -> 0 default, 1 clockwise, 2 counter-clockwise."""
    check_length(data, 2)
    if data[0] not in (QUERY, CHANGE) or data[1] > 2:
        raise ProtocolError("no direction")
    return data[1]


def direction_set(way):
    """0x71. Answered by `direction`."""
    if not 0 <= way <= 2:
        raise bad_request("directions are 0 to 2")
    return bytes((CHANGE, way))


def frozen(data):
    """Answer to the query of 0x61 -> (battery, is frozen)."""
    check_length(data, 3)
    if data[1] != QUERY or data[2] > 1:
        raise ProtocolError("answer to another operation")
    return decode_percent(data), data[2] == 1


def freeze(is_frozen):
    """0x61. Answered by `settings_client.changed`."""
    return bytes((CHANGE, 1 if is_frozen else 0))


def number_query(which):
    """0xe6: ask for one number. Answered by `number_of`."""
    return bytes((QUERY, which))


def number_set(which, value):
    """0xe6: set one number. Answered by `number_of`."""
    return bytes((CHANGE, which)) + number(value, 2)


def number_of(data, which):
    """Answer to 0xe6, query or change -> value. Raises ProtocolError for another number's."""
    check_length(data, 5)
    decode_percent(data)
    if data[1] not in (QUERY, CHANGE) or data[2] != which:
        raise ProtocolError("answer to another question")
    return decode_number(data, 3, 2)
