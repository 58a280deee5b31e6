"""passcode_add, _change, _delete, _clear, _list, _count, _reset. Lists are masked, and name a code by its mark.

After a link that broke, the list says what became of the change: its digits stay in RAM. Times in arguments are Unix
seconds; the lock gets its own local time. Codes go in and never come out.
Source: lock-ble-commands.md 3; domain.md 3.1, 5.5 (numbers).
"""

from firmware.gateway.operations import limits
from firmware.gateway.operations.arguments import moment, number, only, remove, word
from firmware.lib import dates, marks, opcodes
from firmware.lib.compat import const, is_whole
from firmware.lib.errors import BadRequest, LockRefused, ProtocolError, Unsupported
from firmware.lib.messages import common, passcode_client

_PAGE = const(8)  # entries of one result, which must stay below 1 KiB
_MAX_LIST = const(300)  # entries of a list that has an end
_KINDS = ("permanent", "once", "period", "cyclic")  # from passcode_client.PERMANENT, 1, on
_DAYS = ("weekend", "daily", "workday", "mon", "tue", "wed", "thu", "fri", "sat", "sun")  # rows of schedule codes
_DAY_MIN = const(1440)
_CODE_LENGTH = const(0x0F)
_TOO_SIMPLE = const(-2032)
_FIRST_SCHEDULE = const(1000)
_SEEDS_LEN = const(122)
_MAX_MARK = const(0xFFFFFFFF)


def check(op, args):
    """The arguments of `op`. Raises BadRequest."""
    what = op[len("passcode_") :]
    if what in ("clear", "count"):
        only(args)
    elif what == "list":
        number(only(args, "cursor"), "cursor", 0, 0xFFFF, 0)
    elif what == "reset":
        _check_seeds(only(args, "seeds"))
    elif what == "delete":
        _which(only(args, "code", "who", "type"))
        word(args, "type", _KINDS, _KINDS[0])
    elif what == "change":
        _check_change(only(args, "code", "who", "new_code", "start", "end"))
    else:
        _check_add(only(args, "code", "type", "start", "end", "days", "from_min", "hours"))
    return args


def is_trivial(code):
    """All digits equal, or one run up or down."""
    steps = set()
    for place in range(1, len(code)):
        steps.add((ord(code[place]) - ord(code[place - 1])) % 10)
    return len(steps) == 1 and steps.pop() in (0, 1, 9)


def _code(args, key):
    code = args.get(key)
    if not isinstance(code, str) or not 4 <= len(code) <= 9 or not common.is_digits(code.encode()):
        err = BadRequest("%s must be 4 to 9 digits" % key)
        err.ble = _CODE_LENGTH
        raise err
    return code


def _fresh_code(args, key):
    if is_trivial(_code(args, key)):
        err = BadRequest("%s is too simple" % key)
        err.ttlock = _TOO_SIMPLE
        raise err


def _check_add(args):
    _fresh_code(args, "code")
    kind = word(args, "type", _KINDS, _KINDS[0])
    start = moment(args, "start", dates.UNIX_2000)
    if kind == "cyclic":
        word(args, "days", _DAYS)
        number(args, "from_min", 0, _DAY_MIN - 1)
        number(args, "hours", 1, 24)
    elif "days" in args or "from_min" in args or "hours" in args:
        raise BadRequest("only a cyclic code has days and hours")
    if kind in ("permanent", "cyclic"):
        if "end" in args:
            raise BadRequest("a %s code has no end" % kind)
    elif moment(args, "end") <= start:
        raise BadRequest("end must be after start")


def _which(args):
    """A code that is there is named by its digits, or by the mark that lists and records give it."""
    if "who" not in args:
        _code(args, "code")
    elif "code" in args or not is_whole(args["who"], 0, _MAX_MARK):
        raise BadRequest("a passcode is named by code, or by the number who")


def _check_change(args):
    _which(args)
    if "new_code" in args:
        _fresh_code(args, "new_code")
    elif "start" not in args and "end" not in args:
        raise BadRequest("nothing to change")
    if "end" in args and moment(args, "end") <= moment(args, "start"):
        raise BadRequest("end must be after start")
    moment(args, "start", dates.UNIX_2000)


def _check_seeds(args):
    seeds = args.get("seeds")
    try:
        if isinstance(seeds, str) and len(seeds) == _SEEDS_LEN:
            bytes.fromhex(seeds)
            return
    except ValueError:
        pass
    raise BadRequest("seeds must be 61 bytes in hex")


def judge(op, args, lock):
    """A recurring code over midnight: in a lock of ours. Others have one window for a code, and would need two."""
    if lock.model and not lock.is_own and args.get("from_min", 0) + 60 * args.get("hours", 0) > _DAY_MIN:
        raise Unsupported("a recurring code of this lock ends at midnight: add two codes")


# --- changes


def _kind(args):
    return passcode_client.PERMANENT + _KINDS.index(args.get("type", _KINDS[0]))


async def _change(session, plain):
    passcode_client.managed(await session.change(opcodes.PASSCODE, plain))


