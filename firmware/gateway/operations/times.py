"""time_get, time_sync, zone_set: the lock's clock, read and set right, and which zone it shows.

A lock knows no zone. The gateway keeps its offset from UTC, and whoever knows the place (the owner's computer) tells
the new one when daylight saving begins or ends; the clock follows (domain.md 3.7).
"""

from firmware.gateway.operations.arguments import nothing, number, only
from firmware.lib.compat import const

_MOST_MIN = const(16 * 60)


def check(op, args):
    """Of `zone_set`: `utc_offset_min`."""
    if op != "zone_set":
        return nothing(args)
    number(only(args, "utc_offset_min"), "utc_offset_min", -_MOST_MIN, _MOST_MIN)
    return args


async def run(job, session):
    """`time_get`: what the clock shows. `time_sync`: set it, however little it is off. `zone_set`: set it by another
    offset, and keep the offset once the lock has it.
    """
    await session.get_to_know()
    clocks = job.context.clocks
    if job.op == "time_get":
        return await clocks.look(session)
    if job.op == "zone_set":
        clocks.want(session.lock)  # whatever becomes of this: a clock that shows another zone is set right
    found = await clocks.correct(session, 0, job.args.get("utc_offset_min"))
    found.update(await clocks.look(session))
    return found
