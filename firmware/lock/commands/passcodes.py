"""Passcodes over the link: 0x03 and 0x07, level S3. Source: lock-ble-commands.md 3.1-3.3; records 93, 5, 6, 8."""

from firmware.lib import crypto, opcodes, records
from firmware.lib.compat import const
from firmware.lib.messages import common, passcode_lock

_IS_SPECIAL = const(0x10)
_BAD_VALUE = const(0x1D)

_CHANGED = const(5)
_DELETED = const(6)
_CLEARED = const(8)
_ADDED = const(93)

_NO_END = b"\x63\x01\x01\x00\x00"


def _is_admin_passcode(engine, digits):
    return crypto.equal(engine.device.keys.admin_passcode, digits)


def _add(engine, kind, digits, trailer):
    device = engine.device
    has_end = kind in (passcode_lock.ONCE, passcode_lock.PERIOD)
    if has_end and trailer[5:] <= trailer[:5]:
        return _BAD_VALUE
    if _is_admin_passcode(engine, digits):
        return _IS_SPECIAL
    before = len(device.passcodes)
    error = device.passcodes.add(kind, digits, trailer)
    if error is None and len(device.passcodes) != before:
        device.record(_ADDED, records.code_added(digits, trailer[:5], trailer[5:] if has_end else _NO_END))
    return error


def _modify(engine, old, new, start, end):
    device = engine.device
    if _is_admin_passcode(engine, new):
        return _IS_SPECIAL
    found = device.passcodes.find(old)
    if found is not None and found[1][0] in (passcode_lock.ONCE, passcode_lock.PERIOD) and end <= start:
        return _BAD_VALUE
    error = device.passcodes.modify(old, new, start, end)
    if error is None:
        device.record(_CHANGED, records.by_code(old, new))
    return error


def _delete(engine, digits):
    device = engine.device
    error = device.passcodes.delete(digits)
    if error is None:
        device.record(_DELETED, records.by_code(digits))
    return error


def _clear(engine):
    device = engine.device
    if len(device.passcodes):
        device.passcodes.clear()
        device.record(_CLEARED, records.codes_cleared(device.clock.date6()))


def manage(engine, request):
    """0x03: clear, add, delete, modify, recover; each durable before its answer."""
    op = request[0]
    if op == passcode_lock.CLEAR:
        error = _clear(engine)
    elif op == passcode_lock.DELETE:
        error = _delete(engine, request[1])
    elif op == passcode_lock.MODIFY:
        error = _modify(engine, *request[1:])
    else:
        error = _add(engine, *request[1:])
    if error is not None:
        return common.failure(opcodes.PASSCODE, error)
    return common.success(opcodes.PASSCODE, passcode_lock.encode_managed(engine.device.battery_pct, op))


def listing(engine, cursor):
    """0x07: one entry per answer; the cursor is the slot behind it."""
    found = engine.device.passcodes.at(cursor)
    cursor, item = (0, None) if found is None else (found[0] + 1, found[1])
    return common.success(opcodes.PASSCODE_LIST, passcode_lock.encode_list(cursor, item))
