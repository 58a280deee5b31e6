"""Moving the bolt for a client: 0x47, 0x58. The answer waits for the bolt, so that it tells what happened.

The gateways' reserved uid is a label: it chooses the record, and with the remote-unlock switch off the lock refuses an
unlock that shows it. Who holds the key and shows another uid is not caught by that; without roles the gateway's own
refusal is the barrier (security.md REM-2, REM-3). Source: lock-ble-link.md 8.6; records: domain.md 3.4.
"""

from firmware.lib import opcodes, records
from firmware.lib.compat import const
from firmware.lib.messages import common, session_lock
from firmware.lock import bolt, device
from firmware.lock.commands.session import sum_refusal

LATER = object()  # a handler's promise to answer when the bolt has arrived

_GATEWAY_UID = const(0x47415445)
_NO_PERMISSION = const(0x02)
_LOW_BATTERY = const(0x0A)
_FAILED = const(0x13)
_BY_APP = const(1)
_LOCKED_BY_APP = const(26)
_BY_GATEWAY = const(28)


def unlock(engine, request):
    """0x47"""
    return _operate(engine, request, opcodes.UNLOCK, bolt.UNLOCKED)


def lock(engine, request):
    """0x58"""
    return _operate(engine, request, opcodes.LOCK, bolt.LOCKED)


def _refusal(engine, command, challenge, given):
    thing = engine.device
    error = sum_refusal(engine, challenge, given)
    if error is not None:
        return error
    if command == opcodes.UNLOCK:
        if challenge.uid == _GATEWAY_UID and not thing.options.remote_unlock:
            engine.note("remote_unlock_refused")
            return _NO_PERMISSION
        thing.limits.keypad.clear()  # LIM-4: a valid unlock over the link ends the keypad's lockout
    return _LOW_BATTERY if thing.battery_pct < device.MIN_BATTERY_PCT else None


def _operate(engine, request, command, target):
    given, unix_s = request
    challenge = engine.session.take_challenge(engine.now_ms)
    error = _refusal(engine, command, challenge, given)
    if error is not None:
        return common.failure(command, error)
    thing = engine.device
    uid = challenge.uid
    ticket = engine.ticket
    kind = _LOCKED_BY_APP
    if command == opcodes.UNLOCK:
        kind = _BY_GATEWAY if uid == _GATEWAY_UID else _BY_APP

    def done(arrived):
        if not arrived:
            engine.answer_later(ticket, common.failure(command, _FAILED))
            return
        data = session_lock.encode_operated(thing.battery_pct, uid, unix_s, thing.clock.date6())
        engine.answer_later(ticket, common.success(command, data))

    thing.operate(target, kind, records.by_user(uid, unix_s), done, engine.now_ms)
    return LATER
