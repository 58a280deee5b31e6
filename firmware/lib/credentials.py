"""What one credential may do and when, made from the bytes in which it is stored or sent. `validity` judges it.

Owns the limits of each kind: periods, hours, uses, first use. Times are minutes since 2000-01-01 00:00, lock-local
(`dates.to_minutes`); a period holds from its first minute on and no more in its last.
Source: domain.md 3.1, 3.2; lock-ble-commands.md 1.2, 3.1, 4.6; lock-ble-link.md 8.5.
"""

from firmware.lib import dates, recurrence

# Kinds of a passcode over Bluetooth
PERMANENT = 1
ONCE = 2
PERIOD = 3
CYCLIC = 4


class Credential:
    """Limits and properties; what is not set does not limit. Made for one decision, not kept.

    `start_min`, `end_min`: the period, or None; `windows`: hours of `recurrence`, of which any is enough.
    """

    is_admin = False  # opens a door that is locked from inside
    is_once = False
    is_used = False  # it has opened before; durable on the lock, whatever its clock says
    is_offline = False  # of the algorithm: barred by an erasure, void unless used before `first_use_end_min`
    is_lost = False
    is_remote = False  # an ekey that comes through a gateway
    has_remote_right = True  # the right of a person's ekey to open through a gateway
    is_frozen = False  # a person's ekey that the owner has suspended
    is_revoked = False  # a person's ekey that is no more
    erases = False  # removes the passcodes instead of opening
    first_use_end_min = None
    flag_pos = None  # of an ekey; those below the lock's were revoked

    def __init__(self, start_min=None, end_min=None, windows=()):
        self.start_min = start_min
        self.end_min = end_min
        self.windows = windows


def _start(raw):
    """A stored start, or None: whatever begins in 2000 began before any lock (three clients' "always":
    lock-ble-commands.md 1.2)."""
    return dates.to_minutes(dates.decode5(raw)) if raw[0] else None


def _end(raw, at):
    """A stored end, or None: whatever ends in 2099 does not end (lock-ble-commands.md 1.2)."""
    return dates.to_minutes(dates.decode5(raw, at)) if raw[at] != 99 else None


def dated(start5, end5, raw_windows=b""):
    """A card, fingerprint or fob: period of ten bytes, and its windows of 0x70 one after the other."""
    made = Credential(_start(start5), _end(end5, 0))
    if raw_windows:
        from firmware.lib import windows

        made.windows = windows.cyclic(raw_windows)
    return made


def passcode(kind, trailer, is_used=False):
    """A passcode written into the lock. `trailer`: start; start and end; or start and schedule code."""
    start_min = _start(trailer)
    if kind == PERMANENT:
        return Credential(start_min)
    if kind == CYCLIC:
        opens = trailer[3] * 60 + trailer[4]
        return Credential(start_min, None, (recurrence.schedule(trailer[5] << 8 | trailer[6], opens),))
    if kind != ONCE and kind != PERIOD:
        return Credential(None, 0)  # no such kind: over before it begins
    made = Credential(start_min, _end(trailer, 5))
    made.is_once = kind == ONCE
    made.is_used = is_used
    return made


def ekey(start, end, flag_pos):
    """An ekey's claim in 0x55: date5 each, or None for the permanent one, which the message's decoder knows."""
    made = Credential()
    if start is not None:
        made.start_min = dates.to_minutes(start)
        made.end_min = dates.to_minutes(end)
    made.flag_pos = flag_pos
    return made


def admin():
    """The admin passcode, or the administrator's phone (0x41), which outlives a reset of all ekeys."""
    made = Credential()
    made.is_admin = True
    return made


def erase():
    """The owner's erase code (0x44): valid at any time."""
    made = Credential()
    made.erases = True
    return made
