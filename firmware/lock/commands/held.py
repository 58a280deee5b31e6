"""Fingerprints (0x06), key fobs (0xe3), the hours of both and of cards (0x70), the battery of accessories (0x74).

All at level S3; each change is durable before its answer.
Source: lock-ble-commands.md 4.6, 5, 6.7, 8.1; records 21, 23, 24 of fingerprints, 99, 100, 101 of fobs.
"""

from firmware.lib import opcodes
from firmware.lib.compat import const
from firmware.lib.messages import common, held_lock

_FINGER_ADDED = const(21)
_FINGER_DELETED = const(23)
_FINGERS_CLEARED = const(24)
_FOB_ADDED = const(99)
_FOB_DELETED = const(100)
_FOBS_CLEARED = const(101)

_FULL = const(0x04)
_UNKNOWN_CARD = const(0x18)
_EXISTS = const(0x19)
_UNKNOWN = const(0x1A)
_MISSING = const(0x1F)

_PRESSES = const(4)  # reported one by one; the next is the success
_FINGER_WAIT_MS = const(8000)
_FOB_WAIT_MS = const(30000)
_UNKNOWN_PCT = const(100)  # battery of a fob that was added by its address, until its radio sends it
_FOB = const(4)  # kind of accessory
_WINDOW_LEN = const(7)


class _Enrolling:
    """The presses of one enrolment, all of the same finger; another one is a bad press, which is not reported."""

    def __init__(self, device):
        self._device = device
        self._template = None
        self._done = 0

    def store(self, template):
        """One press -> (plain of the frame or None, is it over)."""
        device = self._device
        fingerprints = device.stores.fingerprints
        if self._template is None:
            if fingerprints.knows(template):
                return common.failure(opcodes.FINGERPRINT, _EXISTS), True
            self._template = template
        if template != self._template:
            return None, False
        if self._done < _PRESSES:
            self._done += 1
            data = held_lock.encode_pressed(device.battery_pct, self._done, _PRESSES)
            return common.success(opcodes.FINGERPRINT, data), False
        number = fingerprints.add(template)
        if number is None:
            return common.failure(opcodes.FINGERPRINT, _FULL), True
        device.record(_FINGER_ADDED, number)
        return common.success(opcodes.FINGERPRINT, held_lock.encode_added(device.battery_pct, number)), True


def _begin(engine, command, store, kind, keep, wait_ms):
    """Wait for one to be presented -> the answer."""
    device = engine.device
    if store.is_full:
        return common.failure(command, _FULL)
    device.enrolment.begin(command, kind, keep, engine.now_ms, wait_ms)
    return common.success(command, held_lock.encode_ready(device.battery_pct))


def _change(engine, command, store, request, deleted, cleared):
    """Modify, delete, clear -> the answer. `deleted` and `cleared` are the types of the records."""
    device = engine.device
    op = request[0]
    error = None
    if op == held_lock.MODIFY:
        error = store.modify(request[1], request[2])
    elif op == held_lock.DELETE:
        error = store.delete(request[1])
        if error is None:
            device.record(deleted, request[1])
    elif len(store):
        store.clear()
        device.record(cleared)
    if error is not None:
        return common.failure(command, error)
    return common.success(command, held_lock.encode_managed(device.battery_pct, op))


def fingerprints(engine, request):
    """0x06: list, enrol, modify, delete, clear."""
    store = engine.stores.fingerprints
    op = request[0]
    if op == held_lock.LIST:
        listed = store.at(request[1])
        slot, number, limits = (None, b"", b"") if listed is None else listed
        data = held_lock.encode_list(engine.device.battery_pct, None if slot is None else slot + 1, number, limits)
        return common.success(opcodes.FINGERPRINT, data)
    if op == held_lock.ADD:
        keep = _Enrolling(engine.device).store
        return _begin(engine, opcodes.FINGERPRINT, store, "finger", keep, _FINGER_WAIT_MS)
    return _change(engine, opcodes.FINGERPRINT, store, request, _FINGER_DELETED, _FINGERS_CLEARED)


