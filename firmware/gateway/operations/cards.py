"""card_add, _enrol, _change, _delete, _clear, _list, _lost. Numbers go in and never come out: results name a card by
its slot in the lock and by the mark that records give it.

A number is a whole number or its decimal digits, `order` says from which end the reader took it (domain.md 2, key
feature 3). Every change may be repeated: it leads to the same. Source: lock-ble-commands.md 4.
"""

from firmware.gateway.operations import limits
from firmware.gateway.operations.arguments import number, only, remove, switch, word
from firmware.lib import dates, marks, opcodes
from firmware.lib.compat import const, is_whole
from firmware.lib.errors import BadRequest, FirmwareError, LinkError, LockRefused, Unsupported
from firmware.lib.messages import card_client, cyclic_client

_TAP_MS = const(12000)  # a lock waits 10 s (lock-ble-commands.md 4.2)
_PAGE = const(5)  # cards of one result, which must stay below 1 KiB
_MAX_LIST = const(1100)  # cards of a list that has no end
_MAX_SLOT = const(0xFFFE)
_MAX_MARK = const(0xFFFFFFFF)
_WHICH = ("number", "order", "slot", "who")
_ORDERS = ("as_read", "reversed")
_KEYS = {
    "card_add": ("number", "order") + limits.KEYS,
    "card_enrol": limits.KEYS,
    "card_change": _WHICH + limits.KEYS,
    "card_delete": _WHICH,
    "card_clear": (),
    "card_lost": _WHICH + ("lost",),
    "card_list": ("cursor", "lost"),
}


def check(op, args):
    """Arguments of the operations; see `_KEYS`. A card that is there has a number or a slot; `who` beside a slot, as
    the list told it, keeps a request that had to wait from another card that has come into the slot.
    """
    keys = _KEYS[op]
    only(args, *keys)
    if "lost" in keys:
        switch(args, "lost")
    if op == "card_list":
        number(args, "cursor", 0, _MAX_SLOT, 0)
    if "start" in keys:
        limits.check(args, op == "card_change")
    if "number" in keys:
        _check_which(op, args)
    return args


def _check_which(op, args):
    word(args, "order", _ORDERS, "as_read")
    if op != "card_add" and ("slot" in args) != ("number" in args):
        if "slot" in args:
            number(args, "slot", 0, _MAX_SLOT)
            number(args, "who", 0, _MAX_MARK, 0)
            return
    elif "slot" in args or "who" in args:
        raise BadRequest("a card is named by number or by slot")
    _id(args)


def _id(args):
    """The card's bytes."""
    value = args.get("number")
    if isinstance(value, str) and 0 < len(value) <= 20 and all("0" <= sign <= "9" for sign in value):
        value = int(value)
    if not is_whole(value, 0, (1 << 64) - 1):
        raise BadRequest("number must be the decimal number of a card")
    return card_client.encode_id(value, args.get("order") == "reversed")


def judge(op, args, lock):
    """Only a lock of ours keeps a list of lost cards, and none endless hours."""
    limits.judge(args, lock)
    if (op == "card_lost" or args.get("lost")) and lock.model and not lock.is_own:
        raise Unsupported("the lock keeps no list of lost cards")


def _who(session, id):
    return {"who": marks.of_card(session.lock.aes, int.from_bytes(id, "big"))}


async def _ask(session, plain):
    return await session.ask_as_admin(opcodes.CARD, plain)


async def _manage(session, plain):
    """A change that is answered by an echo."""
    card_client.managed(await session.change(opcodes.CARD, plain), plain[0])


# --- making cards


async def card_add(job, session):
    """By number."""
    limits.demand(job)
    id = _id(job.args)
    await _put(job, session, id)
    return _who(session, id)


async def card_enrol(job, session):
    """By holding it to the lock, then its period: before that it opens whenever it likes, so a refusal takes it back,
    and a lost link is taken up again where it was.
    """
    limits.demand(job)
    if job.kept is None:

        def read(data):
            id = card_client.added(data)
            if id is None:
                job.progress({"state": "adding"})
            return id

        job.kept = await session.enrol(opcodes.CARD, card_client.enrol(), read, _TAP_MS)
    args = job.args
    if "start" in args or "end" in args or "days" in args:
        try:
            await _put(job, session, job.kept)
        except LinkError:
            raise
        except FirmwareError:
            await _remove(session, job.kept)
            raise
    return _who(session, job.kept)


