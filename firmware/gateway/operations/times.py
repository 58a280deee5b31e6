"""time_get and time_sync: the lock's clock, read and set right."""

from firmware.gateway.operations.arguments import nothing


def check(op, args):
    """No arguments."""
    return nothing(args)


async def run(job, session):
    """`time_get`: what the clock shows. `time_sync`: set it, however little it is off."""
    await session.get_to_know()
    if job.op == "time_get":
        return await job.tools.clocks.look(session)
    return await job.tools.clocks.correct(session, 0)
