"""Cards: requests to a lock and its answers. Command 0x05; the list of lost cards is known to our own locks only.

A card is its number; on the wire it has 4 bytes if it fits, else 8, the first byte of the chip most significant.
Source: lock-ble-commands.md 4.1-4.4; domain.md 2, key feature 3; vectors k_ic_*, d_ic_*, t_ic_*, r_ic_*, cap_ic_*.
"""

from firmware.lib import dates
from firmware.lib.compat import const
from firmware.lib.errors import ProtocolError
from firmware.lib.messages.common import bad_request, check_length, decode_number, decode_percent, encode_date, number

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

_END = const(0xFFFF)
_NO_ID = b"\xff\xff\xff\xff"  # what some locks fill a short number up with


class Card:
    """One line of the list: `id` of 4 or 8 bytes, `start` and `end` as date5; all None: the lock says it in a way that
    is not known (hardware-facts.md F40)."""

    __slots__ = ("end", "id", "start")

    def __init__(self, id=None, start=None, end=None):
        self.id = id
        self.start = start
        self.end = end


def encode_id(card, is_reversed=False):
    """A number below 2**64 -> its 4 or 8 bytes.

    `is_reversed`: it was read by a reader that starts at the chip's other end, 1723612378 for what is 3661413478 here.
    A number of five to seven bytes is that of a chip with seven, of which the lock has a zero byte in front.
    """
    if not is_reversed:
        return number(card, 4 if 0 <= card < 1 << 32 else 8)
    size = 4 if 0 <= card < 1 << 32 else 7 if card < 1 << 56 else 8
    turned = bytes(reversed(number(card, size)))
    return b"\x00" + turned if size == 7 else turned


def _dated(op, id, start, end):
    start = encode_date(dates.NO_START if start is None else start)
    return bytes((op,)) + _id(id) + start + encode_date(dates.NO_END if end is None else end)


def _id(id):
    if len(id) not in (4, 8):
        raise bad_request("a card has 4 or 8 bytes")
    return bytes(id)


def enrol():
    """Wait for a card to be held to the lock; answered by `added`, twice."""
    return bytes((ADD,))


def add(id, start=None, end=None):
    """Let the card `id` (bytes) in; dates are date5 of the lock's clock, None: no limit. Answered by `added`."""
    return _dated(ADD, id, start, end)


def modify(id, start=None, end=None):
    """Another period for a card that is there."""
    return _dated(MODIFY, id, start, end)


def delete(id):
    """Remove one card."""
    return bytes((DELETE,)) + _id(id)


def clear():
    """Remove all cards."""
    return bytes((CLEAR,))


def mark_lost(id):
    """Refuse this card whatever else is stored."""
    return bytes((MARK_LOST,)) + _id(id)


def unmark_lost(id):
    """Accept this card again: it is no longer lost."""
    return bytes((UNMARK_LOST,)) + _id(id)


def list_request(index, op=LIST):
    """The first card in or above `index`; LIST_LOST: of those that are lost. Answered by `entry`."""
    return bytes((op,)) + number(index, 2)


def _echoed(data, op):
    decode_percent(data)
    if len(data) < 2 or data[1] != op:
        raise ProtocolError("answer to another operation")


def managed(data, op):
    """Answer to delete, clear, modify, mark and unmark."""
    _echoed(data, op)
    check_length(data, 2)


def added(data):
    """Answer to an addition -> the card's bytes, or None: the lock waits for it.

    Padding of four bytes 0xFF, and one byte more, is what some locks send behind a short number (lock-ble-commands.md
    4.2).
    """
    _echoed(data, ADD)
    check_length(data, 3, 7, 11, 12)
    if data[2] == READY:
        check_length(data, 3)
        return None
    if data[2] != ADDED or len(data) == 3:
        raise ProtocolError("addition in state %d" % data[2])
    card = bytes(data[3:11])
    if card[4:] == _NO_ID:
        return card[:4]
    check_length(data, 7, 11)
    return card


def entry(data, op=LIST):
    """Answer to list -> (index to ask for next, None: there is no more; Card), or (None, None) behind the last."""
    _echoed(data, op)
    after = decode_number(data, 2, 2)
    if len(data) == 4:
        if after not in (0, _END):
            raise ProtocolError("page without a card")
        return None, None
    card = Card()
    if len(data) in (18, 22):
        at = len(data) - 10
        try:
            card = Card(bytes(data[4:at]), dates.decode5(data, at), dates.decode5(data, at + 5))
        except ProtocolError:
            pass
    return (None if after in (0, _END) else after), card
