"""Fingerprints and key fobs: requests to a lock and its answers. Commands 0x06 and 0xe3 with one layout; 0x74.

A fingerprint is named by a number of six bytes: a counter of four, the place of the template in two; a fob by its
address in the order of the air. Source: lock-ble-commands.md 5, 6.7, 8.1; vectors k_fr_*, r_fr_*, r_t_fr_*, cap_fr_*,
x_face_*, d_accessory_battery_fob, r_accessory_battery.
"""

from firmware.lib import dates
from firmware.lib.compat import const
from firmware.lib.errors import ProtocolError
from firmware.lib.messages.common import bad_request, check_length, decode_number, decode_percent, encode_date, number

ADD = 2
DELETE = 3
CLEAR = 4
MODIFY = 5
LIST = 6

ADDED = 1  # states of an addition
READY = 2
PRESSED = 3

FOB = 4  # kinds of accessories that 0x74 is asked about
ONLINE = 1

_END = const(0xFFFF)
_ID_LEN = const(6)
_FLAGS = const(3)


class Entry:
    """One line of the list. `start`, `end` are date5, NO_START and NO_END of `dates` where there is no limit; all None:
    the lock says it in a way that is not known (hardware-facts.md F40)."""

    def __init__(self, number=None, start=None, end=None):
        self.number = number
        self.start = start
        self.end = end


def list_request(index):
    """The first entry in or above `index`; answered by `entry`."""
    return bytes((LIST,)) + number(index, 2)


def enrol():
    """Wait for a finger (a fob); answered by `added`, several times."""
    return bytes((ADD,))


def delete(which):
    """Remove one, by its number."""
    return bytes((DELETE,)) + number(which, _ID_LEN)


def clear():
    """Remove all."""
    return bytes((CLEAR,))


def modify(which, start=None, end=None):
    """Another period: date5 of the lock's clock, None: no limit."""
    start = encode_date(dates.NO_START if start is None else start)
    return bytes((MODIFY,)) + number(which, _ID_LEN) + start + encode_date(dates.NO_END if end is None else end)


def _echoed(data, op):
    decode_percent(data)
    if len(data) < 2 or data[1] != op:
        raise ProtocolError("answer to another operation")


def managed(data, op):
    """Answer to delete, clear, modify."""
    _echoed(data, op)
    check_length(data, 2)


def added(data):
    """Answer to an addition -> (state, number or None, presses done or None, presses in all or None).

    ADDED brings the number; PRESSED, from our own lock, how many presses are done of how many.
    """
    _echoed(data, ADD)
    check_length(data, 3, 5, 9)
    state = data[2]
    if state == ADDED:
        check_length(data, 9)
        return state, decode_number(data, 3, _ID_LEN), None, None
    if state == PRESSED and len(data) == 5:
        return state, None, data[3], data[4]
    if state not in (READY, PRESSED) or len(data) != 3:
        raise ProtocolError("addition in state %d" % state)
    return state, None, None, None


def entry(data):
    """Answer to list -> (index to ask for next, None: there is no more; Entry), or (None, None) behind the last."""
    _echoed(data, LIST)
    after = decode_number(data, 2, 2)
    if len(data) == 4:
        if after not in (0, _END):
            raise ProtocolError("page without an entry")
        return None, None
    listed = Entry()
    if len(data) == 20:
        try:
            listed = Entry(decode_number(data, 4, _ID_LEN), dates.decode5(data, 10), dates.decode5(data, 15))
        except ProtocolError:
            pass
    return (None if after in (0, _END) else after), listed


# --- key fobs: what differs


class Fob(Entry):
    """A line of the list; `number` is the address, little-endian, `battery` per cent, `flags`: ONLINE, 2 door open."""

    def __init__(self, entry, battery, flags):
        super().__init__(entry.number, entry.start, entry.end)
        self.battery = battery
        self.flags = flags


def bind(address):
    """Let a device in whose address is known (six bytes, the first as it is written first); answered by `added`."""
    if len(address) != _ID_LEN:
        raise bad_request("an address has six bytes")
    return bytes((ADD,)) + bytes(reversed(address))


def address_of(number):
    """The number of an answer -> address, the first byte as it is written first."""
    return number.to_bytes(_ID_LEN, "little")


def number_of(address):
    """An address -> the number by which delete and modify name the device."""
    return int.from_bytes(address, "little")


def fob_entry(data):
    """Answer to list -> (index to ask for next, Fob), as `entry`."""
    if len(data) != 22:
        return entry(data) if len(data) != 20 else (entry(data)[0], Entry())
    after, listed = entry(data[:20])
    if listed.number is None or data[20] > 100 or data[21] > _FLAGS:
        return after, Entry()
    return after, Fob(listed, decode_percent(data, 20), data[21])


def battery_request(kind):
    """Ask for the battery of the accessories of a kind; answered by `battery`."""
    return number(kind, 1)


def battery(data):
    """Answer -> (kind, level in per cent)."""
    check_length(data, 2)
    return data[0], decode_percent(data, 1)
