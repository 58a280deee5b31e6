"""jobs and cancel: requests that wait for a lock, listed and withdrawn. Answered at once, without the radio."""

from firmware.gateway import job_rules
from firmware.gateway.operations.arguments import number, only
from firmware.gateway.refusals import Cancelled
from firmware.gateway.scheduler import Unknown
from firmware.lib.compat import const
from firmware.lib.errors import BadRequest, LockRefused

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


def answer(tools, lock, op, args):
    """`jobs` -> {"items", "next", "count"}; `cancel` -> {"cancelled", "running"}. Raises LockRefused."""
    if op == "jobs":
        return _list(tools, lock, args.get("cursor", 0))
    try:
        cancelled, running = tools.jobs.cancel(lock.id, args["id"])
    except LockRefused:
        cancelled, running = _cancel_other(tools, lock, args["id"])
    return {"cancelled": cancelled, "running": running}


def _cancel_other(tools, lock, id):
    """A request that is not kept on flash, and waits for its turn. Raises LockRefused."""
    scheduler = tools.scheduler
    for job in scheduler.waiting():
        request = getattr(job, "request", None)
        if job.lock is lock and request and request.command.id == id:
            scheduler.withdraw(job)
            err = (
                Unknown("withdrawn after it may have arrived") if job.was_sent else Cancelled("withdrawn by the owner")
            )
            job.finish(None, err)
            return not job.was_sent, False
    request = getattr(scheduler.current, "request", None)
    if request and scheduler.current.lock is lock and request.command.id == id:
        return False, True
    raise LockRefused("no such request waits", None, "not_found")


def _list(tools, lock, cursor):
    items = []
    entries = tools.jobs.of(lock.id)
    room = _ROOM
    after = None
    for entry in entries:
        if entry.number < cursor:
            continue
        room -= _ROW + len(entry.id)
        if room < 0 and items:
            after = entry.number
            break
        state, number_ = job_rules.pending(entry.op)
        items.append(
            {
                "id": entry.id,
                "op": entry.op,
                "state": state,
                "job_state": number_,
                "age_s": tools.now_s() - entry.since_s,
                "attempts": entry.attempts,
                "sent": entry.was_sent,
                "running": entry.job is not None and entry.job is tools.scheduler.current,
                "last": entry.last,
            }
        )
    return {"items": items, "next": after, "count": len(entries)}
