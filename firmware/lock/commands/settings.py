"""What clients ask for and change: 0x36 auto-lock, 0x37 remote-unlock switch, 0x59 typed digits, 0x62 sound.

A query needs S1, a change S3 (not P): a well-formed change below is answered 0x02.
Source: lock-ble-commands.md 3.6, 6.1, 6.3, 6.4; security.md 3.2, 3.7.
"""

from firmware.lib import opcodes
from firmware.lib.messages import common, settings_lock

_NO_PERMISSION = 0x02


def _changed(engine, command, name, value, data):
    if not engine.is_admin():
        return common.failure(command, _NO_PERMISSION)
    if engine.device.options.change(name, value):
        engine.note("option", name=name, value=value)
    return common.success(command, data)


def auto_lock(engine, seconds):
    """0x36"""
    device = engine.device
    if seconds is None:
        data = settings_lock.encode_auto_lock(device.battery_pct, device.options.autolock_s)
        return common.success(opcodes.AUTO_LOCK, data)
    data = settings_lock.encode_changed(device.battery_pct)
    answer = _changed(engine, opcodes.AUTO_LOCK, "autolock_s", seconds, data)
    if engine.is_admin():
        device.auto_lock_changed(engine.now_ms)
    return answer


def remote_unlock(engine, allowed):
    """0x37: the only place where the switch can be changed; REM-4: a change shows on the lock and in its log lines."""
    device = engine.device
    if allowed is None:
        data = settings_lock.encode_remote_unlock(device.battery_pct, bool(device.options.remote_unlock))
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
        data = settings_lock.encode_screen(bool(engine.device.options.passcode_display))
        return common.success(opcodes.PASSCODE_DISPLAY, data)
    data = settings_lock.encode_screen_changed()
    return _changed(engine, opcodes.PASSCODE_DISPLAY, "passcode_display", int(shown), data)


def sound(engine, wanted):
    """0x62: setting a volume turns the sound on."""
    device = engine.device
    options = device.options
    if wanted is None:
        data = settings_lock.encode_sound(device.battery_pct, bool(options.sound), options.volume)
        return common.success(opcodes.SOUND, data)
    if not engine.is_admin():
        return common.failure(opcodes.SOUND, _NO_PERMISSION)
    is_on, volume = wanted
    if options.change_all({"sound": int(is_on), "volume": volume or options.volume}):
        engine.note("option", name="sound", value=int(is_on), volume=options.volume)
    return common.success(opcodes.SOUND, settings_lock.encode_changed(device.battery_pct))
