"""Moving the bolt for a client: 0x47, 0x58. The answer waits for the bolt, so that it tells what happened.

The gateways' reserved uid is a label: it chooses the record, and with the remote-unlock switch off the lock refuses an
unlock that shows it. Who holds the key and shows another uid is not caught by that; without roles the gateway's own
refusal is the barrier (security.md REM-2, REM-3).

The uid of a person's ekey is more: with the person's own secret (0x55) it proves the person; with the administrator's
(0x41) it says for whom a gateway acts, and then the lock holds the movement to what that person may do.
Source: lock-ble-link.md 8.6; records: domain.md 3.4.
"""

from firmware.lib import credentials, opcodes, records, validity
from firmware.lib.compat import const
from firmware.lib.messages import common, ekey_lock, session_lock
from firmware.lock import bolt
from firmware.lock.commands.session import error_byte, sum_refusal
from firmware.lock.commands.table import LATER

_FAILED = const(0x13)
_BY_APP = const(1)
_LOCKED_BY_APP = const(26)
_BY_GATEWAY = const(28)
_DOUBLE_LOCKED = const(0x1E)
_REFUSED_DOUBLE_LOCKED = const(41)


def unlock(engine, request):
    """0x47"""
    return _operate(engine, request, opcodes.UNLOCK, bolt.UNLOCKED)


def lock(engine, request):
    """0x58"""
    return _operate(engine, request, opcodes.LOCK, bolt.LOCKED)


def _refusal(engine, command, challenge, given):
    device = engine.device
    error = sum_refusal(engine, challenge, given)
    if error is not None:
        return error
    situation = device.situation()
    kept = device.stores.ekeys.credential(challenge.uid)
    if command == opcodes.LOCK:
        why = None if kept is None else validity.claim_refusal(kept, situation)
        return error_byte(why or validity.lock_refusal(situation))
    verdict = validity.decide(_proved(challenge, kept), situation)
    if verdict.opens and verdict.then == validity.USE_UP and not _use_up(engine, challenge.uid):
        return _FAILED
    if verdict.is_right:
        device.stores.limits.forgive()
    elif verdict.why == "remote_unlock_disabled":
        engine.device.log("remote_unlock_refused")
    return error_byte(verdict.why)


def _proved(challenge, kept):
    """The credential behind a right answer; `kept`: what the lock knows of its uid, if it is a person's ekey."""
    is_admin = challenge.opcode == opcodes.CHECK_ADMIN
    if kept is not None:
        kept.is_remote = is_admin
        return kept
    proved = credentials.Credential()  # its period was judged with the claim, before the challenge
    proved.is_admin = is_admin
    proved.is_remote = challenge.uid == records.GATEWAY_UID
    return proved


def _use_up(engine, uid):
    """A key that opens once is gone before the bolt moves (security.md DEL-3). False: the flash refuses, so the door
    stays shut.
    """
    try:
        engine.stores.ekeys.revoke(uid)
    except OSError:
        return False
    engine.device.log("ekey_used_up", uid="%08x" % uid)
    return True


def _operate(engine, request, command, target):
    given, unix_s = request
    challenge = engine.session.use_challenge(engine.now_ms)
    error = _refusal(engine, command, challenge, given)
    device = engine.device
    if error is not None:
        if error == _DOUBLE_LOCKED:
            device.record(_REFUSED_DOUBLE_LOCKED, records.by_user(challenge.uid, unix_s))
        return common.failure(command, error)
    uid = challenge.uid
    ticket = engine.ticket
    kind = _LOCKED_BY_APP
    if command == opcodes.UNLOCK:
        is_for = challenge.opcode == opcodes.CHECK_ADMIN and ekey_lock.FIRST_UID <= uid <= ekey_lock.LAST_UID
        kind = _BY_GATEWAY if is_for or uid == records.GATEWAY_UID else _BY_APP

    def done(arrived):
        if not arrived:
            engine.answer_later(ticket, common.failure(command, _FAILED))
            return
        data = session_lock.encode_operated(device.battery_pct, uid, unix_s, device.stores.clock.date6())
        engine.answer_later(ticket, common.success(command, data))

    engine.motion.operate(target, kind, records.by_user(uid, unix_s), done, engine.now_ms)
    return LATER
