"""passage_list, passage_add, passage_delete, passage_clear: the windows in which a door, once opened, stays open.

Weekdays are 1 Monday to 7 Sunday, times minutes since midnight. A window of the lock holds on one day or on all, so
several weekdays take several of its five. Source: lock-ble-commands.md 6.2; domain.md 3.6.
"""

from firmware.gateway.operations.arguments import number, only, remove, weekdays
from firmware.lib import opcodes
from firmware.lib.compat import const
from firmware.lib.errors import BadRequest, LockRefused
from firmware.lib.messages import passage_client

_DAY_MIN = const(1440)
_MAX_WINDOWS = const(5)
_MAX_PAGES = const(127)


def check(op, args):
    """`weekdays` (left out: every day) or `day` and `month` (0: every month), `from_min` and `to_min` (left out: all
    day) -> {"windows": [...]}, each the hex text of its seven bytes: what waits for its lock is kept as JSON."""
    if op in ("passage_list", "passage_clear"):
        return only(args)
    only(args, "weekdays", "day", "month", "from_min", "to_min")
    start = number(args, "from_min", 0, _DAY_MIN - 1, 0)
    end = number(args, "to_min", 1, _DAY_MIN, _DAY_MIN)
    if end <= start:
        raise BadRequest("to_min must be after from_min")
    build = passage_client.window
    if "day" in args:
        if "weekdays" in args:
            raise BadRequest("weekdays, or day and month")
        day, month = number(args, "day", 1, 31), number(args, "month", 0, 12, 0)
        return {"windows": [build(passage_client.MONTHLY, day, month, start, end).hex()]}
    days = [0]  # every day
    if "weekdays" in args and len(weekdays(args, "weekdays")) < 7:
        days = sorted(args["weekdays"])
    return {"windows": [build(passage_client.WEEKLY, day, 0, start, end).hex() for day in days]}


async def passage_list(job, session):
    """All windows."""
    return {"items": [_said(raw) for raw in await _list(session)]}


async def passage_add(job, session):
    """All of them or none: there is room for five, and what is there already takes none."""
    there = await _list(session)
    new = [raw for raw in _windows(job) if raw not in there]
    if len(there) + len(new) > _MAX_WINDOWS:
        raise LockRefused("the lock has room for five windows", None, "full")
    for raw in new:
        await _change(session, passage_client.add(raw))
    return await passage_list(job, session)


async def passage_delete(job, session):
    """`existed`: whether one of them was there."""
    existed: bool | None = False
    for raw in _windows(job):
        told = await remove(job, _change(session, passage_client.delete(raw)))
        existed = existed or told["existed"]
    result: dict = await passage_list(job, session)
    result["existed"] = existed
    return result


async def passage_clear(job, session):
    """All of them."""
    await _change(session, passage_client.clear())
    return await passage_list(job, session)


def _windows(job):
    return [bytes.fromhex(text) for text in job.args["windows"]]


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
