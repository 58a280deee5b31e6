"""What clients ask for and change: 0x36 auto-lock, 0x37 remote-unlock switch, 0x59 typed digits, 0x62 sound, 0x66
passage windows; at S3 only, 0x68 switches, 0x67 lamp, 0x71 direction, 0x61 freeze, 0xe6 numbers, 0x4e name.

Of the first five a query needs S1, a change S3 (not P): a well-formed change below is answered 0x02. What the lock does
by these options is its parts' own business: they read them.
Source: lock-ble-commands.md 3.6, 6, 6.1-6.6, 6.8; security.md 3.2, 3.7.
"""

from firmware.lib import opcodes
from firmware.lib.compat import const
from firmware.lib.messages import common, settings_lock
from firmware.lock.stores.options import fits

_NO_PERMISSION = const(0x02)
_FULL = const(0x04)
_UNKNOWN = const(0x1B)
_OUT_OF_RANGE = const(0x1D)
_NOT_FOUND = const(0x1F)
_DOOR_ALARM = const(51)  # feature bit

_SWITCHES = ("privacy", "tamper", "reset_button", "passage_auto_unlock")  # by bit of 0x68; bit 4 needs feature 87
_NUMBERS = {1: "language", 3: "wrong_limit", 4: "lockout_s", 5: "door_alarm_s"}  # by id of 0xe6


def _changed(engine, command, name, value, data):
    if not engine.is_admin():
        return common.failure(command, _NO_PERMISSION)
    if engine.stores.options.change(name, value):
        engine.device.log("option", name=name, value=value)
    return common.success(command, data)


def auto_lock(engine, seconds):
    """0x36"""
    device = engine.device
    if seconds is None:
        data = settings_lock.encode_auto_lock(device.battery_pct, device.stores.options.autolock_s)
        return common.success(opcodes.AUTO_LOCK, data)
    data = settings_lock.encode_changed(device.battery_pct)
    answer = _changed(engine, opcodes.AUTO_LOCK, "autolock_s", seconds, data)
    if engine.is_admin():
        engine.motion.auto_lock_changed(engine.now_ms)
    return answer


def remote_unlock(engine, allowed):
    """0x37: the only place where the switch can be changed; a change shows on the lock and in its log lines
    (security.md REM-4).
    """
    device = engine.device
    if allowed is None:
        data = settings_lock.encode_remote_unlock(device.battery_pct, bool(device.stores.options.remote_unlock))
        return common.success(opcodes.REMOTE_UNLOCK, data)
    data = settings_lock.encode_changed(device.battery_pct)
    answer = _changed(engine, opcodes.REMOTE_UNLOCK, "remote_unlock", int(allowed), data)
    if engine.is_admin():
        device.changes += 1
        device.feedback.show("remote_switch", engine.now_ms)
    return answer


def passcode_display(engine, shown):
    """0x59"""
    if shown is None:
        data = settings_lock.encode_screen(bool(engine.stores.options.passcode_display))
        return common.success(opcodes.PASSCODE_DISPLAY, data)
    data = settings_lock.encode_screen_changed()
    return _changed(engine, opcodes.PASSCODE_DISPLAY, "passcode_display", int(shown), data)


def sound(engine, wanted):
    """0x62: setting a volume turns the sound on."""
    device = engine.device
    options = device.stores.options
    if wanted is None:
        data = settings_lock.encode_sound(device.battery_pct, bool(options.sound), options.volume)
        return common.success(opcodes.SOUND, data)
    if not engine.is_admin():
        return common.failure(opcodes.SOUND, _NO_PERMISSION)
    is_on, volume = wanted
    if options.change_all({"sound": int(is_on), "volume": volume or options.volume}):
        engine.device.log("option", name="sound", value=int(is_on), volume=options.volume)
    return common.success(opcodes.SOUND, settings_lock.encode_changed(device.battery_pct))


def _change(engine, values):
    device = engine.device
    if device.stores.options.change_all(values):
        device.options_changed()
        for name in values:
            engine.device.log("option", name=name, value=values[name])


def switches(engine, wanted):
    """0x68"""
    options = engine.stores.options
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
    return common.success(opcodes.SWITCHES, settings_lock.encode_switches(op, bits))


def lamp(engine, seconds):
    """0x67"""
    if seconds is not None:
        _change(engine, {"lamp_s": seconds})
    return common.success(opcodes.LAMP, settings_lock.encode_lamp(engine.stores.options.lamp_s))


def direction(engine, way):
    """0x71"""
    op = common.QUERY
    if way is not None:
        op = common.CHANGE
        _change(engine, {"direction": way})
    return common.success(opcodes.UNLOCK_DIRECTION, settings_lock.encode_direction(op, engine.stores.options.direction))


def freeze(engine, wanted):
    """0x61"""
    device = engine.device
    if wanted is None:
        data = settings_lock.encode_frozen(device.battery_pct, bool(device.stores.options.frozen))
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
    data = settings_lock.encode_number(device.battery_pct, op, which, getattr(device.stores.options, name))
    return common.success(opcodes.SETTING, data)


def passage(engine, request):
    """0x66"""
    op, which = request  # place or window
    store = engine.stores.passage
    battery = engine.device.battery_pct
    if op == settings_lock.PASSAGE_LIST:
        raw = store.at(which)
        return common.success(opcodes.PASSAGE, settings_lock.encode_passage_list(battery, which + 1, raw))
    if not engine.is_admin():
        return common.failure(opcodes.PASSAGE, _NO_PERMISSION)
    if op == settings_lock.PASSAGE_ADD:
        if not store.add(which):
            return common.failure(opcodes.PASSAGE, _FULL)
    elif op == settings_lock.PASSAGE_DELETE:
        if not store.remove(which):
            return common.failure(opcodes.PASSAGE, _NOT_FOUND)
    else:
        store.clear()
    engine.device.log("passage", windows=len(store))
    return common.success(opcodes.PASSAGE, settings_lock.encode_passage_changed(battery, op))


def set_name(engine, text):
    """0x4e: durable before the answer; advertised from the next start of advertising on."""
    engine.stores.name.set(text)
    engine.device.log("named", bytes=len(text.encode()))
    return common.success(opcodes.LOCK_NAME, settings_lock.encode_named(engine.device.battery_pct))
