# Pairing, and the secrets of bonds in a JSON file: [[kind, key, value]…], byte strings as base64.
import asyncio
import binascii
import json

from micropython import const, schedule

from .core import ble, log_info, log_warn, register_irq_handler
from .device import DeviceConnection

_IRQ_ENCRYPTION_UPDATE = const(28)
_IRQ_GET_SECRET = const(29)
_IRQ_SET_SECRET = const(30)
_IRQ_PASSKEY_ACTION = const(31)

_NO_INPUT_OUTPUT = const(3)

_path = "ble_secrets.json"
_secrets = {}  # (kind, key) -> value
_is_changed = False


def load_secrets(path=None):
    """Before the radio is switched on. A file that is missing or unreadable holds no secrets."""
    global _path, _secrets
    _path = path or _path
    _secrets = {}
    try:
        with open(_path) as file:
            for kind, key, value in json.load(file):
                _secrets[kind, binascii.a2b_base64(key)] = binascii.a2b_base64(value)
    except (OSError, ValueError):
        log_warn("no secrets")


def _save(_):
    global _is_changed
    if not _is_changed:
        return
    listed = [
        (kind, binascii.b2a_base64(key).decode().strip(), binascii.b2a_base64(value).decode().strip())
        for (kind, key), value in _secrets.items()
    ]
    with open(_path, "w") as file:
        json.dump(listed, file)
    _is_changed = False


def _get(kind, index, key):
    if key is not None:
        return _secrets.get((kind, bytes(key)))
    for (each, _), value in _secrets.items():
        if each == kind:
            if not index:
                return value
            index -= 1
    return None


def _set(kind, key, value):
    global _is_changed
    name = kind, bytes(key)
    if value:
        _secrets[name] = bytes(value)
    elif _secrets.pop(name, None) is None:
        return False
    _is_changed = True
    schedule(_save, None)  # flash takes longer than the radio may wait
    return True


def _irq(event, data):
    if event == _IRQ_ENCRYPTION_UPDATE:
        link = DeviceConnection._connected.get(data[0])
        if link:
            _, link.encrypted, link.authenticated, link.bonded, link.key_size = data
            if link.encrypted and link._pair_event:
                link._pair_event.set()
    elif event == _IRQ_GET_SECRET:
        return _get(*data)
    elif event == _IRQ_SET_SECRET:
        return _set(*data)
    elif event == _IRQ_PASSKEY_ACTION:
        log_info("passkey action", *data)


def _shutdown():
    global _secrets, _is_changed
    _save(None)
    _secrets = {}
    _is_changed = False


register_irq_handler(_irq, _shutdown)


async def pair(connection, bond=True, le_secure=True, mitm=False, io=_NO_INPUT_OUTPUT, timeout_ms=20000):
    ble.config(bond=bond, le_secure=le_secure, mitm=mitm, io=io)
    with connection.timeout(timeout_ms):
        connection._pair_event = asyncio.ThreadSafeFlag()
        ble.gap_pair(connection._conn_handle)
        await connection._pair_event.wait()
