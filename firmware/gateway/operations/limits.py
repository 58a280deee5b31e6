"""When a card, a fingerprint or a fob opens: its period, and its recurring hours.

A period is Unix seconds in arguments and results, and dates of the lock's own clock in between. Hours are `days`,
`from_min` and `to_min`: whoever may come on several days may come at the same hours on each. Hours that end before they
begin run over midnight, and belong to the day on which they begin. Real locks can be given hours (0x70), and not asked
for them; such hours are two windows there, as nobody knows what one over midnight means to them.
Source: domain.md 1.3, 3.2; lock-ble-commands.md 1.2 ("always": the two sentinels), 4.6.
"""

from firmware.gateway.admission import Refusal
from firmware.gateway.operations.arguments import moment, number, weekdays
from firmware.lib import dates, opcodes, reports
from firmware.lib.compat import const
from firmware.lib.errors import BadRequest, FirmwareError, LockRefused, ProtocolError, Unsupported
from firmware.lib.messages import cyclic_client

KEYS = ("start", "end", "days", "from_min", "to_min")

_DAY_MIN = const(1440)
_MAX_WINDOWS = const(8)  # domain.md 3.3


def check(args, needs_end=False):
    """`start` and `end`, of which the second is later, and hours: all three, or none. Without an end there is no limit,
    unless `needs_end`: a card or finger is not made permanent by a change (domain.md 2, key feature 3).
    """
    start = moment(args, "start", dates.UNIX_2000)
    if "end" not in args:
        if needs_end:
            raise BadRequest("end is missing: a change does not make it permanent")
    elif moment(args, "end") <= start:
        raise BadRequest("end must be after start")
    if args.get("days") is None:
        if "from_min" in args or "to_min" in args:
            raise BadRequest("hours without days")
        return
    weekdays(args, "days")
    if number(args, "to_min", 1, _DAY_MIN) == number(args, "from_min", 0, _DAY_MIN - 1):
        raise BadRequest("to_min must be another than from_min")


def judge(args, lock):
    """Raise Refusal when the hours are more than a lock holds; nothing while it is not known what lock it is."""
    if lock.model and len(windows_of(args, lock)) > _MAX_WINDOWS:
        raise Refusal("refused", "a lock holds %d windows of hours for each credential" % _MAX_WINDOWS, "full")


def demand(job):
    """Raise Unsupported when the lock has no recurring hours and some are wanted; BadRequest when the end has passed,
    where the gateway knows the time and nothing was sent so far."""
    if "days" in job.args and job.lock.lacks("hours"):
        raise Unsupported("the lock has no recurring hours")
    clock = job.context.clock
    if "end" in job.args and not job.was_sent and clock.trusted and job.args["end"] <= clock.now():
        raise BadRequest("end must be after now")


# --- periods


def local(lock, unix_s):
    """Unix seconds -> date5 of the lock's clock, or None for None."""
    if unix_s is None:
        return None
    from firmware.lib import zone

    try:
        return zone.to_wall(lock.zone, unix_s)[:5]
    except ProtocolError:  # at the edge of the years that have dates: no limit
        return dates.NO_START if unix_s < dates.UNIX_2100 - _DAY_MIN * 60 else dates.NO_END


def period(lock, args):
    """(start, end) of the arguments as date5, None: no limit."""
    return local(lock, args.get("start")), local(lock, args.get("end"))


def show(lock, item, start, end):
    """Put `start` and `end` (date5) into `item` as ISO texts, where they are limits: in UTC, or, where the zone is not
    known, as `start_local` and `end_local` without one."""
    for key, date in (("start", start), ("end", end)):
        if date is None or date in (dates.NO_START, dates.NO_END):
            continue
        if lock.zone is None:
            item[key + "_local"] = reports.iso(dates.to_unix(date))[:-4]
            continue
        from firmware.lib import zone

        at_s = zone.from_wall(lock.zone, date, key == "end")  # which may lead out of the years that have dates
        item[key] = reports.iso(min(max(at_s, dates.UNIX_2000), dates.UNIX_2100 - 1))


# --- hours


async def replace_hours(session, kind, user, args):
    """Make those of the arguments all the hours of `user`, where they say any, and read them back where the lock can
    say them.

    May be repeated after any interruption: it begins by clearing. Nobody is let in more freely than before or after
    meanwhile only if the caller has set the period first.
    """
    if "days" not in args:
        return
    await session.change(opcodes.CYCLIC, cyclic_client.clear(kind, user))
    wanted = windows_of(args, session.lock)
    for window in wanted:
        await session.change(opcodes.CYCLIC, cyclic_client.add(kind, user, window))
    if session.lock.is_own and await _hours(session, kind, user) != wanted:
        raise LockRefused("the lock accepted the change, and lists other hours")


def windows_of(args, lock):
    """The windows of seven bytes that say the hours of the arguments to this lock, in the order of the days."""
    windows: list = []
    for day in sorted(args.get("days") or ()):
        for after, opens, closes in cyclic_client.parts(args["from_min"], args["to_min"], lock.is_own):
            windows.append(cyclic_client.window(cyclic_client.WEEKLY, (day - 1 + after) % 7 + 1, opens, closes))
    return windows


async def _hours(session, kind, user):
    """The windows that the lock has for `user`, seven bytes each. Own locks only: others refuse."""
    windows: list = []
    index = 0
    while index is not None and len(windows) < _MAX_WINDOWS:
        data = await session.ask_as_admin(opcodes.CYCLIC, cyclic_client.query(kind, user, index))
        index, window = cyclic_client.window_of(data)
        if window is not None:
            windows.append(window)
    return windows


async def describe(job, session, item, kind, user, entry):
    """Put period, hours and status of the list's `entry` into `item`, as far as they are known -> how much room that
    takes: a week of hours is as long as all the rest.

    Status: 1 normal, 2 over, 3 not yet valid (domain.md 3.2). Hours: [kind, day, from_min, to_min], as other clients
    may have written them. `schedule` "unknown": there may be hours, and the lock cannot be asked (hardware-facts.md
    F45).
    """
    lock = session.lock
    show(lock, item, entry.start, entry.end)
    size = 1
    if not lock.lacks("hours"):
        hours = None
        try:
            if lock.is_own:
                hours = await _hours(session, kind, user)
        except FirmwareError as err:
            if not err.is_answer:
                raise
        if hours is None:
            item["schedule"] = "unknown"
        elif hours:
            item["hours"] = [[raw[0], raw[1], raw[3] * 60 + raw[4], raw[5] * 60 + raw[6] or _DAY_MIN] for raw in hours]
            size = 2
    clock = job.context.clock
    if clock.trusted and lock.zone is not None:
        now = local(lock, clock.now())
        item["status"] = 3 if now < entry.start else 2 if now >= entry.end else 1
    return size