async def _put(job, session, id):
    """Store `id` with the period and hours of the arguments, whatever the lock had of it."""
    period = limits.period(session.lock, job.args)
    try:
        card_client.added(await session.change(opcodes.CARD, card_client.add(id, *period)))
    except LockRefused as err:
        if err.reason != "exists":  # other locks: an attempt of before, or with another period
            raise
        await _limit(session, id, period)
    if job.args.get("days"):
        await limits.replace_hours(session, cyclic_client.CARD, id, job.args)


async def _limit(session, id, period):
    """Our own locks store it before they accept it; others are asked, and given the card anew if it had no effect."""
    await _manage(session, card_client.modify(id, *period))
    if session.lock.is_own or await _has(session, id, period):
        return
    await _remove(session, id)
    card_client.added(await session.change(opcodes.CARD, card_client.add(id, *period)))
    if not await _has(session, id, period):
        raise LockRefused("the lock accepted the change, and lists another period")


async def _has(session, id, period):
    """True if the lock lists the card with this period."""
    wanted = period[0] or dates.NO_START, period[1] or dates.NO_END
    cursor = 0
    for _ in range(_MAX_LIST):
        cursor, entry = card_client.entry(await _ask(session, card_client.list_request(cursor)))
        if entry is not None and entry.id == id:
            return (entry.start, entry.end) == wanted
        if cursor is None:
            break
    return False


# --- cards that are there


async def _named(job, session):
    """The bytes of the card that the arguments name; None: it is not in that slot."""
    args = job.args
    if "slot" not in args:
        return _id(args)
    if job.kept is None:
        after, entry = card_client.entry(await _ask(session, card_client.list_request(args["slot"])))
        if entry is not None and entry.id is not None and after in (None, args["slot"] + 1):
            who = _who(session, entry.id)["who"]
            job.kept = entry.id if args.get("who", who) == who else None
    return job.kept


async def _must_name(job, session):
    id = await _named(job, session)
    if id is None:
        raise LockRefused("no card in that slot", 0x18, "not_found")
    return id


async def card_change(job, session):
    """Another period, and hours where the arguments say some."""
    limits.demand(job)
    id = await _must_name(job, session)
    await _limit(session, id, limits.period(session.lock, job.args))
    await limits.replace_hours(session, cyclic_client.CARD, id, job.args)
    return _who(session, id)


async def _remove(session, id, request=card_client.delete):
    """Gone already is what was wanted (domain.md 5.4)."""
    try:
        await _manage(session, request(id))
    except LockRefused as err:
        if err.reason != "not_found":
            raise


async def card_delete(job, session):
    """One card."""
    id = await _named(job, session)
    if id is None:
        return {"existed": None if job.was_sent else False}
    return await remove(job, _manage(session, card_client.delete(id)))


async def card_clear(job, session):
    """All cards; those that are lost stay lost."""
    await _manage(session, card_client.clear())


async def card_lost(job, session):
    """Refuse a card for good, or no more."""
    id = await _must_name(job, session)
    if job.args.get("lost", True):
        await _manage(session, card_client.mark_lost(id))
    else:
        await _remove(session, id, card_client.unmark_lost)
    return _who(session, id)


async def card_list(job, session):
    """A page of cards, or of lost ones."""
    op = card_client.LIST_LOST if job.args.get("lost") else card_client.LIST
    cursor = job.args.get("cursor", 0)
    items = []
    size = 0
    while cursor is not None and size < _PAGE:
        after, entry = card_client.entry(await _ask(session, card_client.list_request(cursor, op)), op)
        if entry is not None:
            item = {"slot": cursor if after is None else after - 1, "who": None}
            items.append(item)
            if entry.id is None:
                item["unknown"] = True
                size += 1
                cursor = after
                continue
            item.update(_who(session, entry.id))
            if op == card_client.LIST:
                size += await limits.describe(job, session, item, cyclic_client.CARD, entry.id, entry)
                item["type"] = None if "schedule" in item else 4 if "hours" in item else 1
            else:
                size += 1
        cursor = after
    return {"items": items, "next": cursor}
