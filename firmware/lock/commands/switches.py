"""Switches and numbers: 0x68, 0x67 lamp, 0x71 direction, 0x61 freeze, 0xe6 numbers. All at S3.

What the lock does by them is its parts' own business: they read the options.
Source: lock-ble-commands.md 6.5, 6.6, 6.8.
"""

from firmware.lib import opcodes
from firmware.lib.messages import common, settings_lock, switches_lock
from firmware.lock.settings import fits

_OUT_OF_RANGE = 0x1D
_UNKNOWN = 0x1B
_DOOR_ALARM = 51  # feature bit

_SWITCHES = ("privacy", "tamper", "reset_button", "passage_auto_unlock")  # by bit of 0x68; bit 4 needs feature 87
_NUMBERS = {1: "language", 3: "wrong_limit", 4: "lockout_s", 5: "door_alarm_s"}  # by id of 0xe6


def _change(engine, values):
    device = engine.device
    if device.options.change_all(values):
        device.options_changed()
        for name in values:
            engine.note("option", name=name, value=values[name])


def switches(engine, wanted):
    """0x68"""
    options = engine.device.options
    op = common.QUERY
    if wanted is not None:
        op = common.CHANGE
        mask, values = wanted
        if mask >> len(_SWITCHES):
            return common.failure(opcodes.SWITCHES, _UNKNOWN)
        changes = {}
        for bit, name in enumerate(_SWITCHES):
            if mask >> bit & 1:
                changes[name] = values >> bit & 1
        _change(engine, changes)
    bits = 0
    for bit, name in enumerate(_SWITCHES):
        bits |= getattr(options, name) << bit
    return common.success(opcodes.SWITCHES, switches_lock.encode_switches(op, bits))


def lamp(engine, seconds):
    """0x67"""
    if seconds is not None:
        _change(engine, {"lamp_s": seconds})
    return common.success(opcodes.LAMP, switches_lock.encode_lamp(engine.device.options.lamp_s))


def direction(engine, way):
    """0x71"""
    op = common.QUERY
    if way is not None:
        op = common.CHANGE
        _change(engine, {"direction": way})
    return common.success(opcodes.UNLOCK_DIRECTION, switches_lock.encode_direction(op, engine.device.options.direction))


def freeze(engine, wanted):
    """0x61"""
    device = engine.device
    if wanted is None:
        data = switches_lock.encode_frozen(device.battery_pct, bool(device.options.frozen))
        return common.success(opcodes.FREEZE, data)
    _change(engine, {"frozen": int(wanted)})
    return common.success(opcodes.FREEZE, settings_lock.encode_changed(device.battery_pct))


def number(engine, request):
    """0xe6"""
    which, value = request
    device = engine.device
    name = _NUMBERS.get(which)
    if name is None or (name == "door_alarm_s" and not engine.features >> _DOOR_ALARM & 1):
        return common.failure(opcodes.SETTING, _UNKNOWN)
    op = common.QUERY
    if value is not None:
        op = common.CHANGE
        if not fits(name, value):
            return common.failure(opcodes.SETTING, _OUT_OF_RANGE)
        _change(engine, {name: value})
    data = switches_lock.encode_number(device.battery_pct, op, which, getattr(device.options, name))
    return common.success(opcodes.SETTING, data)
