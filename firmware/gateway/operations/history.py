"""records_read: read now what the lock has recorded. The records themselves go to `…/records`, as always."""

from firmware.gateway.operations.arguments import nothing
from firmware.gateway.scheduler import COMMAND


def check(op, args):
    """No arguments."""
    return nothing(args)


async def run(job, session):
    """Walk the log to its end, giving way to the deadline, to unlock and to lock; `more` tells of a rest."""
    job.context.uploads.offer_again(session.lock)
    await session.get_to_know()
    return await job.context.records.read(session, lambda: job.context.is_wanted(COMMAND))
