"""Ekeys of persons over the link: 0xe8, level S3. Layouts: `lib/README.md`; the rules: `stores.ekeys`."""

from firmware.lib import opcodes
from firmware.lib.messages import common, ekey_lock
from firmware.lock.stores import ekeys


def _add(device, uid, key, limits):
    is_there = device.stores.ekeys.slot(uid) is not None
    error = device.stores.ekeys.add(uid, key, limits)
    if error is None and not is_there:
        device.stores.limits.ekeys.forget(device.stores.ekeys.slot(uid))
    return error


def _listed(device, index):
    stored = device.stores.ekeys.at(index)
    if stored is None:
        return ekey_lock.encode_list(device.battery_pct, None)
    slot, uid, limits = stored
    return ekey_lock.encode_list(device.battery_pct, slot + 1, uid, limits)


def manage(engine, request):
    """0xe8: each change is durable before its answer."""
    device = engine.device
    store = device.stores.ekeys
    op = request[0]
    error = None
    data = ekey_lock.encode_managed(device.battery_pct, op)
    if op == ekey_lock.STATUS:
        data = ekey_lock.encode_status(device.battery_pct, store.flag_pos, store.next_uid, len(store), ekeys.CAPACITY)
    elif op == ekey_lock.LIST:
        data = _listed(device, request[1])
    elif op == ekey_lock.RESET:
        error = store.reset(request[1])
        data = ekey_lock.encode_reset(device.battery_pct, store.flag_pos)
    elif op == ekey_lock.REVOKE:
        error = store.revoke(request[1])
    elif op == ekey_lock.MODIFY:
        error = store.modify(request[1], _packed(request[2:]))
    else:
        error = _add(device, request[1], request[2], _packed(request[3:]))
    if error is not None:
        return common.failure(opcodes.EKEY, error)
    engine.device.log("ekeys", op=op, count=len(store))
    return common.success(opcodes.EKEY, data)


def _packed(limits):
    return limits[0] + limits[1] + bytes((limits[2],))
