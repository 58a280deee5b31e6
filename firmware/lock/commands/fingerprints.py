"""Fingerprints over the link: 0x06, level S3. Source: lock-ble-commands.md 5; records 21, 23, 24."""

from firmware.lib import opcodes
from firmware.lib.compat import const
from firmware.lib.messages import common, fingerprint_lock
from firmware.lock.credentials.fingerprints import CAPACITY

_ADDED = const(21)
_DELETED = const(23)
_CLEARED = const(24)
_FULL = const(0x04)
_EXISTS = const(0x19)
_PRESSES = const(4)  # told one by one; the next is the success
_LIMIT_MS = const(8000)


class _Enrolling:
    """The presses of one enrolment, all of the same finger; another one is a bad press, of which nothing is told."""

    def __init__(self, device):
        self._device = device
        self._template = None
        self._done = 0

    def take(self, template):
        """One press -> (plain of the frame or None, is it over)."""
        device = self._device
        if self._template is None:
            if device.fingerprints.knows(template):
                return common.failure(opcodes.FINGERPRINT, _EXISTS), True
            self._template = template
        if template != self._template:
            return None, False
        if self._done < _PRESSES:
            self._done += 1
            return _success(fingerprint_lock.encode_pressed(device.battery_pct, self._done, _PRESSES)), False
        number = device.fingerprints.add(template)
        if number is None:
            return common.failure(opcodes.FINGERPRINT, _FULL), True
        device.record(_ADDED, number)
        return _success(fingerprint_lock.encode_added(device.battery_pct, number)), True


def _success(data):
    return common.success(opcodes.FINGERPRINT, data)


def _enrol(engine):
    device = engine.device
    if len(device.fingerprints) >= CAPACITY:
        return common.failure(opcodes.FINGERPRINT, _FULL)
    enrolling = _Enrolling(device)
    device.enrolment.begin(opcodes.FINGERPRINT, "finger", enrolling.take, engine.now_ms, _LIMIT_MS)
    return _success(fingerprint_lock.encode_ready(device.battery_pct))


def _listing(device, index):
    found = device.fingerprints.at(index)
    if found is None:
        return _success(fingerprint_lock.encode_list(device.battery_pct, None))
    slot, number, limits = found
    return _success(fingerprint_lock.encode_list(device.battery_pct, slot + 1, number, limits))


def manage(engine, request):
    """0x06: list, enrol, modify, delete, clear; durable before the answer."""
    device = engine.device
    op = request[0]
    if op == fingerprint_lock.LIST:
        return _listing(device, request[1])
    if op == fingerprint_lock.ADD:
        return _enrol(engine)
    error = None
    if op == fingerprint_lock.MODIFY:
        error = device.fingerprints.modify(request[1], request[2])
    elif op == fingerprint_lock.DELETE:
        error = device.fingerprints.delete(request[1])
        if error is None:
            device.record(_DELETED, request[1])
    elif len(device.fingerprints):
        device.fingerprints.clear()
        device.record(_CLEARED)
    if error is not None:
        return common.failure(opcodes.FINGERPRINT, error)
    return _success(fingerprint_lock.encode_managed(device.battery_pct, op))
