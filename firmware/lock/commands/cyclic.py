"""Hours of cards, fingerprints and fobs over the link: 0x70, level S3. Source: lock-ble-commands.md 4.6."""

from firmware.lib import opcodes
from firmware.lib.compat import const
from firmware.lib.messages import common, cyclic_lock

_WINDOW_LEN = const(7)
_UNKNOWN_CARD = const(0x18)
_UNKNOWN = const(0x1A)
_MISSING = const(0x1F)


def _split(packed):
    return [packed[at : at + _WINDOW_LEN] for at in range(0, len(packed), _WINDOW_LEN)]


def _store(device, kind):
    """The store of a kind of credential, or None: no such part is fitted."""
    if kind == cyclic_lock.FINGERPRINT:
        return device.fingerprints
    if kind == cyclic_lock.CARD:
        return device.cards
    return device.fobs if kind == cyclic_lock.FOB else None


def _query(device, windows, index):
    if index >= len(windows):
        return cyclic_lock.encode_window(device.battery_pct, None)
    return cyclic_lock.encode_window(device.battery_pct, index + 1, windows[index])


def _changed(op, windows, window):
    """The windows after the change; None: there was no such window."""
    if op == cyclic_lock.CLEAR:
        return []
    if op == cyclic_lock.ADD:
        return windows if window in windows else windows + [window]
    return [other for other in windows if other != window] if window in windows else None


def manage(engine, request):
    """0x70: query, add, remove, clear; durable before the answer."""
    device = engine.device
    op, kind, user = request[:3]
    store = _store(device, kind)
    if store is None:
        return common.failure(opcodes.CYCLIC, common.UNKNOWN_OPERATION)
    packed = store.windows(user)
    if packed is None:
        return common.failure(opcodes.CYCLIC, _UNKNOWN_CARD if kind == cyclic_lock.CARD else _UNKNOWN)
    windows = _split(packed)
    if op == cyclic_lock.QUERY:
        return common.success(opcodes.CYCLIC, _query(device, windows, request[3]))
    wanted = _changed(op, windows, request[3] if len(request) > 3 else b"")
    error = _MISSING if wanted is None else None
    if wanted is not None and wanted != windows:
        error = store.set_windows(user, b"".join(wanted))
    if error is not None:
        return common.failure(opcodes.CYCLIC, error)
    return common.success(opcodes.CYCLIC, cyclic_lock.encode_managed(device.battery_pct, op))