def _fob_added(device, address, battery):
    """Store a fob -> the answer."""
    fobs = device.stores.fobs
    is_new = not fobs.knows(address)
    if not fobs.add(address, battery):
        return common.failure(opcodes.KEY_FOB, _FULL)
    if is_new:
        device.record(_FOB_ADDED, address)
    return common.success(opcodes.KEY_FOB, held_lock.encode_added(device.battery_pct, address))


def fobs(engine, request):
    """0xe3: list, add by a press of its button, add by its address, modify, delete, clear."""
    device = engine.device
    store = engine.stores.fobs
    op = request[0]
    if op == held_lock.LIST:
        listed = store.at(request[1], engine.now_ms)
        if listed is None:
            return common.success(opcodes.KEY_FOB, held_lock.encode_list(device.battery_pct, None))
        slot, address, limits, level, is_near = listed
        flags = held_lock.ONLINE if is_near else 0
        data = held_lock.encode_fob(device.battery_pct, slot + 1, address, limits, level, flags)
        return common.success(opcodes.KEY_FOB, data)
    if op == held_lock.ADD and len(request) > 1:
        return _fob_added(device, request[1], _UNKNOWN_PCT)
    if op == held_lock.ADD:

        def keep(pressed):
            return _fob_added(device, pressed[:6], pressed[6]), True

        return _begin(engine, opcodes.KEY_FOB, store, "fob", keep, _FOB_WAIT_MS)
    return _change(engine, opcodes.KEY_FOB, store, request, _FOB_DELETED, _FOBS_CLEARED)


def battery(engine, kind):
    """0x74: of several fobs the weakest; other accessories are not fitted."""
    level = engine.stores.fobs.weakest(engine.now_ms) if kind == _FOB else None
    if level is None:
        return common.failure(opcodes.ACCESSORY_BATTERY, _UNKNOWN)
    return common.success(opcodes.ACCESSORY_BATTERY, held_lock.encode_battery(kind, level))


# Hours


def _changed(op, windows, window):
    """The windows after the change; None: there was no such window."""
    if op == held_lock.HOURS_CLEAR:
        return []
    if op == held_lock.HOURS_ADD:
        return windows if window in windows else windows + [window]
    return [other for other in windows if other != window] if window in windows else None


def hours(engine, request):
    """0x70: query, add, remove, clear."""
    stores = engine.stores
    battery_pct = engine.device.battery_pct
    op, kind, user = request[:3]
    held = {held_lock.OF_FINGER: stores.fingerprints, held_lock.OF_CARD: stores.cards, held_lock.OF_FOB: stores.fobs}
    store = held.get(kind)
    if store is None:  # no such part is fitted
        return common.failure(opcodes.CYCLIC, common.UNKNOWN_OPERATION)
    packed = store.windows(user)
    if packed is None:
        return common.failure(opcodes.CYCLIC, _UNKNOWN_CARD if kind == held_lock.OF_CARD else _UNKNOWN)
    windows = [packed[at : at + _WINDOW_LEN] for at in range(0, len(packed), _WINDOW_LEN)]
    if op == held_lock.HOURS_QUERY:
        index = request[3]
        if index >= len(windows):
            return common.success(opcodes.CYCLIC, held_lock.encode_window(battery_pct, None))
        return common.success(opcodes.CYCLIC, held_lock.encode_window(battery_pct, index + 1, windows[index]))
    wanted = _changed(op, windows, request[3] if len(request) > 3 else b"")
    error = _MISSING if wanted is None else None
    if wanted is not None and wanted != windows:
        error = store.set_windows(user, b"".join(wanted))
    if error is not None:
        return common.failure(opcodes.CYCLIC, error)
    return common.success(opcodes.CYCLIC, held_lock.encode_hours_changed(battery_pct, op))
