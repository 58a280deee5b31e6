"""ekey_add, ekey_change, ekey_freeze, ekey_unfreeze, ekey_delete, ekey_reset, ekey_list: the ekeys of persons in a lock
of ours (command 0xe8, `lib/README.md`). An unlock key goes in, sealed, is handed to the lock and kept nowhere here.

Owns the table that the gateway keeps of them: who there is and what each may, so that a person's remote command can be
judged before the radio is touched (domain.md, key feature 1); windows are the lock's to judge. Times in arguments are
Unix seconds. Every operation may be done again: the lock takes the same twice.
"""

from firmware.gateway.admission import Refusal
from firmware.gateway.operations import limits
from firmware.gateway.operations.arguments import moment, number, only, switch
from firmware.lib import opcodes
from firmware.lib.compat import const
from firmware.lib.errors import AuthError, BadRequest, LockRefused, ProtocolError, Unsupported
from firmware.lib.messages import ekey_client

_PAGE = const(8)  # entries of one result, which must stay below 1 KiB
_MAX_KEY = const(0x7FFFFFFF)
_MAX_FLAG_POS = const(0xFFFFFF)
_ENTRY = const(10)  # hex digits of an entry of the table: uid, flags
_REVOKED = const(0x0D)
_FROZEN = const(0x1C)


def check(op, args):
    """`uid`; of ekey_add also `unlock_key`; `start` and `end` (both or none), `remote`, `once`."""
    if op == "ekey_list":
        number(only(args, "cursor"), "cursor", 0, 0xFFFF, 0)
        return args
    if op == "ekey_reset":
        return only(args)
    known: tuple = ("uid",)
    if op == "ekey_add":
        known = ("uid", "unlock_key", "start", "end", "remote", "once")
        number(args, "unlock_key", 1, _MAX_KEY)
    elif op == "ekey_change":
        known = ("uid", "start", "end", "permanent", "remote", "once")
    only(args, *known)
    number(args, "uid", ekey_client.FIRST_UID, ekey_client.LAST_UID)
    for key in ("remote", "once", "permanent"):
        switch(args, key)
    if "start" in args or "end" in args:
        start = moment(args, "start")
        if moment(args, "end") <= start:
            raise BadRequest("end must be after start")
    if args.get("permanent") and "start" in args:
        raise BadRequest("a permanent ekey has no period")
    return args


def judge(op, args, lock):
    """Whether the lock can hold ekeys of persons."""
    if lock.model and not lock.is_own:
        raise Unsupported("this lock has one key for everybody: it can be taken away by pairing anew only")


# --- the gateway's table: hex text, per ekey its uid and flags; None until the lock was asked


def _entries(lock):
    table = lock.ekeys or ""
    return [table[at : at + _ENTRY] for at in range(0, len(table), _ENTRY)]


def rights(lock, uid):
    """The flags of an ekey as last seen in the lock, or None."""
    wanted = "%08x" % uid
    for entry in _entries(lock):
        if entry[:8] == wanted:
            return int(entry[8:], 16)
    return None


def _remember(job, lock, uid, flags):
    """Flags None: it is no more."""
    wanted = "%08x" % uid
    kept = [entry for entry in _entries(lock) if entry[:8] != wanted]
    if flags is not None:
        kept.append("%s%02x" % (wanted, flags))
    lock.ekeys = "".join(kept)
    job.context.registry.save(lock)


def may_unlock(lock, uid):
    """Whether a person has the right to unlock through a gateway. Raises Refusal, LockRefused (frozen)."""
    flags = rights(lock, uid)
    if flags is None:
        raise Refusal("forbidden", "no such ekey; ekey_list reads them anew")
    if flags & ekey_client.FROZEN:
        raise LockRefused("the ekey is frozen", _FROZEN, "frozen")
    return bool(flags & ekey_client.REMOTE)


def used(job, lock, uid):
    """A person has opened: a key that opens once is no more."""
    flags = rights(lock, uid)
    if flags is not None and flags & ekey_client.ONCE:
        _remember(job, lock, uid, None)


# --- carrying out


async def ekey_add(job, session):
    """Whoever is new."""
    args = job.args
    start, end = limits.period(session.lock, args)
    flags = _flags(args, 0)
    await _change(session, ekey_client.add(args["uid"], args["unlock_key"], start, end, flags), ekey_client.ADD)
    return _remembered(job, session, flags)


