"""Which offset from UTC a lock's clock showed when it wrote a record. The gateway keeps the history with the lock.

Owns the history: when the clock was set to another offset, with the number of the newest record then known. It is
bytes, an entry for each change, the oldest first, 18 bytes each, big-endian: three moments (u32 Unix seconds), `read`,
`since` and `until`; two numbers of records (u16), `first` and `certain`; the offset from then on (i16 minutes).

* Records below `first` were written before the change. Those from `first` on were written after `read`.
* The change came between `since` and `until`. Records from `certain` on were written after it; 0xFFFF: not known yet.
* In between the record's own date decides, where it is possible under one of the two offsets only; in the hour that a
  clock shows twice the order of the records does. What neither settles is approximate.

Before the oldest entry nothing is known of the clock. Source: mqtt.md 3.
"""

import struct

from firmware.lib.compat import const

_ENTRY = ">IIIHHh"
_ENTRY_LEN = const(18)
_MAX = const(4)  # two years of changes: no lock keeps older records
_NUMBERS = const(65534)  # 0 to 65533 (lock-ble-link.md 9.1)
_HALF = const(32767)
_UNKNOWN = const(0xFFFF)
NO_OFFSET = 0x7FFF  # of a clock that showed the time of no offset
_SLACK_S = const(300)  # what a clock may be off


def _is_before(number, other):
    """Whether a record was written before another; numbers wrap."""
    return (number - other) % _NUMBERS > _HALF


def last_offset(history):
    """Minutes ahead of UTC that the clock was seen to show last, or None."""
    found = struct.unpack_from(_ENTRY, history, len(history) - _ENTRY_LEN)[5] if history else NO_OFFSET
    return None if found == NO_OFFSET else found


def changed(history, offset, first, read_s, since_s, until_s):
    """The history with one more entry; `first`: the number that the next record to be read has at least."""
    entry = struct.pack(_ENTRY, read_s, since_s, until_s, first, _UNKNOWN, offset)
    return (history + entry)[-_MAX * _ENTRY_LEN :]


def _entry(history, at):
    """-> (entry, offset before it or None)"""
    before = struct.unpack_from(_ENTRY, history, at - _ENTRY_LEN)[5] if at else NO_OFFSET
    return struct.unpack_from(_ENTRY, history, at), None if before == NO_OFFSET else before


def _side(entry, before, number, local_s):
    """True: written after the change; False: before it; None: cannot be said. `local_s`: the record's date as if the
    clock showed UTC."""
    read_s, since_s, until_s, first, certain, offset = entry
    may_follow = local_s - 60 * offset >= since_s - _SLACK_S
    if certain != _UNKNOWN and not _is_before(number, certain):
        return True
    if before is None:
        return may_follow and certain == _UNKNOWN
    if _is_before(number, first):
        return False
    may_precede = read_s - _SLACK_S <= local_s - 60 * before <= until_s + _SLACK_S
    return None if may_follow == may_precede else may_follow


def offset_of(history, number, local_s):
    """(offset in minutes, whether that is certain) of a record; (None, False): not known."""
    for at in range(len(history) - _ENTRY_LEN, -1, -_ENTRY_LEN):
        entry, before = _entry(history, at)
        is_after = _side(entry, before, number, local_s)
        if is_after is None:
            return before, False
        if is_after:
            break
    else:
        return None, False
    return (None, False) if entry[5] == NO_OFFSET else (entry[5], True)


def renumbered(history):
    """The history of a log whose numbers have begun anew: all of it is of after the latest change."""
    offset = last_offset(history)
    return b"" if offset is None else changed(b"", offset, 0, 0, 0, 0)


def settled(history, certain):
    """The history with the number from which on records are of after the latest change."""
    at = len(history) - _ENTRY_LEN
    entry = struct.unpack_from(_ENTRY, history, at)
    return history[:at] + struct.pack(_ENTRY, *entry[:4], certain, entry[5])


def learned(history, number, local_s, last_s, now_s):
    """The history with what a record tells about the latest change that was read at `now_s`. Records come in order;
    `last_s` is the date of the one before, or None. The history itself when there is nothing to learn."""
    at = len(history) - _ENTRY_LEN
    if at < 0:
        return history
    entry, before = _entry(history, at)
    first, certain = entry[3:5]
    if certain != _UNKNOWN or before is None or _is_before(number, first):
        return history
    is_after = _side(entry, before, number, local_s)
    if is_after is None and local_s - 60 * entry[5] > now_s + _SLACK_S:
        is_after = False  # it would be of the time to come
    goes_back = last_s is not None and local_s < last_s - _SLACK_S
    if is_after is None and goes_back and entry[5] < before:  # dates go back where the clock does
        first = number
        is_after = True
    if is_after is None:
        return history
    if is_after:
        certain = number
    else:
        first = (number + 1) % _NUMBERS
    return history[:at] + struct.pack(_ENTRY, *entry[:3], first, certain, entry[5])
