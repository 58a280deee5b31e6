"""Fingerprints: requests to our lock and its answers. Command 0x06; key fobs have the same layout (`accessory_lock`).

Encoders give the data of a success. Numbers are six bytes, dates the bytes in which they are stored.
Source: lock-ble-commands.md 5, 8.1; vectors k_fr_*, r_fr_*.
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

ADD = 2
DELETE = 3
CLEAR = 4
MODIFY = 5
LIST = 6

ADDED = 1  # states of an addition
READY = 2
PRESSED = 3

_LENGTHS = {ADD: 1, DELETE: 7, CLEAR: 1, MODIFY: 17, LIST: 3}  # the operation byte counted


def decode_manage(plain):
    """0x06 -> (operation, ...): delete (id6), modify (id6, start5 + end5), list (index), add and clear ().

    BadRequest for values out of range and for the transfer of templates (7), which this lock does not know;
    ProtocolError for lengths that do not add up.
    """
    op = operation(plain)
    if op not in _LENGTHS:
        raise unknown_operation(op)
    check_length(plain, _LENGTHS[op])
    if op == LIST:
        return op, decode_number(plain, 1, 2)
    if op == DELETE:
        return op, bytes(plain[1:])
    return (op, bytes(plain[1:7]), period(plain, 7)) if op == MODIFY else (op,)


def period(plain, at):
    """start5 + end5 at `at`, as they are stored. BadRequest unless they are dates in order."""
    decode_date(plain, at)
    decode_date(plain, at + 5)
    found = bytes(plain[at : at + 10])
    if found[5:] <= found[:5]:
        raise bad_request("period that ends before it begins")
    return found


def encode_managed(battery, op):
    """Data of the answer to delete, clear and modify."""
    return bytes((percent(battery), op))


def encode_ready(battery):
    """Data of the first answer to an addition: the lock waits."""
    return bytes((percent(battery), ADD, READY))


def encode_pressed(battery, done, total):
    """Data of the answer to a good press; `done` of `total` are what our own clients show, others ignore them."""
    return bytes((percent(battery), ADD, PRESSED, done, total))


def encode_added(battery, id6):
    """Data of the last answer to an addition."""
    return bytes((percent(battery), ADD, ADDED)) + id6


def encode_list(battery, after, id6=b"", limits=b""):
    """Data of the answer to list: one entry, `limits` being start5 + end5; `after` None: behind the last."""
    if after is None:
        return encode_managed(battery, LIST) + b"\xff\xff"
    return encode_managed(battery, LIST) + number(after, 2) + id6 + limits
