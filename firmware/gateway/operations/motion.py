"""unlock and lock: at most once (DESIGN 4, security.md CMD-5). After a link that broke, the state is read instead."""

from firmware.gateway import lock as locks
from firmware.gateway.operations.arguments import nothing
from firmware.gateway.scheduler import Unknown
from firmware.lib import opcodes
from firmware.lib.compat import const
from firmware.lib.errors import FirmwareError, LinkError, LockRefused, ProtocolError, Unsupported
from firmware.lib.messages import session_client

_FAILED = const(0x13)
_LOCK_FEATURE = const(8)
_FRESH_S = const(15)  # the state before is known if the lock told it this recently


class RemoteUnlockDisabled(FirmwareError):
    """The lock's switch for unlocking over a gateway is off, or cannot be read (security.md 3.7)."""

    code = "remote_unlock_disabled"


def check(op, args):
    """No arguments."""
    return nothing(args)


async def run(job, session):
    """Move the bolt, or tell what became of an attempt that got no answer."""
    lock = session.lock
    wanted = locks.UNLOCKED if job.op == "unlock" else locks.LOCKED
    if job.was_sent:
        return await _look_back(job, session, wanted)
    await _may(job, session)
    age_s = job.tools.registry.age_s(lock)
    job.before = lock.state if age_s is not None and age_s <= _FRESH_S and not lock.jammed else None
    challenge = await session.user_challenge()
    plain = session_client.operate(challenge, lock.unlock_key, job.tools.clock.now())
    job.start()
    job.was_sent = True
    try:
        data = await session.ask(opcodes.UNLOCK if job.op == "unlock" else opcodes.LOCK, plain)
    except LinkError as err:
        job.was_sent = err.sent
        raise
    except LockRefused as err:
        job.was_sent = False
        if err.ble == _FAILED:
            await _explain(session, err)
        raise
    except FirmwareError:  # the lock has answered, so it has not moved
        job.was_sent = False
        raise
    try:
        battery = session_client.operated(data)[0]
    except ProtocolError:  # "done" with details that cannot be read is done all the same
        battery = None
    job.tools.registry.note(lock, state=wanted, battery=battery)
    job.tools.records.want(lock)
    return {"lock": lock.word(), "battery": battery}


async def _may(job, session):
    lock = session.lock
    await session.get_to_know()
    if job.op == "unlock":
        if lock.has_feature(locks.GATEWAY_FEATURE) is False:
            raise Unsupported("the lock cannot be unlocked by a gateway")
        if not await session.may_unlock_remotely():
            raise RemoteUnlockDisabled("the lock's remote-unlock switch is off or unknown")
    elif lock.has_feature(_LOCK_FEATURE) is False:
        raise Unsupported("the lock has no lock command")


async def _explain(session, err):
    """The general failure of a movement: a bolt that is neither here nor there is stuck."""
    try:
        _, state, _ = await session.status()
    except FirmwareError:
        return
    if state == locks.UNKNOWN:
        err.reason = "jammed"


async def _look_back(job, session, wanted):
    """The state answers for the command only if it is as wanted and was known to be different before."""
    battery, state, _ = await session.status()
    if state == wanted and job.before is not None and job.before != wanted:
        job.tools.records.want(session.lock)
        return {"lock": session.lock.word(), "battery": battery, "read_back": True}
    raise Unknown("the link broke after the command may have arrived; the lock says %s" % session.lock.word())
