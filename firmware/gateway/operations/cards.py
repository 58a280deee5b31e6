"""card_add, _enrol, _change, _delete, _clear, _list, _lost (lock-ble-commands.md 4). Numbers go in and never come out:
results name a card by its slot in the lock and by the mark that records give it.

A number is a whole number or its decimal digits, `order` says from which end the reader took it (domain.md 2, key
feature 3). Every change may be repeated: it leads to the same.
"""

from firmware.gateway.operations import periods, schedules
from firmware.gateway.operations.arguments import nothing, number, only, word
from firmware.lib import dates, marks, opcodes
from firmware.lib.compat import const
from firmware.lib.errors import BadRequest, FirmwareError, LinkError, LockRefused, Unsupported
from firmware.lib.messages import card_client, cyclic_client

_FEATURE = const(1)
_TAP_MS = const(12000)  # a lock waits 10 s (4.2)
_PAGE = const(5)  # cards of one result, which must stay below 1 KiB
_MOST = const(1100)  # cards of a list that has no end
_MOST_SLOT = const(0xFFFE)
_MOST_MARK = const(0xFFFFFFFF)
_PERIOD = ("start", "end") + schedules.KEYS
_WHICH = ("number", "order", "slot", "who")
_ORDERS = ("as_read", "reversed")
_KEYS = {
    "card_add": ("number", "order") + _PERIOD,
    "card_enrol": _PERIOD,
    "card_change": _WHICH + _PERIOD,
    "card_delete": _WHICH,
    "card_lost": _WHICH + ("lost",),
    "card_list": ("cursor", "lost"),
}


def check(op, args):
    """Arguments of the operations; see `_KEYS`. A card that is there has a number or a slot; `who` beside a slot, as
    the list told it, keeps a request that had to wait from another card that has come into the slot.
    """
    if op == "card_clear":
        return nothing(args)
    keys = _KEYS[op]
    only(args, *keys)
    if "lost" in keys and not isinstance(args.get("lost", True), bool):
        raise BadRequest("lost must be true or false")
    if op == "card_list":
        number(args, "cursor", 0, _MOST_SLOT, 0)
        return args
    if "start" in keys:
        periods.check(args, op == "card_change")
        schedules.check(args)
    if "number" in keys:
        _check_which(op, args)
    return args


def _check_which(op, args):
    word(args, "order", _ORDERS, "as_read")
    if op != "card_add" and ("slot" in args) != ("number" in args):
        if "slot" in args:
            number(args, "slot", 0, _MOST_SLOT)
            number(args, "who", 0, _MOST_MARK, 0)
            return
    elif "slot" in args or "who" in args:
        raise BadRequest("a card is named by number or by slot")
    _id(args)


def _id(args):
    """The card's bytes."""
    value = args.get("number")
    if isinstance(value, str) and 0 < len(value) <= 20 and all("0" <= sign <= "9" for sign in value):
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 1 << 64:
        raise BadRequest("number must be the decimal number of a card")
    return card_client.encode_id(value, args.get("order") == "reversed")


async def run(job, session):
    """Do one of them."""
    lock = session.lock
    await session.get_to_know()
    if lock.has_feature(_FEATURE) is False:
        raise Unsupported("the lock takes no cards")
    if "days" in job.args:
        schedules.demand(lock)
    periods.demand_future(job)
    does = _Cards(job, session)
    return await getattr(does, job.op.split("_")[1])()


