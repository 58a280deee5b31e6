"""Periods of cards, fingerprints and fobs: Unix seconds of the arguments, and dates of the lock's own clock.

Source: domain.md 1.3, 3.2; lock-ble-commands.md 1.2 ("always": the two sentinels).
"""

from firmware.gateway.operations.arguments import number
from firmware.lib import dates, reports
from firmware.lib.compat import const
from firmware.lib.errors import BadRequest, LockRefused, ProtocolError

_UNIX_2000 = const(946684800)
_UNIX_2100 = const(4102444800)


def check(args, needs_end=False):
    """`start` and `end`, of which the second is later. Without an end there is no limit, unless `needs_end`: a card or
    finger is not made permanent by a change (domain.md 2, key feature 3).
    """
    start = number(args, "start", _UNIX_2000, _UNIX_2100 - 1, _UNIX_2000)
    if "end" not in args:
        if needs_end:
            raise BadRequest("end is missing: a change does not make it permanent")
    elif number(args, "end", _UNIX_2000, _UNIX_2100 - 1) <= start:
        raise BadRequest("end must be after start")


def demand_future(job):
    """Raise BadRequest when the end has passed, where the gateway knows the time and nothing was sent so far."""
    clock = job.context.clock
    if "end" in job.args and not job.was_sent and clock.trusted and job.args["end"] <= clock.now():
        raise BadRequest("end must be after now")


def status(job, start, end):
    """1 normal, 2 over, 3 not yet valid (domain.md 3.2), by two dates of the lock; None while the gateway does not know
    the time."""
    clock = job.context.clock
    if not clock.trusted:
        return None
    now = local(job.lock, clock.now())
    return 3 if now < start else 2 if now >= end else 1


def local(lock, unix_s):
    """Unix seconds -> date5 of the lock's clock, or None for None."""
    if unix_s is None:
        return None
    try:
        return dates.from_seconds(unix_s - _UNIX_2000 + 60 * lock.utc_offset_min)[:5]
    except ProtocolError:
        raise BadRequest("time outside 2000 to 2099")


def of(lock, args):
    """(start, end) of the arguments as date5, None: no limit."""
    return local(lock, args.get("start")), local(lock, args.get("end"))


def show(lock, item, start, end):
    """Put `start` and `end` (date5) into `item` as ISO texts, where they are limits."""
    for key, date in (("start", start), ("end", end)):
        if date is not None and date not in (dates.NO_START, dates.NO_END):
            at_s = dates.to_seconds(date) + _UNIX_2000 - 60 * lock.utc_offset_min
            item[key] = reports.iso(min(max(at_s, _UNIX_2000), _UNIX_2100 - 1))  # the offset may lead out of 2000-2099


def verify(found, wanted):
    """(start, end) as the lock lists them against those that were sent: some real locks say yes and keep the old
    (lock-ble-commands.md 4.2). Raises LockRefused.
    """
    start, end = wanted
    if found != (start or dates.NO_START, end or dates.NO_END):
        raise LockRefused("the lock said yes, and lists another period")
