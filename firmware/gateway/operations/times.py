"""time_get, time_sync, zone_set: the lock's clock, read and set right, and which zone it shows.

A lock knows no zone. The gateway keeps its rule (`lib/zone`), which whoever knows the place (the owner's computer) has
told, and sets the clock when summer time begins and ends (domain.md 3.7).
"""

from firmware.gateway.lock import zone_of
from firmware.gateway.operations.arguments import only
from firmware.lib.compat import const
from firmware.lib.errors import BadRequest
from firmware.system.timing import remaining_ms

_SPARE_MS = const(10000)  # to set the clock after the log was read


def check(op, args):
    """Of `zone_set`: `zone`, a rule, or `utc_offset_min`, a plain offset -> `zone`."""
    if op != "zone_set":
        return only(args)
    rule = zone_of(only(args, "zone", "utc_offset_min"))
    if rule is None:
        raise BadRequest("zone must be a zone rule")
    return {"zone": rule}


async def time_get(job, session):
    """What the clock shows."""
    return await job.context.clocks.look(session)


async def time_sync(job, session):
    """Set it, however little it is off; in another zone of which `zone_set` tells. Who signs it may set it back past
    its newest record."""
    clocks = job.context.clocks
    rule = job.args.get("zone")
    is_asked = rule is None and job.request.iss is not None
    result = await clocks.correct(session, 0, rule, lambda: remaining_ms(job.deadline_ms) < _SPARE_MS, is_asked)
    result.update(await clocks.look(session))
    return result


async def zone_set(job, session):
    """Set the clock in another zone, and keep the zone once the lock shows its time. Whatever becomes of this: a clock
    that shows another zone than is kept is set right soon.
    """
    job.context.clocks.want(session.lock)
    return await time_sync(job, session)
