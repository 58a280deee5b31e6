"""What follows from a code that was made without the lock: it is kept, used up, or erases all others.

Owns the order of the steps, so that no power cut leaves a code that opens after it should not, nor loses one that
should (security.md DEL-1, DEL-3). Source: domain.md 2 (key feature 2), 3.1; records 8, 10.
"""

from firmware.lib import dates, offline_codes, records
from firmware.lib.compat import const
from firmware.lib.credentials import CYCLIC, PERIOD, PERMANENT
from firmware.lib.errors import ProtocolError
from firmware.lock.stores import offline, passcodes

_CLEARED = const(8)
_ERASED = const(10)
_FIRST_SCHEDULE = const(1000)
_NO_END = b"\x63\x01\x01\x00\x00"


def _date5(minutes):
    try:
        return dates.encode5(dates.from_seconds(60 * minutes))
    except ProtocolError:  # beyond 2099: as good as no end
        return _NO_END


def _row(made, digits):
    """The entry that the code becomes, listed like any other (lock-ble-commands.md 3.1)."""
    kind, start, number = made
    begins = _date5(60 * start)
    if kind == offline_codes.PERMANENT:
        return passcodes.used(PERMANENT, digits, begins)
    if kind == offline_codes.PERIOD:
        return passcodes.used(PERIOD, digits, begins + _date5(60 * (start + offline_codes.DURATIONS_H[number])))
    schedule = _FIRST_SCHEDULE + 24 * (kind - offline_codes.FIRST_RECURRING) + number
    return passcodes.used(CYCLIC, digits, begins + schedule.to_bytes(2, "big"))


def use_up(device, made):
    """A one-time code `made` (kind, start, number) never opens again. OSError, as below: nothing was done."""
    finish(device)  # one promise has room
    device.stores.offline.use(made[0], made[1], made[2], device.stores.clock.seconds() // 60)


def keep(device, made, digits):
    """The code is an entry from here on. There is room for it."""
    finish(device)
    device.stores.offline.use(*made, device.stores.clock.seconds() // 60, _row(made, digits))
    retry(device)


def erase_all(device, digits):
    """No code opens any more but the administrator's: record 10, then one record 8."""
    promise = device.stores.ring.next_sequence.to_bytes(4, "big") + digits
    device.stores.offline.erase(device.stores.clock.seconds() // 60, device.stores.clock.is_trusted, promise)
    retry(device)


def retry(device):
    """Do what could not be done when it was promised: at start, before anything else is recorded, and before the next
    code is looked at. False: the flash still refuses.
    """
    try:
        finish(device)
    except OSError:
        return False
    return True


def finish(device):
    """Do what is promised."""
    promise = device.stores.offline.promise
    if not promise:
        return
    if promise[0] == offline.KEEP:
        device.stores.passcodes.keep(promise[1:])
    else:
        device.stores.passcodes.clear()
        _record_erasure(device, int.from_bytes(promise[1:5], "big"), promise[5:])
    device.stores.offline.settle()


def _record_erasure(device, seq, digits):
    recorded = []
    if device.stores.ring.holds(seq):
        for raw in device.stores.ring.since(seq):
            try:
                recorded.append(records.decode(raw).type)
            except ProtocolError:  # damaged
                pass
    if _ERASED not in recorded:
        device.record(_ERASED, records.by_code(digits))
    if _CLEARED not in recorded:
        device.record(_CLEARED, records.codes_cleared(device.stores.clock.date6()))
