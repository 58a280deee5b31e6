"""Settings of our lock: requests and answers.

Commands 0x36 auto-lock, 0x37 remote-unlock switch, 0x59 typed digits on the screen, 0x62 sound. Each decoder gives None
for the query; whatever else it gives or raises as BadRequest is a well-formed change, but for error 0x1B (operation
unknown), so that below S3 the lock answers 0x02 to the former and nothing to the latter (lock-ble-link.md 6.2).
Encoders give the data of a success. Source: lock-ble-commands.md 3.6, 6.1, 6.3, 6.4.
"""

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

AUTO_LOCK_MIN_S = 1
AUTO_LOCK_MAX_S = 900

_AUTO_LOCK_X = b"\x01"  # of real locks, whatever the delay; no meaning known (lock-ble-commands.md 6.1)


def _is_query(plain):
    op = operation(plain)
    if op == QUERY:
        check_length(plain, 1)
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
    if seconds > AUTO_LOCK_MAX_S:
        raise bad_request("auto-lock after %d s" % seconds)
    return seconds


def encode_auto_lock(battery, seconds):
    """Data of the answer to the query of 0x36."""
    limits = number(AUTO_LOCK_MIN_S, 2) + number(AUTO_LOCK_MAX_S, 2)
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
