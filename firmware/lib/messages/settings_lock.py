"""Settings of our lock: requests and answers.

Commands 0x36 auto-lock, 0x37 remote-unlock switch, 0x59 typed digits on the screen, 0x62 sound, 0x66 passage windows,
all readable below S3; at S3, 0x68 switches, 0x67 lamp, 0x71 unlock direction, 0x61 freeze, 0xe6 numbers, 0x4e name.
Each decoder gives None for the query; whatever else it gives or raises as BadRequest is a well-formed change, but for
error 0x1B (operation unknown), so that below S3 the lock answers 0x02 to the former and nothing to the latter
(lock-ble-link.md 6.2). What this lock lacks is its handler's to refuse. Encoders give the data of a success.
Source: lock-ble-commands.md 3.6, 6, 6.1-6.6, 6.8; the layout of a passage window: `passage_client`.
"""

from firmware.lib.compat import const, decode_utf8, is_shown
from firmware.lib.errors import ProtocolError
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

PASSAGE_LIST = 1
PASSAGE_ADD = 2
PASSAGE_DELETE = 3
PASSAGE_CLEAR = 4

_AUTO_LOCK_MIN_S = const(1)
_AUTO_LOCK_MAX_S = const(900)
_AUTO_LOCK_X = b"\x01"  # of real locks, whatever the delay; no meaning known (lock-ble-commands.md 6.1)
_DIRECTIONS = const(3)
_MAX_NAME = const(20)  # bytes of UTF-8

_WINDOW_LEN = const(7)
_END = const(0xFF)
_WEEKLY = const(1)
_MONTHLY = const(2)
_LAST_DAY = b"\x1f\x1f\x1d\x1f\x1e\x1f\x1e\x1f\x1f\x1e\x1f\x1e\x1f"  # of each month, 0 = every month


def _is_query(plain, length=1):
    op = operation(plain)
    if op == QUERY:
        check_length(plain, length)
        return True
    if op != CHANGE:
        raise unknown_operation(op)
    return False


def _decode_switch(plain):
    if _is_query(plain):
        return None
    check_length(plain, 2)
    if plain[1] > 1:
        raise bad_request("switch value %d" % plain[1])
    return plain[1] == 1


def encode_changed(battery):
    """Data of the answer to a change by 0x36, 0x37, 0x62."""
    return bytes((percent(battery), CHANGE))


def decode_auto_lock(plain):
    """0x36 -> None for the query, else seconds, 0 = off. BadRequest (0x1D) above the maximum."""
    if _is_query(plain):
        return None
    check_length(plain, 3)
    seconds = decode_number(plain, 1, 2)
    if seconds > _AUTO_LOCK_MAX_S:
        raise bad_request("auto-lock after %d s" % seconds)
    return seconds


def encode_auto_lock(battery, seconds):
    """Data of the answer to the query of 0x36."""
    limits = number(_AUTO_LOCK_MIN_S, 2) + number(_AUTO_LOCK_MAX_S, 2)
    return bytes((percent(battery), QUERY)) + number(seconds, 2) + limits + _AUTO_LOCK_X


def decode_sound(plain):
    """0x62 -> None for the query, else (is_on, volume 1 to 5 or None)."""
    if _is_query(plain):
        return None
    check_length(plain, 2, 4)
    if plain[1] > 1:
        raise bad_request("sound %d" % plain[1])
    if len(plain) == 2:
        return plain[1] == 1, None
    if plain[1] != 1 or not 1 <= plain[2] <= 5 or plain[3] != 0:
        raise bad_request("volume out of range")
    return True, plain[2]


def encode_sound(battery, is_on, volume=None):
    """Data of the answer to the query of 0x62; the volume only with feature 43."""
    data = bytes((percent(battery), QUERY, 1 if is_on else 0))
    return data if volume is None else data + number(volume, 1)


def decode_screen(plain):
    """0x59 -> None for the query, else True to show typed digits."""
    return _decode_switch(plain)


def encode_screen(is_shown):
    """Data of the answer to the query of 0x59: no battery byte (lock-ble-commands.md 3.6)."""
    return bytes((QUERY, 1 if is_shown else 0))


def encode_screen_changed():
    """Data of the answer to a change by 0x59: no battery byte."""
    return bytes((CHANGE,))


def decode_remote_unlock(plain):
    """0x37 -> None for the query, else True to allow unlocking through a gateway."""
    return _decode_switch(plain)


def encode_remote_unlock(battery, is_allowed):
    """Data of the answer to the query of 0x37."""
    return bytes((percent(battery), QUERY, 1 if is_allowed else 0))


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
    return _decode_switch(plain)


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


def decode_passage(plain):
    """0x66 -> (list, cursor), (add or delete, seven bytes), (clear, None). BadRequest (0x1D) for a window to add that
    makes no sense.
    """
    op = operation(plain)
    if op == PASSAGE_LIST:
        check_length(plain, 2)
        return op, plain[1]
    if op == PASSAGE_CLEAR:
        check_length(plain, 1)
        return op, None
    if op != PASSAGE_ADD and op != PASSAGE_DELETE:
        raise unknown_operation(op)
    check_length(plain, 1 + _WINDOW_LEN)
    raw = bytes(plain[1:])
    if op == PASSAGE_ADD and not _is_window(raw):
        raise bad_request("no passage window")
    return op, raw


def _is_window(raw):
    kind, day, month = raw[0], raw[1], raw[2]
    if kind == _WEEKLY:
        is_day = day <= 7 and month == 0
    else:
        is_day = kind == _MONTHLY and month <= 12 and 1 <= day <= _LAST_DAY[month]
    if not is_day or raw[3] > 23 or raw[4] > 59 or raw[5] > 23 or raw[6] > 59:
        return False
    return not any(raw[3:]) or raw[3:5] != raw[5:7]


def encode_passage_list(battery, after, raw):
    """Data of the answer to a listing: one window and the cursor of the next; `raw` None is the end."""
    if raw is None:
        return bytes((percent(battery), PASSAGE_LIST, _END))
    return bytes((percent(battery), PASSAGE_LIST, after)) + raw


def encode_passage_changed(battery, op):
    """Data of the answer to a change."""
    return bytes((percent(battery), op))


def decode_name(plain):
    """0x4e -> text. BadRequest unless it is 1 to 20 bytes of UTF-8 without what nobody sees (`is_shown`)."""
    try:
        text = decode_utf8(bytes(plain))
    except ProtocolError:
        text = ""
    if not text or len(plain) > _MAX_NAME or not is_shown(text):
        raise bad_request("no name for a lock")
    return text


def encode_named(battery):
    """Data of the answer to 0x4e."""
    return bytes((percent(battery),))
