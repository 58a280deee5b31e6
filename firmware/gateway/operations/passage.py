"""passage_list, passage_add, passage_delete, passage_clear: the windows in which a door, once opened, stays open.

Weekdays are 1 Monday to 7 Sunday, times minutes since midnight. A window of the lock holds on one day or on all, so
several weekdays take several of its five. One that ends before it begins runs over midnight, and belongs to the day on
which it begins; locks that are not ours get two for it. Source: lock-ble-commands.md 6.2; domain.md 3.6.
"""

from firmware.gateway.admission import Refusal
from firmware.gateway.operations.arguments import number, only, remove, weekdays
from firmware.lib import dates, opcodes
from firmware.lib.compat import const
from firmware.lib.errors import BadRequest, LockRefused, Unsupported
from firmware.lib.messages import passage_client

_DAY_MIN = const(1440)
_MAX_WINDOWS = const(5)
_MAX_PAGES = const(127)
_FULL = "the lock has room for five windows"


def check(op, args):
    """`weekdays` (left out: every day) or `day` and `month` (0: every month), `from_min` and `to_min` (left out: all
    day). What they become is up to the lock: `_windows`."""
    if op in ("passage_list", "passage_clear"):
        return only(args)
    only(args, "weekdays", "day", "month", "from_min", "to_min")
    start = number(args, "from_min", 0, _DAY_MIN - 1, 0)
    end = number(args, "to_min", 1, _DAY_MIN, _DAY_MIN)
    if end == start:
        raise BadRequest("to_min must be another than from_min")
    if "day" in args:
        if "weekdays" in args:
            raise BadRequest("weekdays, or day and month")
        number(args, "day", 1, 31)
        number(args, "month", 0, 12, 0)
    elif "weekdays" in args:
        weekdays(args, "weekdays")
    return args


def judge(op, args, lock):
    """Whether all fit into a lock."""
    if op == "passage_add" and lock.model and len(windows_of(args, lock)) > _MAX_WINDOWS:
        raise Refusal("refused", _FULL, "full")


def windows_of(args, lock):
    """The windows of seven bytes that say the arguments to this lock. Raises Unsupported for one over midnight that two
    cannot say: on the last days of a month whose length is not known."""
    if "windows" in args:  # of a job that an earlier release has stored
        return [bytes.fromhex(text) for text in args["windows"]]
    start, end = args.get("from_min", 0), args.get("to_min", _DAY_MIN)
    build = passage_client.window
    if "day" in args:
        day, month = args["day"], args.get("month", 0)
        if start < end or lock.is_own:
            return [build(passage_client.MONTHLY, day, month, start, end)]
        if day >= 28 and (month == 0 or (month == 2 and day == 28)):
            raise Unsupported("this lock takes no window over midnight on that day")
        next_day, next_month = day + 1, month
        if month and next_day > dates.days_in(2000, month):
            next_day, next_month = 1, month % 12 + 1
        first = build(passage_client.MONTHLY, day, month, start, _DAY_MIN)
        return [first, build(passage_client.MONTHLY, next_day, next_month, 0, end)]
    days = sorted(args.get("weekdays") or ())
    days = days if 0 < len(days) < 7 else [0]  # every day
    if start < end or lock.is_own:
        return [build(passage_client.WEEKLY, day, 0, start, end) for day in days]
    windows: list = []
    for day in days:
        windows.append(build(passage_client.WEEKLY, day, 0, start, _DAY_MIN))
        windows.append(build(passage_client.WEEKLY, day and day % 7 + 1, 0, 0, end))
    return windows


async def passage_list(job, session):
    """All windows."""
    return {"items": [_said(raw) for raw in await _list(session)]}


async def passage_add(job, session):
    """All of them or none: there is room for five, and what is there already takes none."""
    there = await _list(session)
    new = [raw for raw in windows_of(job.args, session.lock) if raw not in there]
    if len(there) + len(new) > _MAX_WINDOWS:
        raise LockRefused(_FULL, None, "full")
    for raw in new:
        await _change(session, passage_client.add(raw))
    return await passage_list(job, session)


async def passage_delete(job, session):
    """`existed`: whether one of them was there."""
    existed: bool | None = False
    for raw in windows_of(job.args, session.lock):
        told = await remove(job, _change(session, passage_client.delete(raw)))
        existed = existed or told["existed"]
    result: dict = await passage_list(job, session)
    result["existed"] = existed
    return result


async def passage_clear(job, session):
    """All of them."""
    await _change(session, passage_client.clear())
    return await passage_list(job, session)


async def _change(session, plain):
    passage_client.managed(await session.change(opcodes.PASSAGE, plain), plain[0])


async def _list(session):
    windows = []
    cursor = 0
    for _ in range(_MAX_PAGES):
        data = await session.ask_as_admin(opcodes.PASSAGE, passage_client.list_request(cursor))
        after, listed = passage_client.entries(data)
        windows.extend(listed)
        if after is None or after == cursor:  # or the lock goes in circles
            break
        cursor = after
    session.lock.has_windows = bool(windows)  # a door in passage mode may stay open
    return windows


def _said(raw):
    if not passage_client.is_known(raw):
        return {"unknown": raw.hex()}
    kind, day, month, start, end = passage_client.read(raw)
    item = {"from_min": start, "to_min": end}
    if kind == passage_client.MONTHLY:
        item["day"], item["month"] = day, month
    else:
        item["weekday"] = day  # 0: every day
    return item
