"""Recurring hours of cards, fingerprints and fobs: `days`, `from_min`, `to_min` of the arguments, and 0x70.

Whoever may come on several days may come at the same hours on each (domain.md 3.2); none over midnight.
Source: lock-ble-commands.md 4.6. Real locks can be given hours, and not asked for them.
"""

from firmware.gateway.operations.arguments import number
from firmware.lib import opcodes
from firmware.lib.compat import const
from firmware.lib.errors import BadRequest, FirmwareError, LockRefused, Unsupported
from firmware.lib.messages import cyclic_client

KEYS = ("days", "from_min", "to_min")

_FEATURE = const(34)
_DAY_MIN = const(1440)


def check(args):
    """`days` (1 Monday to 7 Sunday) with `from_min` and `to_min`, minutes since midnight; all three, or none."""
    days = args.get("days")
    if days is None:
        if "from_min" in args or "to_min" in args:
            raise BadRequest("hours without days")
        return
    if not isinstance(days, list) or not days or len(days) > 7:
        raise BadRequest("days must be a list of 1 to 7")
    for place, day in enumerate(days):
        if isinstance(day, bool) or not isinstance(day, int) or not 1 <= day <= 7 or day in days[:place]:
            raise BadRequest("days must be different numbers from 1 to 7")
    start = number(args, "from_min", 0, _DAY_MIN - 1)
    if number(args, "to_min", 1, _DAY_MIN) <= start:
        raise BadRequest("to_min must be after from_min")


def windows(args):
    """The arguments -> windows of seven bytes, one for each day; () where there are none."""
    build = cyclic_client.window
    return [
        build(cyclic_client.WEEKLY, day, args["from_min"], args["to_min"]) for day in sorted(args.get("days") or ())
    ]


def demand(lock):
    """Raise Unsupported when the lock has no recurring hours."""
    if lock.has_feature(_FEATURE) is False:
        raise Unsupported("the lock has no recurring hours")


async def replace(session, kind, user, wanted):
    """Make `wanted` (of `windows`) all the hours of `user`, and read them back where the lock can say them.

    May be repeated after any interruption: it begins by clearing. Nobody is let in more freely than before or after
    meanwhile only if the caller has set the period first.
    """
    demand(session.lock)
    await session.change(opcodes.CYCLIC, cyclic_client.clear(kind, user))
    for window in wanted:
        await session.change(opcodes.CYCLIC, cyclic_client.add(kind, user, window))
    if session.lock.is_own and await read(session, kind, user) != list(wanted):
        raise LockRefused("the lock said yes, and lists other hours")


async def read(session, kind, user):
    """The windows that the lock has for `user`, seven bytes each. Own locks only: others answer no."""
    found = []
    index = 0
    while index is not None and len(found) < 8:
        data = await session.ask_as_admin(opcodes.CYCLIC, cyclic_client.query(kind, user, index))
        index, window = cyclic_client.window_of(data)
        if window is not None:
            found.append(window)
    return found


async def show(session, item, kind, user):
    """Put the hours of `user` into `item`, as far as the lock says them: `days`, `from_min`, `to_min`."""
    if not session.lock.is_own or session.lock.has_feature(_FEATURE) is False:
        return
    try:
        found = await read(session, kind, user)
    except FirmwareError as err:
        if getattr(err, "ble", None) is None:
            raise
        return
    if found:
        item["hours"] = [_said(raw) for raw in found]


def _said(raw):
    """One window as numbers: [kind, day, from_min, to_min], as other clients may have written them."""
    return [raw[0], raw[1], raw[3] * 60 + raw[4], raw[5] * 60 + raw[6] or _DAY_MIN]
