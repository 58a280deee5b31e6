"""Cards: requests to our lock and its answers. Command 0x05.

A card is its number of 4 or 8 bytes, dates are the ten bytes start5 + end5. Encoders give the data of a success.
Source: lock-ble-commands.md 4.1-4.4; vectors k_ic_*, r_ic_*, x_ic_*.
"""

from firmware.lib.messages.common import (
    bad_request,
    check_length,
    decode_date,
    decode_number,
    number,
    operation,
    percent,
    unknown_operation,
)

LIST = 1
ADD = 2
DELETE = 3
CLEAR = 4
MODIFY = 5
MARK_LOST = 0x20
UNMARK_LOST = 0x21
LIST_LOST = 0x22

ADDED = 1  # states of an addition
READY = 2

_OF_CARD = (DELETE, MARK_LOST, UNMARK_LOST)


def decode_manage(plain):
    """0x05 -> (operation, ...): list and list of lost ones (index); add by number and modify (card, start5 + end5); add
    by tap (ADD, None, None); delete, mark, unmark (card); clear ().

    BadRequest for values out of range; ProtocolError for lengths that do not add up: an id is of 4 or of 8 bytes.
    """
    op = operation(plain)
    if op == LIST or op == LIST_LOST:
        check_length(plain, 3)
        return op, decode_number(plain, 1, 2)
    if op == CLEAR:
        check_length(plain, 1)
        return (op,)
    if op in _OF_CARD:
        check_length(plain, 5, 9)
        return op, bytes(plain[1:])
    if op == ADD and len(plain) == 1:
        return op, None, None
    if op != ADD and op != MODIFY:
        raise unknown_operation(op)
    check_length(plain, 15, 19)
    return op, bytes(plain[1:-10]), _period(plain[-10:])


def _period(raw):
    decode_date(raw, 0)
    decode_date(raw, 5)
    if raw[5:] <= raw[:5]:
        raise bad_request("period that ends before it begins")
    return bytes(raw)


def encode_managed(battery, op):
    """Data of the answer to delete, clear, modify, mark and unmark."""
    return bytes((percent(battery), op))


def encode_ready(battery):
    """Data of the first answer to an addition by tap: the lock waits for a card."""
    return bytes((percent(battery), ADD, READY))


def encode_added(battery, card):
    """Data of the answer to an addition that is done."""
    return bytes((percent(battery), ADD, ADDED)) + card


def encode_list(battery, op, after, card=b"", limits=b""):
    """Data of the answer to LIST or LIST_LOST: exactly one card; `after` None: behind the last."""
    if after is None:
        return encode_managed(battery, op) + b"\xff\xff"
    return encode_managed(battery, op) + number(after, 2) + card + limits
