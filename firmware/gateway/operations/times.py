"""time_get, time_sync, zone_set: the lock's clock, read and set right, and which zone it shows.

A lock knows no zone. The gateway keeps its offset from UTC, and whoever knows the place (the owner's computer) tells
the new one when daylight saving begins or ends; the clock follows (domain.md 3.7).
"""

from firmware.gateway.operations.arguments import number, only
from firmware.lib.compat import const

_MAX_OFFSET_MIN = const(16 * 60)


def check(op, args):
    """Of `zone_set`: `utc_offset_min`."""
    if op != "zone_set":
        return only(args)
    number(only(args, "utc_offset_min"), "utc_offset_min", -_MAX_OFFSET_MIN, _MAX_OFFSET_MIN)
    return args


async def time_get(job, session):
    """What the clock shows."""
    return await job.context.clocks.look(session)


async def time_sync(job, session):
    """Set it, however little it is off; by another offset of which `zone_set` tells."""
    clocks = job.context.clocks
    result = await clocks.correct(session, 0, job.args.get("utc_offset_min"))
    result.update(await clocks.look(session))
    return result


async def zone_set(job, session):
    """Set the clock by another offset, and keep the offset once the lock shows it. Whatever becomes of this: a clock
    that shows another zone than is kept is set right soon.
    """
    job.context.clocks.want(session.lock)
    return await time_sync(job, session)
