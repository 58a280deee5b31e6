"""The operation log: requests to a lock and its pages. Command 0x25. What a record means: `records`.

Source: lock-ble-link.md 9.1.
"""

from firmware.lib.errors import ProtocolError
from firmware.lib.messages.common import decode_number, number, take

UNREAD = 0xFFFF  # cursor of the lock's own walk, which it shares with every client


def request(cursor):
    """0x25: the record with this number, or the oldest above it."""
    return number(cursor, 2)


def page(data):
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
