"""records_read: read now what the lock has recorded. The records themselves go to `…/records`, as always."""

from firmware.gateway.operations.arguments import nothing


def check(op, args):
    """No arguments."""
    return nothing(args)


async def run(job, session):
    """Walk the log to its end, giving way to nothing but the deadline."""
    await session.get_to_know()
    return await job.tools.records.read(session, lambda: False)
