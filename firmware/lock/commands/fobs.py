"""Key fobs over the link: 0xe3, and the battery of accessories, 0x74; level S3.

Source: lock-ble-commands.md 6.7, 8.1; records 99, 100, 101.
"""

from firmware.lib import opcodes
from firmware.lib.compat import const
from firmware.lib.messages import accessory_lock, common, fingerprint_lock
from firmware.lock.credentials.fobs import CAPACITY

_ADDED = const(99)
_DELETED = const(100)
_CLEARED = const(101)
_FULL = const(0x04)
_UNKNOWN = const(0x1A)
_LISTEN_MS = const(30000)
_UNHEARD_PCT = const(100)  # of a fob whose address was given: until it is heard
_FOB = const(4)


def _success(data):
    return common.success(opcodes.KEY_FOB, data)


def _added(device, address, battery):
    """Let a fob in -> the answer."""
    is_new = not device.fobs.knows(address)
    if not device.fobs.add(address, battery):
        return common.failure(opcodes.KEY_FOB, _FULL)
    if is_new:
        device.record(_ADDED, address)
    return _success(fingerprint_lock.encode_added(device.battery_pct, address))


def _listen(engine):
    device = engine.device
    if len(device.fobs) >= CAPACITY:
        return common.failure(opcodes.KEY_FOB, _FULL)

    def take(heard):
        return _added(device, heard[:6], heard[6]), True

    device.enrolment.begin(opcodes.KEY_FOB, "fob", take, engine.now_ms, _LISTEN_MS)
    return _success(fingerprint_lock.encode_ready(device.battery_pct))


def _listing(engine, index):
    device = engine.device
    found = device.fobs.at(index, engine.now_ms)
    if found is None:
        return _success(fingerprint_lock.encode_list(device.battery_pct, None))
    slot, address, limits, level, is_near = found
    flags = accessory_lock.ONLINE if is_near else 0
    return _success(accessory_lock.encode_list(device.battery_pct, slot + 1, address, limits, level, flags))


def manage(engine, request):
    """0xe3: list, listen for one, bind one, modify, delete, clear; durable before the answer."""
    device = engine.device
    op = request[0]
    if op == fingerprint_lock.LIST:
        return _listing(engine, request[1])
    if op == fingerprint_lock.ADD:
        return _listen(engine) if len(request) == 1 else _added(device, request[1], _UNHEARD_PCT)
    error = None
    if op == fingerprint_lock.MODIFY:
        error = device.fobs.modify(request[1], request[2])
    elif op == fingerprint_lock.DELETE:
        error = device.fobs.delete(request[1])
        if error is None:
            device.record(_DELETED, request[1])
    elif len(device.fobs):
        device.fobs.clear()
        device.record(_CLEARED)
    if error is not None:
        return common.failure(opcodes.KEY_FOB, error)
    return _success(fingerprint_lock.encode_managed(device.battery_pct, op))


def battery(engine, kind):
    """0x74: of several fobs the weakest; other accessories are not fitted."""
    device = engine.device
    level = device.fobs.weakest(engine.now_ms) if kind == _FOB else None
    if level is None:
        return common.failure(opcodes.ACCESSORY_BATTERY, _UNKNOWN)
    return common.success(opcodes.ACCESSORY_BATTERY, accessory_lock.encode_battery(kind, level))
