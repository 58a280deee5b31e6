"""jobs and cancel: requests that wait for a lock, listed and withdrawn. Answered at once, without the radio."""

from firmware.gateway.operations.arguments import number, only
from firmware.lib.compat import const
from firmware.lib.errors import BadRequest

_ROOM = const(600)  # characters of ids in one result, which must stay below 1 KiB
_ROW = const(110)
_MOST = const(0x7FFFFFFF)


def check(op, args):
    """`jobs`: `cursor`, from an earlier list; `cancel`: `id` of the request."""
    if op == "jobs":
        number(only(args, "cursor"), "cursor", 0, _MOST, 0)
    elif not isinstance(only(args, "id").get("id"), str):
        raise BadRequest("id must be the id of a request")
    return args


def answer(jobs, lock, op, args):
    """`jobs` -> {"items", "next", "count"}; `cancel` -> {"cancelled", "running"}. Raises LockRefused."""
    if op == "jobs":
        return _list(jobs, lock, args.get("cursor", 0))
    cancelled, running = jobs.cancel(lock, args["id"])
    return {"cancelled": cancelled, "running": running}


def _list(jobs, lock, cursor):
    items = []
    entries = jobs.of(lock.id)
    room = _ROOM
    after = None
    for entry in entries:
        if entry.number < cursor:
            continue
        room -= _ROW + len(entry.id)
        if room < 0 and items:
            after = entry.number
            break
        state, number_ = entry.pending()
        items.append(
            {
                "id": entry.id,
                "op": entry.op,
                "state": state,
                "job_state": number_,
                "age_s": jobs.age_s(entry),
                "attempts": entry.attempts,
                "sent": entry.was_sent,
                "running": jobs.is_running(entry),
                "last": entry.last,
            }
        )
    return {"items": items, "next": after, "count": len(entries)}
