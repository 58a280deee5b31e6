"""state and info: what the lock says of itself, asked over a link."""

from firmware.gateway.operations.arguments import nothing
from firmware.lib.errors import FirmwareError


def check(op, args):
    """No arguments."""
    return nothing(args)


async def run(job, session):
    """`state`: bolt, door, battery. `info`: what the lock is."""
    lock = session.lock
    await session.get_to_know()
    battery, _, _ = await session.status()
    if job.op == "state":
        return {"lock": lock.word(), "door": lock.door, "battery": battery}
    return await describe(session)


async def describe(session):
    """What a lock is: `data` of `info` and of `import`."""
    lock = session.lock
    try:
        switch = await session.may_unlock_remotely()
    except FirmwareError:
        switch = None
    return {
        "model": lock.model,
        "hardware": lock.hardware,
        "firmware": lock.firmware,
        "features": "%X" % (lock.features or 0),
        "battery": lock.battery,
        "lock": lock.word(),
        "remote_unlock": switch,
        "verified": lock.verified,
    }