async def passcode_add(job, session):
    """One that is there already with the same limits is what was wanted, if it may be of an attempt before."""
    args = job.args
    kind = _kind(args)
    start, end = limits.period(session.lock, args)
    schedule = None
    if (
        kind == passcode_client.CYCLIC
    ):  # its schedule says the days (lock-ble-commands.md 3.1), its start the time of day
        schedule = _FIRST_SCHEDULE + 24 * _DAYS.index(args["days"]) + args["hours"] - 1
        start = (start or dates.NO_START)[:3] + (args["from_min"] // 60, args["from_min"] % 60)
    was_sent = job.was_sent
    try:
        await _change(session, passcode_client.add(kind, args["code"], start, end, schedule))
    except LockRefused as err:
        if err.reason != "exists" or not was_sent:
            raise
        entry = await _find(session, args["code"])
        wanted = kind, start or dates.NO_START, end, schedule
        if entry is None or (entry.kind, entry.start, entry.end, entry.schedule) != wanted:
            raise


async def passcode_change(job, session):
    """The entry keeps its kind, and what is not to change: so it is looked for first."""
    args = job.args
    code = args.get("code")
    new = args.get("new_code", code)
    was_sent = job.was_sent
    entry = await _find(session, code, args.get("who"))
    if entry is None:
        if was_sent and new != code and await _find(session, new):
            return  # done on the link before
        raise LockRefused("the lock has no such passcode", None, "not_found")
    start, end = limits.period(session.lock, args)
    start = start or entry.start
    if entry.kind in (passcode_client.ONCE, passcode_client.PERIOD):
        if ("start" in args) != ("end" in args):
            raise BadRequest("a period needs both start and end")
        end = end or entry.end
    elif "end" in args or ("start" in args and entry.kind == passcode_client.CYCLIC):
        raise BadRequest("this passcode has no such limit")
    else:
        end = entry.end
    await _change(session, passcode_client.modify(entry.kind, entry.code, new or entry.code, start, end))


async def passcode_delete(job, session):
    """One code; by its mark: the lock's list has its digits."""
    args = job.args
    code = args.get("code")
    if code is None:
        entry = await _find(session, None, args["who"])
        if entry is None:
            return {"existed": None if job.was_sent else False}
        code = entry.code
    return await remove(job, _change(session, passcode_client.delete(_kind(args), code)))


async def passcode_clear(job, session):
    """All of them."""
    await _change(session, passcode_client.clear())


async def passcode_reset(job, session):
    """Other seeds first: what was made with the old ones and never used is dead from then on; then the rest."""
    await session.change(opcodes.INIT_PASSWORDS, bytes.fromhex(job.args["seeds"]))
    await passcode_clear(job, session)


# --- lists


async def _page(session, cursor):
    """(next cursor or None, entries)"""
    try:
        data = await session.ask_as_admin(opcodes.PASSCODE_LIST, passcode_client.list_request(cursor))
    except ProtocolError as err:
        if not err.is_answer:
            raise
        return None, ()  # some locks end the list with error 01 (lock-ble-commands.md 3.3)
    return passcode_client.page(data)


async def _find(session, code, who=None):
    """The entry that opens with these digits, or has this mark; None when there is none."""
    cursor = 0
    for _ in range(_MAX_LIST):
        cursor, entries = await _page(session, cursor)
        for entry in entries:
            if entry.code == code if who is None else _mark(session.lock, entry) == who:
                return entry
        if cursor is None:
            break
    return None


async def passcode_count(job, session):
    """How many there are."""
    return {"count": passcode_client.count(await session.ask_as_admin(opcodes.PASSCODE_COUNT))[1]}


async def passcode_list(job, session):
    """A page, from `cursor` on."""
    cursor = job.args.get("cursor", 0)
    items: list = []
    while cursor is not None and len(items) < _PAGE:
        cursor, entries = await _page(session, cursor)
        items.extend([_masked(session.lock, entry) for entry in entries])
    return {"items": items, "next": cursor}


def _mark(lock, entry):
    return None if entry.code is None else marks.of_passcode(lock.aes, entry.code.encode())


def _masked(lock, entry):
    kind = -1 if entry.kind is None else entry.kind - passcode_client.PERMANENT
    item: dict = {"code": None if entry.code is None else "*" * len(entry.code)}
    item["type"] = _KINDS[kind] if 0 <= kind < len(_KINDS) else "type %s" % entry.kind
    item["who"] = _mark(lock, entry)
    if entry.start is None:  # when it opens is not known
        item["unknown"] = True
        return item
    if entry.kind == passcode_client.CYCLIC:
        row = (entry.schedule - _FIRST_SCHEDULE) // 24
        item["days"] = _DAYS[row] if 0 <= row < len(_DAYS) else "schedule %d" % entry.schedule
        item["from_min"] = entry.start[3] * 60 + entry.start[4]
        item["hours"] = (entry.schedule - _FIRST_SCHEDULE) % 24 + 1
        if entry.start[:3] == dates.NO_START[:3]:
            return item
    limits.show(lock, item, entry.start, entry.end)
    return item
