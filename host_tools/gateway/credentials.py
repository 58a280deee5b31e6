"""A lock's credentials through a gateway, with what the key book keeps of them: names, and codes never used.

Owns the order of asking and noting: the key book learns of a change once the lock has accepted it, of new seeds before
they may have arrived, of a request that the gateway keeps as pending. Source: domain.md 3.1.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from firmware.lib import marks
from host_tools.errors import HostError, Pending
from host_tools.gateway.client import ServedLock
from host_tools.owner import minting, names
from host_tools.owner.keybook import OWN_MODELS, Entry, KeyBook

NEVER_USED = -3008


async def read_list(
    served: ServedLock, book: KeyBook, kind: str, on_page: Callable[[int], None] = lambda count: None
) -> list[dict]:
    """All credentials of a kind in the lock; what was pending in the key book is settled by them."""
    items = await served.items(kind + "_list", None, on_page)
    entry = next((each for each in book.entries() if each.id == served.ident), None)
    if names.pending_of(entry, kind):
        waiting = {str(job.get("id")) for job in await served.items("jobs")}
        names.settle(book, served.ident, kind, items, waiting)
    return items


@dataclass
class Passcodes:
    """One lock's, through one gateway. `entry` None: the key book does not know the lock, and nothing is noted."""

    served: ServedLock
    book: KeyBook
    entry: Entry | None

    @property
    def lock(self) -> str:
        return self.served.ident

    async def _ask(self, op: str, args: dict | None, note: Callable[[str], Any], secret: bool = True) -> dict:
        """One operation; `note` gets the id of the request when the gateway keeps it, "" when it is done."""
        try:
            result = await self.served.command("passcode_" + op, args, secret)
        except Pending as kept:
            note(kept.ident)
            raise
        note("")
        return result

    async def add(self, args: dict, name: str) -> dict:
        """`args` as the gateway takes them."""
        return await self._ask("add", args, lambda pending: self._note(args["code"], "", name, args, pending))

    async def change(self, args: dict, name: str) -> dict:
        """Other digits or another period. A code that was never used cannot be changed."""
        code = args["code"]
        new = args.get("new_code", code)
        try:
            return await self._ask("change", args, lambda pending: self._note(new, code, name, args, pending))
        except HostError as err:
            if err.reason == "not_found" and self.entry and minting.find(self.entry, code):
                todo = "it has to be used once before it can be changed"
                raise HostError("refused", "this code was never used", todo, "never_used", NEVER_USED)
            raise

    async def delete(self, code: str) -> dict:
        """One code. Of one that was made without the lock and never used the lock knows nothing."""
        return await self._ask("delete", {"code": code}, lambda pending: self._gone(pending, code))

    async def clear(self) -> dict:
        """All that the lock holds."""
        return await self._ask("clear", None, self._gone, False)

    async def reset(self) -> dict:
        """All, and new seeds: codes made without the lock end too. After a cut-off the same seeds are sent again."""
        if self.entry is None:
            raise HostError("unknown_lock", "the key book does not know this lock", "its seeds would be lost")
        seeds = self.entry.next_seeds or minting.make_seeds()

        def before(entry: Entry) -> None:
            entry.next_seeds = seeds

        def after(entry: Entry) -> None:
            entry.seeds, entry.next_seeds, entry.minted = seeds, "", []

        self.book.update(self.lock, before)
        result = await self._ask("reset", {"seeds": seeds}, self._gone)
        self.book.update(self.lock, after)
        return result

    async def list(self) -> list[dict]:
        """All that the lock holds, masked, each with the name that the key book gives it."""
        items = await read_list(self.served, self.book, "passcode")
        known = names.Names(self.entry)
        for each in items:
            name = known.of("passcode", each.get("who"))
            each["name"] = "" if name == str(each.get("who")) else name
        return items

    def _gone(self, pending: str, code: str = "") -> None:
        names.mark_deleted(self.book, self.lock, "passcode", secret=code, pending=pending)

    def _note(self, code: str, was: str, name: str, args: dict, pending: str) -> None:
        start, end = args.get("start"), args.get("end")
        if was and not (start or end) and self.entry:  # the period stays
            who = names.who_of(self.entry.aes, "passcode", None, was)
            for each in names.Names(self.entry).credentials:
                if each.kind == "passcode" and who in each.who:
                    start, end = each.start, each.end
        names.remember(self.book, self.lock, "passcode", None, name, code, was, start, end, pending=pending)


def issued_unused(entry: Entry, listed: list[dict]) -> list[dict]:
    """Codes that the lock does not hold, as lines of the list: made without it and not used yet, or on their way."""
    seen = {each.get("who") for each in listed}
    known = names.Names(entry)
    alive = {who for each in known.credentials if each.kind == "passcode" and not each.gone for who in each.who}
    words = {number: word for word, number in minting.KINDS.items()}
    lines = []
    for row in entry.minted:
        if row["who"] not in seen and row["who"] in alive:
            line = {"code": "*" * 9, "type": words[row["kind"]], "who": row["who"], "state": "not used yet"}
            lines.append(line | {"name": known.of("passcode", row["who"])})
    for each in names.pending_of(entry, "passcode"):
        if not seen.intersection(each.who):
            line = {"code": "*" * 6, "type": "", "who": each.who[-1], "state": "waits as %s" % each.pending}
            lines.append(line | {"name": each.name})
    return lines


def prefix_clash(entry: Entry, code: str) -> bool:
    """Whether a keypad of another make would take the shorter of two codes while the longer is typed
    (lock-ble-commands.md 3.1).

    The key book has no digits but marks: those of all beginnings of the code, and of all that go on from it.
    """
    if entry.model.startswith(OWN_MODELS):
        return False
    taken = {
        who for each in names.Names(entry).credentials if each.kind == "passcode" and not each.gone for who in each.who
    }
    if entry.admin_passcode:
        taken.add(marks.of_passcode(bytes.fromhex(entry.aes), entry.admin_passcode.encode()))
    others = [code[:length] for length in range(4, len(code))]
    for length in range(1, 10 - len(code)) if taken else ():
        others += ["%s%0*d" % (code, length, each) for each in range(10**length)]
    key = bytes.fromhex(entry.aes)
    return any(marks.of_passcode(key, each.encode()) in taken for each in others)
