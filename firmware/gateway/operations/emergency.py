"""emergency_unlock: auto-lock off first, then the bolt; the door stays open until somebody sets auto-lock again.

As volatile as `unlock`. Source: domain.md 3.4.
"""

from firmware.gateway.operations import motion
from firmware.gateway.operations.arguments import nothing
from firmware.lib import opcodes
from firmware.lib.messages import settings_client


def check(op, args):
    """No arguments."""
    return nothing(args)


async def run(job, session):
    """Both steps; once the second may have been taken, only what became of it is asked."""
    if not job.number:
        await motion.may(job, session)
        data = await session.change(opcodes.AUTO_LOCK, settings_client.auto_lock_set(0))
        job.context.registry.note_auto_lock(session.lock, 0, settings_client.changed(data))
    return await motion.run(job, session)
