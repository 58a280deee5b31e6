"""What follows from a code that was made without the lock: it is kept, used up, or erases all others.

Owns the order of the steps, so that no power cut leaves a code that opens after it should not, nor loses one that
should (security.md DEL-1, DEL-3). Source: domain.md 2 (key feature 2), 3.1; records 8, 10.
"""

from firmware.lib import code_algorithm, dates, offline_codes, records
from firmware.lib.compat import const
from firmware.lib.credentials import CYCLIC, PERIOD, PERMANENT
from firmware.lib.errors import ProtocolError
from firmware.lock.credentials import offline, passcodes

_CLEARED = const(8)
_ERASED = const(10)
_FIRST_SCHEDULE = const(1000)
_NO_END = b"\x63\x01\x01\x00\x00"


def _date5(minutes):
    try:
        return dates.encode5(dates.from_seconds(60 * minutes))
    except ProtocolError:  # beyond 2099: as good as no end
        return _NO_END


def _row(found, digits):
    """The entry that the code becomes, listed like any other (lock-ble-commands.md 3.1)."""
    kind, start, number = found
    begins = _date5(60 * start)
    if kind == offline_codes.PERMANENT:
        return passcodes.used(PERMANENT, digits, begins)
    if kind == offline_codes.PERIOD:
        return passcodes.used(PERIOD, digits, begins + _date5(60 * (start + code_algorithm.DURATIONS_H[number])))
    schedule = _FIRST_SCHEDULE + 24 * (kind - code_algorithm.FIRST_RECURRING) + number
    return passcodes.used(CYCLIC, digits, begins + schedule.to_bytes(2, "big"))


def use_up(device, found):
    """A one-time code `found` (kind, start, number) never opens again. OSError, as below: nothing was done."""
    finish(device)  # one promise has room
    device.offline.use(found[0], found[1], found[2], device.clock.seconds() // 60)


def keep(device, found, digits):
    """The code is an entry from here on. There is room for it."""
    finish(device)
    device.offline.use(found[0], found[1], found[2], device.clock.seconds() // 60, _row(found, digits))
    retry(device)


def erase_all(device, digits):
    """No code opens any more but the administrator's: record 10, then one record 8."""
    promise = device.ring.next_sequence.to_bytes(4, "big") + digits
    device.offline.erase(device.clock.seconds() // 60, device.clock.is_trusted, promise)
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
    promise = device.offline.promise
    if not promise:
        return
    if promise[0] == offline.KEEP:
        device.passcodes.keep(promise[1:])
    else:
        device.passcodes.clear()
        _record_erasure(device, int.from_bytes(promise[1:5], "big"), promise[5:])
    device.offline.settle()


def _record_erasure(device, seq, digits):
    told = []
    if device.ring.holds(seq):
        for raw in device.ring.since(seq):
            try:
                told.append(records.decode(raw).type)
            except ProtocolError:  # damaged
                pass
    if _ERASED not in told:
        device.record(_ERASED, records.by_code(digits))
    if _CLEARED not in told:
        device.record(_CLEARED, records.codes_cleared(device.clock.date6()))
