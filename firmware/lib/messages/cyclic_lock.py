"""Hours of cards, fingerprints and fobs: requests to our lock and its answers. Command 0x70.

A window is seven bytes, stored as they come (`windows.cyclic`). Source: lock-ble-commands.md 4.6; vectors k_cyclic_*.
"""

from firmware.lib.compat import const
from firmware.lib.errors import ProtocolError
from firmware.lib.messages.common import bad_request, check_length, operation, percent, take, unknown_operation

FINGERPRINT = 1
CARD = 2
FOB = 0x13

QUERY = 1
ADD = 2
REMOVE = 3
CLEAR = 4

_LAST_DAYS = b"\x00\x07\x00\x1f"  # by kind: weekly 1-7, daily 0, monthly 1-31
_WINDOW_LEN = const(7)
_USER_LENGTHS = {FINGERPRINT: (6,), CARD: (4, 8), 0x10: (6,), 0x11: (6,), 0x12: (6,), FOB: (6,)}


def decode_manage(plain):
    """0x70 -> (operation, kind of user, user, ...): add and remove (window), query (index), clear ().

    BadRequest for values out of range, ProtocolError for lengths that do not add up. Behind the window of an addition
    stand four zero bytes, as one client sends, or nothing.
    """
    op = operation(plain)
    if not QUERY <= op <= CLEAR:
        raise unknown_operation(op)
    if len(plain) < 3:
        raise ProtocolError("no user")
    kind = plain[1]
    user, at = take(plain, 2)
    lengths = _USER_LENGTHS.get(kind)
    if lengths is None:
        raise bad_request("user of an unknown kind")
    check_length(user, *lengths)
    if op == CLEAR:
        check_length(plain, at)
        return op, kind, user
    if op == QUERY:
        check_length(plain, at + 1)
        return op, kind, user, plain[at]
    end = at + _WINDOW_LEN
    if op == REMOVE or len(plain) != end + 4 or any(plain[end:]):
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


def encode_managed(battery, op):
    """Data of the answer to add, remove and clear."""
    return bytes((percent(battery), op))


def encode_window(battery, after, window=b""):
    """Data of the answer to query; `after` None: behind the last."""
    return encode_managed(battery, QUERY) + bytes((0xFF if after is None else after,)) + window
