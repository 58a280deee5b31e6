"""Settings of a lock: requests and answers.

Commands 0x36 auto-lock, 0x37 remote-unlock switch (query only: the change is not for a gateway, security.md 3.7),
0x59 typed digits on the screen, 0x62 sound. Source: lock-ble-commands.md 3.6, 6.1, 6.3, 6.4.
"""

from firmware.lib.errors import ProtocolError
from firmware.lib.messages.common import CHANGE, QUERY, bad_request, check_length, decode_number, decode_percent, number

_QUERY = b"\x01"


def _check_op(data, at, op):
    if len(data) <= at or data[at] != op:
        raise ProtocolError("answer to another operation")


def _switch(data, at):
    if data[at] > 1:
        raise ProtocolError("switch value %d" % data[at])
    return data[at] == 1


def changed(data):
    """Answer to any change here -> battery, or None where the lock sends none."""
    check_length(data, 1, 2)
    _check_op(data, len(data) - 1, CHANGE)
    return decode_percent(data) if len(data) == 2 else None


def auto_lock_query():
    """0x36, answered by `auto_lock`."""
    return _QUERY


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


def sound_query():
    """0x62, answered by `sound`."""
    return _QUERY


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


def screen_query():
    """0x59, answered by `screen`."""
    return _QUERY


def screen(data):
    """Answer to the query of 0x59 -> True if typed digits are shown. With or without a battery byte
    (lock-ble-commands.md 3.6)."""
    check_length(data, 2, 3)
    _check_op(data, len(data) - 2, QUERY)
    if len(data) == 3:
        decode_percent(data)
    return _switch(data, len(data) - 1)


def screen_set(is_shown):
    """0x59, answered by `changed`."""
    return bytes((CHANGE, 1 if is_shown else 0))


def remote_unlock_query():
    """0x37, answered by `remote_unlock`."""
    return _QUERY


def remote_unlock(data):
    """Answer to the query of 0x37 -> (battery, is_allowed)."""
    check_length(data, 3)
    _check_op(data, 1, QUERY)
    return decode_percent(data), _switch(data, 2)