class _Cards:
    def __init__(self, job, session):
        self._job = job
        self._session = session
        self._lock = session.lock

    async def _ask(self, plain):
        return await self._session.ask_as_admin(opcodes.CARD, plain)

    async def _change(self, plain):
        return await self._session.change(opcodes.CARD, plain)

    def _told(self, id):
        return {"who": marks.of_card(self._lock.aes, int.from_bytes(id, "big"))}

    # --- making cards

    async def add(self):
        """By number."""
        id = _id(self._job.args)
        await self._put(id)
        return self._told(id)

    async def _put(self, id):
        """Store `id` with the period and hours of the arguments, whatever the lock had of it."""
        args = self._job.args
        period = periods.of(self._lock, args)
        try:
            card_client.added(await self._change(card_client.add(id, *period)))
        except LockRefused as err:
            if err.reason != "exists":  # other locks: an attempt of before, or with another period
                raise
            await self._limit(id, period)
        if args.get("days"):
            await schedules.replace(self._session, cyclic_client.CARD, id, schedules.windows(args))

    async def enrol(self):
        """By holding it to the lock, then its period: before that it opens whenever it likes, so a refusal takes it
        back, and a lost link is taken up again where it was.
        """
        job = self._job
        if job.kept is None:
            job.kept = await self._tap()
        args = job.args
        if "start" in args or "end" in args or "days" in args:
            try:
                await self._put(job.kept)
            except LinkError:
                raise
            except FirmwareError:
                await self._remove(job.kept)
                raise
        return self._told(job.kept)

    async def _tap(self):
        """The bytes of the card that is held to the lock."""

        def read(data):
            id = card_client.added(data)
            if id is None:
                self._job.progress({"state": "adding"})
            return id

        return await self._session.enrol(opcodes.CARD, card_client.enrol(), read, _TAP_MS)

    # --- cards that are there

    async def _named(self):
        """The bytes of the card that the arguments name; None: it is not in that slot."""
        job = self._job
        if "slot" not in job.args:
            return _id(job.args)
        if job.kept is None:
            after, entry = card_client.entry(await self._ask(card_client.list_request(job.args["slot"])))
            if entry is not None and after in (None, job.args["slot"] + 1):
                who = self._told(entry.id)["who"]
                job.kept = entry.id if job.args.get("who", who) == who else None
        return job.kept

    async def change(self):
        """Another period, and hours where the arguments say some."""
        id = await self._named()
        if id is None:
            raise LockRefused("no card in that slot", 0x18, "not_found")
        await self._limit(id, periods.of(self._lock, self._job.args))
        if "days" in self._job.args:
            wanted = schedules.windows(self._job.args)
            await schedules.replace(self._session, cyclic_client.CARD, id, wanted)
        return self._told(id)

    async def _limit(self, id, period):
        """Our own locks store it before they say yes; others are asked, and given the card anew if it had no effect."""
        card_client.managed(await self._change(card_client.modify(id, *period)), card_client.MODIFY)
        if self._lock.is_own or await self._has(id, period):
            return
        await self._remove(id)
        card_client.added(await self._change(card_client.add(id, *period)))
        if not await self._has(id, period):
            raise LockRefused("the lock said yes, and lists another period")

    async def _has(self, id, period):
        """True if the lock lists the card with this period."""
        wanted = period[0] or dates.NO_START, period[1] or dates.NO_END
        cursor = 0
        for _ in range(_MOST):
            cursor, entry = card_client.entry(await self._ask(card_client.list_request(cursor)))
            if entry is not None and entry.id == id:
                return (entry.start, entry.end) == wanted
            if cursor is None:
                break
        return False

    async def _remove(self, id):
        try:
            card_client.managed(await self._change(card_client.delete(id)), card_client.DELETE)
        except LockRefused as err:
            if err.reason != "not_found":  # gone already: that is what was wanted (domain.md 5.4)
                raise

    async def delete(self):
        """One card."""
        id = await self._named()
        if id is not None:
            await self._remove(id)

    async def clear(self):
        """All cards; those that are lost stay lost."""
        card_client.managed(await self._change(card_client.clear()), card_client.CLEAR)

    async def lost(self):
        """Refuse a card for good, or no more."""
        self._demand_own()
        id = await self._named()
        if id is None:
            raise LockRefused("no card in that slot", 0x18, "not_found")
        if self._job.args.get("lost", True):
            card_client.managed(await self._change(card_client.mark_lost(id)), card_client.MARK_LOST)
            return self._told(id)
        try:
            card_client.managed(await self._change(card_client.unmark_lost(id)), card_client.UNMARK_LOST)
        except LockRefused as err:
            if err.reason != "not_found":
                raise
        return self._told(id)

    def _demand_own(self):
        if not self._lock.is_own:
            raise Unsupported("only a lock of ours keeps a list of lost cards")

    # --- looking

    async def list(self):
        """A page of cards, or of lost ones."""
        args = self._job.args
        op = card_client.LIST
        if args.get("lost"):
            self._demand_own()
            op = card_client.LIST_LOST
        cursor = args.get("cursor", 0)
        items = []
        taken = 0
        while cursor is not None and taken < _PAGE:
            after, entry = card_client.entry(await self._ask(card_client.list_request(cursor, op)), op)
            if entry is not None:
                slot = cursor if after is None else after - 1
                items.append(await self._item(slot, entry, op))
                taken += 2 if "hours" in items[-1] else 1  # a week of hours is as long as all the rest
            cursor = after
        return {"items": items, "next": cursor}

    async def _item(self, slot, entry, op):
        item = {"slot": slot}
        item.update(self._told(entry.id))
        if op == card_client.LIST_LOST:
            return item
        periods.show(self._lock, item, entry.start, entry.end)
        await schedules.show(self._session, item, cyclic_client.CARD, entry.id)
        item["type"] = 4 if "hours" in item else 1
        status = periods.status(self._job, entry.start, entry.end)
        if status is not None:
            item["status"] = status
        return item
