"""passcode_add, passcode_delete, passcode_list (lock-ble-commands.md 3). Codes go in and never come out:
lists are masked.

Times in arguments are Unix seconds; the lock gets its own local time.
"""

from firmware.gateway.operations.arguments import number, only, word
from firmware.lib import dates, opcodes, reports
from firmware.lib.compat import const
from firmware.lib.errors import BadRequest, LinkError, LockRefused, ProtocolError, Unsupported
from firmware.lib.messages import common, passcode_client

_FEATURE = const(0)
_UNIX_2000 = const(946684800)
_UNIX_2100 = const(4102444800)
_PAGE = const(8)  # entries of one result, which must stay below 1 KiB
_CODE_LENGTH = const(0x0F)
_KINDS = {"permanent": passcode_client.PERMANENT, "once": passcode_client.ONCE, "period": passcode_client.PERIOD}
_NAMES = {1: "permanent", 2: "once", 3: "period", 4: "cyclic"}


def check(op, args):
    """Arguments of the three operations."""
    if op == "passcode_list":
        number(only(args, "cursor"), "cursor", 0, 0xFFFF, 0)
        return args
    only(args, "code", "type", "start", "end") if op == "passcode_add" else only(args, "code", "type")
    code = args.get("code")
    if not isinstance(code, str) or not 4 <= len(code) <= 9 or not common.is_digits(code.encode()):
        err = BadRequest("code must be 4 to 9 digits")
        err.ble = _CODE_LENGTH
        raise err
    kind = word(args, "type", sorted(_KINDS), "permanent")
    if op == "passcode_add":
        start = number(args, "start", _UNIX_2000, _UNIX_2100 - 1, _UNIX_2000)
        if kind == "permanent":
            if "end" in args:
                raise BadRequest("a permanent code has no end")
        elif number(args, "end", _UNIX_2000, _UNIX_2100 - 1) <= start:
            raise BadRequest("end must be after start")
    return args


async def run(job, session):
    """Do one of the three."""
    await session.get_to_know()
    if session.lock.has_feature(_FEATURE) is False:
        raise Unsupported("the lock has no passcodes")
    if job.op == "passcode_list":
        return await _list(session, job.args.get("cursor", 0))
    if job.op == "passcode_add":
        return await _add(job, session)
    return await _delete(job, session)


def _local(lock, unix_s):
    """Unix seconds -> date5 of the lock's clock, or None for None."""
    if unix_s is None:
        return None
    try:
        return dates.from_seconds(unix_s - _UNIX_2000 + 60 * lock.utc_offset_min)[:5]
    except ProtocolError:
        raise BadRequest("time outside 2000 to 2099")


async def _change(job, session, plain):
    """0x03, noting that it may have arrived."""
    await session.login()  # a link that breaks here says nothing of the change
    sent_before = job.was_sent
    job.was_sent = True
    try:
        passcode_client.managed(await session.ask_as_admin(opcodes.PASSCODE, plain))
    except LinkError as err:
        job.was_sent = sent_before or err.sent
        raise


async def _add(job, session):
    args = job.args
    lock = session.lock
    plain = passcode_client.add(
        _KINDS[args.get("type", "permanent")],
        args["code"],
        _local(lock, args.get("start")),
        _local(lock, args.get("end")),
    )
    repeated = job.was_sent
    try:
        await _change(job, session, plain)
    except LockRefused as err:
        if not (repeated and err.reason == "exists"):  # then it is the code of the attempt before
            raise
    return None


async def _delete(job, session):
    kind = _KINDS[job.args.get("type", "permanent")]
    try:
        await _change(job, session, passcode_client.delete(kind, job.args["code"]))
    except LockRefused as err:
        if err.reason != "not_found":  # gone already: that is what was wanted (domain.md 5.4)
            raise
    return None


async def _list(session, cursor):
    lock = session.lock
    items = []
    while cursor is not None and len(items) < _PAGE:
        try:
            data = await session.ask_as_admin(opcodes.PASSCODE_LIST, passcode_client.list_request(cursor))
        except ProtocolError as err:
            if getattr(err, "ble", None) is None:
                raise
            cursor = None  # some locks end the list with error 01 (3.3)
            break
        cursor, found = passcode_client.page(data)
        items.extend(_masked(lock, entry) for entry in found)
    return {"items": items, "next": cursor}


def _masked(lock, entry):
    item = {"code": "*" * len(entry.code), "type": _NAMES.get(entry.kind, "type %d" % entry.kind)}
    for key, date in (("start", entry.start), ("end", entry.end)):
        if date is not None and date not in (dates.NO_START, dates.NO_END):
            at_s = dates.to_seconds(date) + _UNIX_2000 - 60 * lock.utc_offset_min
            item[key] = reports.iso(min(max(at_s, _UNIX_2000), _UNIX_2100 - 1))  # the offset may lead out of 2000-2099
    if entry.schedule is not None:
        item["schedule"] = entry.schedule
    return item
