"""What a gateway asks of every lock: login, unlock and lock, clock, status, features, device info, the remote-unlock
switch, the operation log. Requests and answers.

Commands 0x41, 0x55, 0x30, 0x47, 0x58, 0x14, 0x01, 0x34, 0x43, 0x90, 0x37 (query only: the change is not for a gateway,
security.md 3.7), 0x25 (what a record means: `records`). Source: lock-ble-link.md 8.4-8.12, 9.1; lock-ble-commands.md
6.4.
"""

from firmware.lib import dates, opcodes
from firmware.lib.compat import const
from firmware.lib.errors import ProtocolError
from firmware.lib.messages.common import (
    QUERY,
    SCIENER,
    bad_request,
    check_length,
    decode_number,
    decode_percent,
    encode_date,
    number,
    take,
)

PERMANENT_START = (2000, 1, 31, 14, 0)  # what every public client sends, in the decimal form (lock-ble-link.md 8.5)
PERMANENT_END = (2099, 11, 30, 14, 0)

STATE_LOCKED = 0
STATE_UNLOCKED = 1
STATE_UNKNOWN = 2
STATE_DEAD_LOCKED = 3
DOOR_OPEN = 0
DOOR_CLOSED = 1
DOOR_UNKNOWN = 2

ITEM_MODEL = 1
ITEM_HARDWARE = 2
ITEM_FIRMWARE = 3
ITEM_MADE = 4
ITEM_ADDRESS = 5
ITEM_CLOCK = 6

_OPERATED_LEN = const(15)
_MAX_WORDS = const(8)


def check_admin(admin_ps, flag_pos=0, uid=0):
    """0x41: prove to be the administrator; answered by `challenge`."""
    return number(admin_ps, 4) + number(flag_pos, 3) + number(uid, 4)


def check_user(start=None, end=None, flag_pos=0, uid=0):
    """0x55: state the validity of a key; without dates the permanent window. Answered by `challenge`."""
    start = encode_date(PERMANENT_START if start is None else start)
    return start + encode_date(PERMANENT_END if end is None else end) + number(flag_pos, 3) + number(uid, 4)


def challenge(data):
    """Answer to 0x41 and 0x55 -> the lock's number."""
    check_length(data, 4)
    return decode_number(data, 0, 4)


def _sum(challenge, unlock_key):
    return number((challenge + unlock_key) & 0xFFFFFFFF, 4)


def check_random(challenge, unlock_key):
    """0x30: answer the challenge of 0x41. The answer carries no data."""
    return _sum(challenge, unlock_key)


def operate(challenge, unlock_key, unix_s):
    """0x47 or 0x58: answer the challenge; `unix_s` comes back as record id. Answered by `operated`."""
    return _sum(challenge, unlock_key) + number(unix_s, 4)


def _date6_or_none(data, at):
    try:
        return dates.decode6(data, at)
    except ProtocolError:
        return None  # a lock whose clock was never set: the rest still counts


def operated(data):
    """Answer to 0x47, 0x58 -> (battery, uid, record_id, date6).

    The short form carries a battery level only: the rest is None. So is a date6 that is no date.
    """
    battery = decode_percent(data)
    if len(data) < _OPERATED_LEN:
        return battery, None, None, None
    return battery, decode_number(data, 1, 4), decode_number(data, 5, 4), _date6_or_none(data, 9)


def status_request():
    """0x14, answered by `status`."""
    return SCIENER


def status(data):
    """Answer to 0x14 -> (battery, state, door); values nobody has documented become "unknown"."""
    check_length(data, 3)
    state = data[1] if data[1] <= STATE_DEAD_LOCKED else STATE_UNKNOWN
    return decode_percent(data), state, data[2] if data[2] < DOOR_UNKNOWN else DOOR_UNKNOWN


def pushed(echo, data):
    """A frame nobody asked for -> ("status", battery, state, door), ("operated", battery, uid, record_id, date6) or
    ("battery", battery).

    By its length (lock-ble-link.md 8.12); three bytes are a state only under the echo of 0x14: the short answer to 0x47
    looks the same.
    """
    if len(data) == 3 and echo == opcodes.STATUS:
        return ("status",) + status(data)
    if len(data) >= _OPERATED_LEN:
        return ("operated",) + operated(data)
    return "battery", decode_percent(data)


def features(data):
    """Answer to 0x01 -> (battery, mask); bit n of the mask is feature n (lock-ble-link.md 8.9)."""
    words = (len(data) - 1) // 4
    if not 1 <= words <= _MAX_WORDS or len(data) != 1 + 4 * words:
        raise ProtocolError("features of %d bytes" % len(data))
    mask = 0
    for place in range(words):
        mask |= decode_number(data, 1 + 4 * place, 4) << (32 * place)
    return decode_percent(data), mask


def clock(data):
    """Answer to 0x34 -> date6 of the lock."""
    check_length(data, 6)
    return dates.decode6(data)


def set_clock(date6):
    """0x43: the wall clock that the lock's records shall show. The answer carries no data."""
    return encode_date(date6, 6)


def device_item(n):
    """0x90: ask for one item of the device information."""
    if not 0 <= n <= 255:
        raise bad_request("item %d" % n)
    return bytes((n,))


def device_text(data):
    """Answer to 0x90, items 1 to 4 -> text. Anything but printable ASCII is refused: it ends up in logs and topics."""
    if data and data[-1] == 0:
        data = data[:-1]
    for byte in data:
        if not 0x20 <= byte <= 0x7E:
            raise ProtocolError("device text is not printable")
    return bytes(data).decode()


def device_address(data):
    """Answer to 0x90, item 5 -> the address in printed order."""
    check_length(data, 6)
    return bytes(data[5 - place] for place in range(6))


def device_clock(data):
    """Answer to 0x90, item 6 -> date6."""
    return clock(data)


def remote_unlock_query():
    """0x37, answered by `remote_unlock`."""
    return bytes((QUERY,))


def remote_unlock(data):
    """Answer to the query of 0x37 -> (battery, is_allowed)."""
    check_length(data, 3)
    if data[1] != QUERY or data[2] > 1:
        raise ProtocolError("answer to another operation")
    return decode_percent(data), data[2] == 1


def log_request(cursor):
    """0x25: the record with this number, or the oldest above it."""
    return number(cursor, 2)


def log_page(data):
    """Answer to 0x25 -> (cursor to ask for next, list of raw records); (None, []) when there is none.

    The declared length counts what follows it; a peer that counts two bytes more is accepted too (lock-ble-link.md
    9.1).
    """
    total = decode_number(data, 0, 2)
    if total == 0 and len(data) == 2:
        return None, []
    if total not in (len(data) - 2, len(data)) or len(data) < 5:
        raise ProtocolError("log page of %d bytes" % len(data))
    cursor = decode_number(data, 2, 2)
    listed = []
    at = 4
    while at < len(data):
        record, at = take(data, at)
        listed.append(record)
    return cursor, listed