async def ekey_delete(job, session):
    """Whoever shall open no more."""
    await _change(session, ekey_client.revoke(job.args["uid"]), ekey_client.REVOKE)
    return _remembered(job, session, None)


async def ekey_change(job, session):
    """Another window, other rights, or frozen: all else stays as the lock has it."""
    args = job.args
    for _, ekey in await _walk(job, session):
        if ekey.uid == args["uid"]:
            break
    else:
        raise LockRefused("the ekey is no more", None, "not_found")
    start, end, flags = ekey.start, ekey.end, _flags(args, ekey.flags)
    if job.op == "ekey_freeze":
        flags |= ekey_client.FROZEN
    elif job.op == "ekey_unfreeze":
        flags &= ~ekey_client.FROZEN
    elif "start" in args or args.get("permanent"):
        start, end = limits.period(session.lock, args)
    await _change(session, ekey_client.modify(ekey.uid, start, end, flags), ekey_client.MODIFY)
    return _remembered(job, session, flags)


ekey_freeze = ekey_unfreeze = ekey_change


def _flags(args, flags):
    for key, bit in (("remote", ekey_client.REMOTE), ("once", ekey_client.ONCE)):
        if key in args:
            flags = flags | bit if args[key] else flags & ~bit
    return flags


def _remembered(job, session, flags):
    uid = job.args["uid"]
    _remember(job, session.lock, uid, flags)
    return {"uid": uid}


async def _change(session, plain, op):
    """-> data of the answer."""
    try:
        data = await session.change(opcodes.EKEY, plain)
    except AuthError as err:
        if err.ble == _REVOKED:
            raise LockRefused("the ekey is no more", err.ble, "not_found")
        raise
    if op != ekey_client.RESET:
        ekey_client.managed(data, op)
    return data


async def ekey_reset(job, session):
    """All ekeys are void; the flag position to reach is chosen once, so that a second attempt does not go further."""
    lock = session.lock
    if not job.number:
        flag_pos = ekey_client.status_of(await session.ask_as_admin(opcodes.EKEY, ekey_client.status()))[0]
        if flag_pos >= _MAX_FLAG_POS:
            raise LockRefused("no more resets: pair anew", None, "full")
        job.number = flag_pos + 1
    lock.flag_pos = ekey_client.reset_to(await _change(session, ekey_client.reset(job.number), ekey_client.RESET))
    lock.ekeys = ""
    job.context.registry.save(lock)
    return {"flag_pos": lock.flag_pos}


async def _walk(job, session):
    """All ekeys of the lock -> list of (slot behind it, Ekey); the gateway's table is then as the lock's."""
    ekeys = []
    index = 0
    while index is not None:
        data = await session.ask_as_admin(opcodes.EKEY, ekey_client.list_request(index))
        after, ekey = ekey_client.entry(data)
        if after is not None:
            if after <= index:
                raise ProtocolError("the list of ekeys has no end")
            ekeys.append((after, ekey))
        index = after
    lock = session.lock
    lock.ekeys = "".join(["%08x%02x" % (ekey.uid, ekey.flags) for _, ekey in ekeys])
    job.context.registry.save(lock)
    return ekeys


async def ekey_list(job, session):
    """A page, and what the next ekey has to know."""
    lock = session.lock
    data = await session.ask_as_admin(opcodes.EKEY, ekey_client.status())
    lock.flag_pos, next_uid, count, capacity = ekey_client.status_of(data)
    cursor = job.args.get("cursor", 0)
    ekeys = await _walk(job, session)
    items = [_item(lock, ekey) for _, ekey in ekeys[cursor : cursor + _PAGE]]
    return {
        "items": items,
        "next": cursor + _PAGE if len(ekeys) > cursor + _PAGE else None,
        "flag_pos": lock.flag_pos,
        "next_uid": next_uid,
        "count": count,
        "capacity": capacity,
    }


def _item(lock, ekey):
    item = {"uid": ekey.uid, "state": "frozen" if ekey.flags & ekey_client.FROZEN else "normal"}
    limits.show(lock, item, ekey.start, ekey.end)
    item["remote"] = bool(ekey.flags & ekey_client.REMOTE)
    item["once"] = bool(ekey.flags & ekey_client.ONCE)
    return item
