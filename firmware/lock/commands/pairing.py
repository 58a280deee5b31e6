"""Becoming and ceasing to be somebody's lock: 0x45, 0x19, 0x56, 0x57, 0x53, 0x65, 0x31, 0x52.

Source: lock-ble-link.md 8.1, 8.3, 8.11; lock-ble-commands.md 3.4, 3.5; security.md 3.2, RST-2.
"""

from firmware.lib import crypto, opcodes
from firmware.lib.messages import common, pairing_lock

_IS_SPECIAL = 0x10
_EXISTS = 0x14


def init(engine, _):
    """0x45: nothing yet; of a paired lock the battery, which it advertises anyway (hardware-facts.md F20)."""
    device = engine.device
    return common.success(opcodes.INIT, common.encode_level(device.battery_pct) if device.is_usable else b"")


def get_key(engine, _):
    """0x19: a fresh key; what the client sends is not compared."""
    return common.success(opcodes.GET_AES_KEY, pairing_lock.encode_aes_key(engine.device.pairing.new_key()))


def add_admin(engine, numbers):
    """0x56: the administrator's two numbers, each 1 to 2^31-1."""
    admin_ps, unlock_key = numbers
    engine.device.pairing.add_admin(admin_ps, unlock_key, engine.now_ms)
    return common.success(opcodes.ADD_ADMIN, pairing_lock.encode_admin_added())


def done(engine, _):
    """0x57: ends level P; without it, success and no effect."""
    engine.ownership.finish_pairing(engine.now_ms)
    return common.success(opcodes.PAIRING_DONE)


def set_admin_passcode(engine, digits):
    """0x53: digits as bytes 0..9; none deletes the code."""
    device = engine.device
    if digits and device.stores.passcodes.find(digits) is not None:
        return common.failure(opcodes.SET_ADMIN_PASSCODE, _EXISTS)
    if digits and crypto.equal(device.stores.keys.erase_code, digits):
        return common.failure(opcodes.SET_ADMIN_PASSCODE, _IS_SPECIAL)
    device.stores.keys.set_admin_passcode(digits)
    return common.success(opcodes.SET_ADMIN_PASSCODE)


def get_admin_passcode(engine, _):
    """0x65: battery and code; length 0 when none is set."""
    device = engine.device
    data = pairing_lock.encode_admin_passcode(device.battery_pct, device.stores.keys.admin_passcode)
    return common.success(opcodes.GET_ADMIN_PASSCODE, data)


def init_passwords(engine, seeds):
    """0x31: the seeds, kept as they come. With others than before, no code that was made under those is found."""
    engine.stores.keys.set_seeds(seeds)
    engine.stores.offline.load()
    return common.success(opcodes.INIT_PASSWORDS)


def reset(engine, _):
    """0x52: promised durably now, carried out when the link has gone; in between nobody has any right here (security.md
    RST-2).
    """
    engine.ownership.promise_reset()
    engine.session.reset(engine.now_ms)
    return b""
