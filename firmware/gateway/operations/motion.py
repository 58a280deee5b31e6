"""unlock, lock, emergency_unlock: at most once (docs/spec/mqtt.md 1, security.md CMD-5). After a link that broke, the
lock is asked what became of it: its log proves what it did, its state may.
"""

import os

from firmware.gateway import lock as locks
from firmware.gateway.admission import Refusal
from firmware.gateway.operations.arguments import number, only
from firmware.gateway.scheduler import Again, Unknown
from firmware.lib import opcodes, records
from firmware.lib.compat import const
from firmware.lib.errors import AuthError, FirmwareError, LinkError, LockRefused, ProtocolError
from firmware.lib.messages import session_client
from firmware.system.timing import remaining_ms, sleep_ms, ticks_diff, ticks_ms

_FAILED = const(0x13)
_REASONS = b"\x0a\x0d\x0e\x11\x1c\x1e"  # of a lock that means its refusal: battery, flag, period, freezing, double lock
_FRESH_S = const(15)  # the state before is known if the lock told it this recently
_SETTLE_MS = const(2500)  # a bolt that is on its way arrives within this time, or not at all
_AGAIN_MS = const(250)
_MAX_PAGES = const(24)  # records read to find one; it is among the newest


def check(op, args):
    """Of `unlock`: `ekey`, the uid of the person on whose behalf it is asked."""
    if op == "unlock" and "ekey" in args:
        number(only(args, "ekey"), "ekey", 0, 0xFFFFFFFF)
        return args
    return only(args)


def judge(op, args, lock):
    """A person's remote command needs a right to it (-3046), an ekey that is not frozen (-2025)."""
    if "ekey" not in args:
        return
    from firmware.gateway.operations import ekeys

    ekeys.judge(op, args, lock)
    if not ekeys.may_unlock(lock, args["ekey"]):
        raise Refusal("remote_unlock_disabled", "the ekey has no right to unlock through a gateway")


async def _move(job, session):
    """Move the bolt, or tell what became of an attempt that got no answer."""
    lock = session.lock
    wanted = locks.LOCKED if job.op == "lock" else locks.UNLOCKED
    if job.number:
        try:
            return await _look_back(job, session, wanted)
        except (LinkError, Unknown):
            raise
        except FirmwareError as err:  # a refused question is no answer to the command
            raise Unknown("the command may have arrived, and the lock does not tell: %s" % err)
    await _demand_switch(job, session)
    age_s = job.context.registry.standing(lock)["age_s"]
    job.before = lock.state if age_s is not None and age_s <= _FRESH_S and not lock.jammed else None
    job.uid = job.args.get("ekey", session.uid)
    challenge = await (session.challenge_for(job.uid) if "ekey" in job.args else session.user_challenge())
    job.number = lock.next_operation(_about_now(job.context.clock))
    plain = session_client.operate(challenge, lock.unlock_key, job.number)
    try:
        data = await session.change(opcodes.LOCK if job.op == "lock" else opcodes.UNLOCK, plain, False)
    except FirmwareError as err:
        if not getattr(err, "sent", False):  # it never left, or the lock has answered: it has not moved
            job.number = 0
        if isinstance(err, LockRefused) and err.ble == _FAILED:
            await _explain(session, err)
        if _may_pass(job, lock, err):
            job.was_refused = True
            raise Again(err)
        raise
    try:
        battery = session_client.operated(data)[0]
    except ProtocolError:  # "done" with details that cannot be read is done all the same
        battery = None
    job.context.registry.moved(lock, wanted, battery)
    if "ekey" in job.args:
        from firmware.gateway.operations import ekeys

        ekeys.used(job, lock, job.uid)
    job.context.records.want(lock)
    return {"lock": lock.word(), "battery": battery}


unlock = lock = _move


async def emergency_unlock(job, session):
    """Auto-lock off first, then the bolt: the door stays open until somebody sets auto-lock again (domain.md 3.4). Once
    the second step may have been taken, only what became of it is asked.
    """
    if not job.number:
        from firmware.lib.messages import settings_client

        await _demand_switch(job, session)
        data = await session.change(opcodes.AUTO_LOCK, settings_client.auto_lock_set(0))
        job.context.registry.update(session.lock, auto_lock_s=0, battery=settings_client.changed(data))
    return await _move(job, session)


def _may_pass(job, lock, err):
    """Whether a refused movement is worth one new link and challenge: healthy locks refuse now and then, without a
    reason of theirs (hardware-facts.md F31). A proof that our own lock refuses is wrong, and it counts them."""
    if job.was_refused or not err.is_answer or err.ble in _REASONS or getattr(err, "reason", "") == "jammed":
        return False
    return not (lock.is_own and isinstance(err, AuthError))


def _about_now(clock):
    """Unix seconds; ahead by chance while the clock is not trusted, as it then shows the same after every start, and a
    record that was left unread before must not pass for the next movement's."""
    ahead_s = 0 if clock.trusted else int.from_bytes(os.urandom(3), "big")
    return clock.now() + ahead_s


async def _demand_switch(job, session):
    if job.op != "lock" and not await session.may_unlock_remotely():
        raise Refusal("remote_unlock_disabled", "the lock's remote-unlock switch is off or unknown")


async def _explain(session, err):
    """The general failure of a movement: a bolt that is neither here nor there is stuck."""
    try:
        _, state, _ = await session.status()
    except FirmwareError:
        return
    if state == locks.UNKNOWN:
        err.reason = "jammed"


async def _look_back(job, session, wanted):
    """What became of a frame that got no answer; it is never sent again.

    The record of the operation, which carries the number that we gave it, proves that it was carried out, also when the
    bolt has moved on since. A lock whose log does not tell is believed by its state, if that is as wanted now, was
    known to be another before, and is no constant (hardware-facts.md F33); our own would have written a record.
    """
    lock = session.lock
    began_ms = ticks_ms()
    while True:
        battery, state, _ = await session.status()
        told = await _is_recorded(job, session)
        if told is None and not lock.is_own:
            told = lock.may_prove and state == wanted and job.before is not None and job.before != wanted
        if told:
            return {"lock": lock.word(), "battery": battery, "read_back": True}
        left_ms = min(_SETTLE_MS - ticks_diff(ticks_ms(), began_ms), remaining_ms(session.deadline_ms) - _AGAIN_MS)
        if left_ms <= 0:
            says = lock.word() or "nothing of its bolt"
            raise Unknown("the link broke after the command may have arrived; the lock says %s" % says)
        await sleep_ms(min(left_ms, _AGAIN_MS))


async def _is_recorded(job, session):
    """True when the log holds the job's operation, else None: a record may be missing for other reasons.

    A record is read once; if the link breaks behind it, the job still knows.
    """
    events = []

    def look(raw):
        try:
            told = records.fields(records.decode(raw))
        except ProtocolError:
            told = {}
        event, _, ok = records.meaning(raw[0])
        events.append(event)
        if (
            ok
            and event == ("lock" if job.op == "lock" else "unlock")
            and told.get("record_id") == job.number
            and told.get("uid") == job.uid
        ):
            job.is_recorded = True

    if job.is_recorded:
        return True
    try:
        await job.context.records.read(session, lambda: len(events) >= _MAX_PAGES, look)
    except LinkError:
        raise
    except FirmwareError:  # a log that cannot be read proves nothing
        pass
    return True if job.is_recorded else None
