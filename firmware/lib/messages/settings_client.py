"""Settings of a lock, its name and its diagnosis: requests and answers. What is asked for is asked for with `query()`.

Commands 0x36 auto-lock, 0x4e name, 0x59 typed digits on the screen, 0x61 freeze, 0x62 sound, 0x67 lamp, 0x68 switches,
0x71 unlock direction, and of our own lock 0xe6 numbers, 0xe7 diagnosis.
Source: lock-ble-commands.md 3.6, 6, 6.1-6.8, 9.2.
"""

from firmware.lib.compat import const
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
_MAX_NAME = const(20)
_LAST_PAGE = const(0xFF)
_MAX_PAGES = const(16)  # of a report: no lock may keep us asking


def query():
    """What asks for all of these but 0xe6 and 0xe7."""
    return _QUERY


def _check_op(data, at, op):
    if len(data) <= at or data[at] != op:
        raise ProtocolError("answer to another operation")


def changed(data):
    """Answer to any change here -> battery, or None where the lock sends none."""
    check_length(data, 1, 2)
    _check_op(data, len(data) - 1, CHANGE)
    return decode_percent(data) if len(data) == 2 else None


def auto_lock(data):
    """Answer to the query of 0x36 -> (battery, seconds, min_s, max_s); 0 s means off, limits may be None."""
    check_length(data, 4, 8, 9)
    _check_op(data, 1, QUERY)
    seconds = decode_number(data, 2, 2)
    if len(data) == 4:
        return decode_percent(data), seconds, None, None
    return decode_percent(data), seconds, decode_number(data, 4, 2), decode_number(data, 6, 2)


def auto_lock_set(seconds):
    """0x36: 0 turns it off. Answered by `changed`."""
    return bytes((CHANGE,)) + number(seconds, 2)


def sound(data):
    """Answer to the query of 0x62 -> (battery, is_on, volume or None)."""
    check_length(data, 3, 4)
    _check_op(data, 1, QUERY)
    return decode_percent(data), data[2] != 0, data[3] if len(data) == 4 else None


def sound_set(is_on, volume=None):
    """0x62: on or off, or a volume 1 to 5 (which turns it on; feature 43 only). Answered by `changed`."""
    if volume is None:
        return bytes((CHANGE, 1 if is_on else 0))
    if not is_on or not 1 <= volume <= 5:
        raise bad_request("volume is 1 to 5, with the sound on")
    return bytes((CHANGE, 1, volume, 0))


def screen(data):
    """Answer to the query of 0x59 -> True if typed digits are shown. With or without a battery byte
    (lock-ble-commands.md 3.6)."""
    check_length(data, 2, 3)
    _check_op(data, len(data) - 2, QUERY)
    if len(data) == 3:
        decode_percent(data)
    if data[-1] > 1:
        raise ProtocolError("switch value %d" % data[-1])
    return data[-1] == 1


def screen_set(is_shown):
    """0x59, answered by `changed`."""
    return bytes((CHANGE, 1 if is_shown else 0))


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
    """0x61. Answered by `changed`."""
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


def name(text):
    """0x4e: another name, 1 to 20 bytes as UTF-8. BadRequest when it does not fit."""
    plain = text.encode()
    if not 1 <= len(plain) <= _MAX_NAME:
        raise bad_request("a lock's name has 1 to 20 bytes")
    return plain


def named(data):
    """Answer to 0x4e -> battery level."""
    return decode_percent(data)


def report_request(page):
    """0xe7: one page, from 0."""
    return bytes((QUERY, page))


def report_page(data, asked):
    """Answer to 0xe7 for the page `asked` -> (page to ask for next or None, bytes of the report)."""
    if len(data) < 3 or data[1] != QUERY:
        raise ProtocolError("diagnosis of %d bytes" % len(data))
    following = data[2]
    if following == _LAST_PAGE:
        return None, bytes(data[3:])
    if following != asked + 1 or following >= _MAX_PAGES:
        raise ProtocolError("diagnosis page %d leads to %d" % (asked, following))
    return following, bytes(data[3:])
