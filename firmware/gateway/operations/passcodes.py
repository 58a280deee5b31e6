"""passcode_add, _change, _delete, _clear, _list, _count, _reset (lock-ble-commands.md 3). Lists are masked, and name a
code by its mark.

After a link that broke, the list says what became of the change: its digits stay in RAM. Times in arguments are Unix
seconds; the lock gets its own local time.
"""

from firmware.gateway.operations import passcode_args, periods
from firmware.lib import dates, marks, opcodes
from firmware.lib.compat import const
from firmware.lib.errors import BadRequest, LockRefused, ProtocolError, Unsupported
from firmware.lib.messages import passcode_client

check = passcode_args.check

_FEATURE = const(0)
_PAGE = const(8)  # entries of one result, which must stay below 1 KiB
_MOST = const(300)  # entries of a list that has an end
_NAMES = {1: "permanent", 2: "once", 3: "period", 4: "cyclic"}


async def run(job, session):
    """Do one of them."""
    await session.get_to_know()
    if session.lock.has_feature(_FEATURE) is False:
        raise Unsupported("the lock has no passcodes")
    if job.op == "passcode_list":
        return await _list(session, job.args.get("cursor", 0))
    if job.op == "passcode_count":
        return {"count": passcode_client.count(await session.ask_as_admin(opcodes.PASSCODE_COUNT))[1]}
    await {"add": _add, "change": _modify, "delete": _delete, "clear": _clear, "reset": _reset}[job.op[9:]](
        job, session
    )
    return None


async def _change(session, plain):
    passcode_client.managed(await session.change(opcodes.PASSCODE, plain))


def _start(lock, args):
    """Start of a code that is written as date5; a cyclic one carries the time of day at which it opens."""
    start = periods.local(lock, args.get("start"))
    if args.get("type") != "cyclic":
        return start
    opens = args["from_min"]
    return (start or dates.NO_START)[:3] + (opens // 60, opens % 60)


async def _add(job, session):
    args = job.args
    lock = session.lock
    kind = passcode_args.KINDS[args.get("type", "permanent")]
    start = _start(lock, args)
    end = periods.local(lock, args.get("end"))
    schedule = passcode_args.schedule(args) if kind == passcode_client.CYCLIC else None
    was_sent = job.was_sent
    try:
        await _change(session, passcode_client.add(kind, args["code"], start, end, schedule))
    except LockRefused as err:
        if err.reason != "exists" or not was_sent:
            raise
        found = await _find(session, args["code"])  # is it the code of the attempt before?
        wanted = kind, start or dates.NO_START, end, schedule
        if found is None or (found.kind, found.start, found.end, found.schedule) != wanted:
            raise


async def _modify(job, session):
    """The entry keeps its kind, and what is not to change: so it is looked for first."""
    args = job.args
    lock = session.lock
    code = args["code"]
    new = args.get("new_code", code)
    was_sent = job.was_sent
    found = await _find(session, code)
    if found is None:
        if was_sent and new != code and await _find(session, new):
            return  # done on the link before
        raise LockRefused("the lock has no such passcode", None, "not_found")
    start = periods.local(lock, args.get("start")) or found.start
    end = found.end
    if found.kind in (passcode_client.ONCE, passcode_client.PERIOD):
        if ("start" in args) != ("end" in args):
            raise BadRequest("a period needs both start and end")
        end = periods.local(lock, args.get("end")) or end
    elif "end" in args or ("start" in args and found.kind == passcode_client.CYCLIC):
        raise BadRequest("this passcode has no such limit")
    await _change(session, passcode_client.modify(found.kind, code, new, start, end))


async def _delete(job, session):
    kind = passcode_args.KINDS[job.args.get("type", "permanent")]
    try:
        await _change(session, passcode_client.delete(kind, job.args["code"]))
    except LockRefused as err:
        if err.reason != "not_found":  # gone already: that is what was wanted (domain.md 5.4)
            raise


async def _clear(job, session):
    await _change(session, passcode_client.clear())


async def _reset(job, session):
    """Other seeds first: what was made with the old ones and never used is dead from then on; then the rest."""
    await session.change(opcodes.INIT_PASSWORDS, bytes.fromhex(job.args["seeds"]))
    await _clear(job, session)


async def _page(session, cursor):
    """(next cursor or None, entries)"""
    try:
        data = await session.ask_as_admin(opcodes.PASSCODE_LIST, passcode_client.list_request(cursor))
    except ProtocolError as err:
        if getattr(err, "ble", None) is None:
            raise
        return None, ()  # some locks end the list with error 01 (3.3)
    return passcode_client.page(data)


async def _find(session, code):
    """The entry that opens with these digits, or None."""
    cursor = 0
    for _ in range(_MOST):
        cursor, found = await _page(session, cursor)
        for entry in found:
            if entry.code == code:
                return entry
        if cursor is None:
            break
    return None


async def _list(session, cursor):
    items = []
    while cursor is not None and len(items) < _PAGE:
        cursor, found = await _page(session, cursor)
        items.extend([_masked(session.lock, entry) for entry in found])
    return {"items": items, "next": cursor}


def _masked(lock, entry):
    item = {"code": "*" * len(entry.code), "type": _NAMES.get(entry.kind, "type %d" % entry.kind)}
    item["who"] = marks.of_passcode(lock.aes, entry.code.encode())
    if entry.kind == passcode_client.CYCLIC:
        row = (entry.schedule - 1000) // 24
        item["days"] = passcode_args.DAYS[row] if 0 <= row < 10 else "schedule %d" % entry.schedule
        item["from_min"] = entry.start[3] * 60 + entry.start[4]
        item["hours"] = (entry.schedule - 1000) % 24 + 1
        if entry.start[:3] == dates.NO_START[:3]:
            return item
    periods.show(lock, item, entry.start, entry.end)
    return item
