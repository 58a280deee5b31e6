"""Passage windows of our lock (0x66): requests and answers. Layout of a window: `passage_client`.

A listing needs S1, a change S3. Source: lock-ble-commands.md 6.2.
"""

from firmware.lib.compat import const
from firmware.lib.messages.common import bad_request, check_length, operation, percent, unknown_operation

LIST = 1
ADD = 2
DELETE = 3
CLEAR = 4

WINDOW_LEN = 7
_END = const(0xFF)
_WEEKLY = const(1)
_MONTHLY = const(2)
_LAST_DAY = b"\x1f\x1f\x1d\x1f\x1e\x1f\x1e\x1f\x1f\x1e\x1f\x1e\x1f"  # of each month, 0 = every month


def decode_manage(plain):
    """0x66 -> (LIST, cursor), (ADD or DELETE, seven bytes), (CLEAR, None). BadRequest (0x1D) for a window to add that
    makes no sense."""
    op = operation(plain)
    if op == LIST:
        check_length(plain, 2)
        return op, plain[1]
    if op == CLEAR:
        check_length(plain, 1)
        return op, None
    if op != ADD and op != DELETE:
        raise unknown_operation(op)
    check_length(plain, 1 + WINDOW_LEN)
    raw = bytes(plain[1:])
    if op == ADD and not _is_window(raw):
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
    return not any(raw[3:]) or raw[3:5] < raw[5:7]


def encode_list(battery, after, raw):
    """Data of the answer to a listing: one window and the cursor of the next; `raw` None is the end."""
    if raw is None:
        return bytes((percent(battery), LIST, _END))
    return bytes((percent(battery), LIST, after)) + raw


def encode_managed(battery, op):
    """Data of the answer to a change."""
    return bytes((percent(battery), op))
