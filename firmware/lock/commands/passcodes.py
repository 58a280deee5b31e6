"""Passcodes over the link: 0x03, 0x07, 0x04, 0x44, level S3.

Source: lock-ble-commands.md 3.1-3.4, 3.7; records 93, 5, 6, 8.
"""

from firmware.lib import crypto, opcodes, records
from firmware.lib.compat import const
from firmware.lib.messages import common, passcode_lock
from firmware.lock.stores import passcodes

_IS_SPECIAL = const(0x10)
_EXISTS = const(0x14)
_BAD_VALUE = const(0x1D)

_CHANGED = const(5)
_DELETED = const(6)
_CLEARED = const(8)
_ADDED = const(93)

_NO_END = b"\x63\x01\x01\x00\x00"
_WITH_END = (passcode_lock.ONCE, passcode_lock.PERIOD)


def _is_special(engine, digits):
    keys = engine.stores.keys
    is_admin = crypto.equal(keys.admin_passcode, digits)
    return crypto.equal(keys.erase_code, digits) or is_admin


def _add(engine, kind, digits, trailer):
    device = engine.device
    has_end = kind in _WITH_END
    if has_end and trailer[5:] <= trailer[:5]:
        return _BAD_VALUE
    if _is_special(engine, digits):
        return _IS_SPECIAL
    before = len(device.stores.passcodes)
    error = device.stores.passcodes.add(kind, digits, trailer)
    if error is None and len(device.stores.passcodes) != before:
        device.record(_ADDED, records.code_added(digits, trailer[:5], trailer[5:] if has_end else _NO_END))
    return error


def _modify(engine, old, new, start, end):
    device = engine.device
    if _is_special(engine, new):
        return _IS_SPECIAL
    stored = device.stores.passcodes.find(old)
    if stored is not None and passcodes.kind_of(stored[1]) in _WITH_END and end <= start:
        return _BAD_VALUE
    error = device.stores.passcodes.modify(old, new, start, end)
    if error is None:
        device.record(_CHANGED, records.by_code(old, new))
    return error


def _delete(engine, digits):
    device = engine.device
    error = device.stores.passcodes.delete(digits)
    if error is None:
        device.record(_DELETED, records.by_code(digits))
    return error


def _clear(engine):
    device = engine.device
    if len(device.stores.passcodes):
        device.stores.passcodes.clear()
        device.record(_CLEARED, records.codes_cleared(device.stores.clock.date6()))


def manage(engine, request):
    """0x03: clear, add, delete, modify, recover; each durable before its answer."""
    op = request[0]
    if engine.stores.offline.promise:  # an erasure that is not finished would remove what is added
        from firmware.lock import first_use

        first_use.finish(engine.device)
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
    stored = engine.stores.passcodes.at(cursor)
    cursor, item = (0, None) if stored is None else (stored[0] + 1, stored[1])
    return common.success(opcodes.PASSCODE_LIST, passcode_lock.encode_list(cursor, item))


def count(engine, _):
    """0x04: how many there are."""
    device = engine.device
    data = passcode_lock.encode_count(device.battery_pct, len(device.stores.passcodes))
    return common.success(opcodes.PASSCODE_COUNT, data)


def set_erase_code(engine, digits):
    """0x44: digits that erase all passcodes when they are typed; none deletes the code."""
    device = engine.device
    if digits and device.stores.passcodes.find(digits) is not None:
        return common.failure(opcodes.SET_ERASE_CODE, _EXISTS)
    if digits and crypto.equal(device.stores.keys.admin_passcode, digits):
        return common.failure(opcodes.SET_ERASE_CODE, _IS_SPECIAL)
    device.stores.keys.set_erase_code(digits)
    return common.success(opcodes.SET_ERASE_CODE)
