"""Moving the bolt for a client: 0x47, 0x58. The answer waits for the bolt, so that it tells what happened.

Source: lock-ble-link.md 8.6; records: domain.md 3.4 (the gateways' reserved uid is a label, it gives no right).
"""

from firmware.lib import opcodes, records
from firmware.lib.compat import const
from firmware.lib.messages import common, session_lock
from firmware.lock import bolt, device
from firmware.lock.commands.session import sum_refusal

LATER = object()  # a handler's promise to answer when the bolt has arrived

_GATEWAY_UID = const(0x47415445)
_LOW_BATTERY = const(0x0A)
_FAILED = const(0x13)
_BY_APP = const(1)
_LOCKED_BY_APP = const(26)
_BY_GATEWAY = const(28)


def unlock(engine, plain):
    """0x47"""
    return _operate(engine, plain, opcodes.UNLOCK, bolt.UNLOCKED)


def lock(engine, plain):
    """0x58"""
    return _operate(engine, plain, opcodes.LOCK, bolt.LOCKED)


def _operate(engine, plain, command, target):
    given, unix_s = session_lock.decode_operate(plain)
    challenge = engine.session.take_challenge(engine.now_ms)
    error = sum_refusal(engine, challenge, given)
    thing = engine.device
    if error is None:
        thing.limits.keypad.clear()  # LIM-4: somebody with a key stands here
        if thing.battery_pct < device.MIN_BATTERY_PCT:
            error = _LOW_BATTERY
    if error is not None:
        return common.failure(command, error)
    uid = challenge.uid
    ticket = engine.ticket
    kind = _LOCKED_BY_APP
    if command == opcodes.UNLOCK:
        kind = _BY_GATEWAY if uid == _GATEWAY_UID else _BY_APP

    def done(arrived):
        if not arrived:
            engine.answer_later(ticket, common.failure(command, _FAILED))
            return
        thing.record(kind, records.by_user(uid, unix_s))
        data = session_lock.encode_operated(thing.battery_pct, uid, unix_s, thing.clock.date6())
        engine.answer_later(ticket, common.success(command, data))

    thing.move(target, done, engine.now_ms)
    return LATER
