"""A lock's credentials through a gateway, with what the key book keeps of them: names, and codes never used.

Owns the order of asking and noting: the key book learns of a request before it is sent, as pending, and of its end. A
request of which nobody knows the end stays pending until a list of what the lock holds settles it; a refusal takes it
back. Source: domain.md 3.1.
"""

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from firmware.lib import marks
from host_tools.errors import HostError, Pending, Unknown
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
    pending = names.pending_of(entry, kind)
    if pending or (entry and kind == "passcode"):
        waiting = {str(job.get("id")) for job in await served.items("jobs")} if pending else set()
        names.settle(book, served.ident, kind, items, waiting)
    return items


Note = Callable[[KeyBook, str, dict, str], Any]


async def noted(
    served: ServedLock,
    book: KeyBook,
    op: str,
    args: dict | None,
    note: Note | None,
    secret: bool = False,
    on_progress: Callable[[dict], None] | None = None,
    warn: Callable[[str], None] = lambda text: None,
) -> dict:
    """One operation -> its result. `note(book, lock, data, pending)` notes it in the key book: before it is sent, with
    the id of the request and no data, then with the result's data and "".

    A key book that cannot be written keeps the request from being sent; once the lock has accepted it, `warn` says so.
    """
    idents: list[str] = []

    def sending(ident: str) -> None:
        idents.append(ident)
        if note:
            note(book, served.ident, {}, ident)

    try:
        result = await served.command(op, args, secret, on_progress=on_progress, on_sending=sending)
    except (Pending, Unknown):
        raise  # it stays pending
    except HostError as error:
        if note and idents and error.code != "outcome_unknown":
            names.undo(book, served.ident, idents[-1])
        raise
    if note:
        try:
            note(book, served.ident, result.get("data") or {}, "")
        except HostError as error:
            warn("done, but not noted in the key book: %s" % error.line())
    return result


@dataclass
class Passcodes:
    """One lock's, through one gateway. `entry` None: the key book does not know the lock, and nothing is noted."""

    served: ServedLock
    book: KeyBook
    entry: Entry | None
    warn: Callable[[str], None] = lambda text: None

    @property
    def lock(self) -> str:
        return self.served.ident

    async def _ask(self, op: str, args: dict | None, note: Callable[[str], Any], secret: bool = True) -> dict:
        """One operation; `note` gets the id of the request before it is sent, "" when it is done."""
        by_book: Note = lambda book, lock, data, pending: note(pending)  # noqa: E731
        return await noted(self.served, self.book, "passcode_" + op, args, by_book, secret, warn=self.warn)

    async def add(self, args: dict, name: str, is_made_up: bool = False) -> dict:
        """`args` as the gateway takes them; a code that was made up is kept until it is known what became of it."""
        code = args["code"]
        return await self._ask("add", args, lambda pending: self._note(code, "", name, args, pending, is_made_up))

    async def change(self, args: dict, name: str, known: names.Credential | None = None) -> dict:
        """Other digits or another period. `args` name the code by its digits or, where it is `known`, by its mark. A
        code that was never used cannot be changed."""
        code = args.get("code", "")
        new = args.get("new_code", code)

        def note(pending: str) -> None:
            self._note(new, code, name, args, pending, who=known.who[-1] if known else None)

        try:
            return await self._ask("change", args, note)
        except HostError as err:
            if err.reason == "not_found" and self._is_minted(code, known):
                todo = "it has to be used once before it can be changed"
                raise HostError("refused", "this code was never used", todo, "never_used", NEVER_USED)
            raise

    async def delete(
        self, code: str = "", known: names.Credential | None = None, mark: int | None = None
    ) -> bool | None:
        """One code, by its digits, as the key book knows it, or by its mark -> whether the lock had it, or
        None.

        What waits at the gateway for the code is withdrawn first. Of a code that was made without the lock and never
        used the lock knows nothing: it stays in the key book.
        """
        if known and known.pending and await self._withdraw(known):
            return True
        existed: bool | None = False
        is_minted = self._is_minted(code, known)  # unless it was used, it stays good: not gone before the lock says so
        whos = [mark] if mark is not None else known.who[-2 if known.pending else -1 :] if known else [None]
        for who in whos:
            gone = functools.partial(self._gone, code=code, who=who)
            args = {"code": code} if who is None else {"who": who}
            result = await self._ask("delete", args, (lambda pending: None) if is_minted else gone)
            found = (result.get("data") or {}).get("existed")
            if is_minted and found:
                gone("")
            existed = True if existed or found else None if None in (existed, found) else False
        return existed

    async def _withdraw(self, known: names.Credential) -> bool:
        """Whether the code will not come into the lock after all."""
        try:
            result = await self.served.command("cancel", {"id": known.pending})
        except HostError as error:
            if isinstance(error, Pending | Unknown) or error.reason != "not_found":
                raise
            return False  # it waits no longer: it may be in the lock
        if not (result.get("data") or {}).get("cancelled"):
            return False
        names.undo(self.book, self.lock, known.pending)
        return known.earlier == {}

    def _is_minted(self, code: str, known: names.Credential | None = None) -> bool:
        if self.entry is None:
            return False
        whos = known.who if known else [names.who_of(self.entry.aes, "passcode", None, code)]
        return any(row["who"] in whos for row in self.entry.minted)

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

    def _gone(self, pending: str, code: str = "", who: int | None = None) -> None:
        names.mark_deleted(self.book, self.lock, "passcode", None, code, pending, who)

    def _note(
        self, code: str, was: str, name: str, args: dict, pending: str, is_made_up: bool = False, who: int | None = None
    ) -> None:
        known = _known(self.entry, was, who) if self.entry else None
        start, end, limits = args.get("start"), args.get("end"), args
        if known:  # what is not changed stays
            if not (start or end):
                start, end = known.start, known.end
            limits = known.limits  # type: ignore[assignment]
        names.remember(
            self.book,
            self.lock,
            "passcode",
            None,
            name,
            code,
            was,
            start,
            end,
            None if code else who,
            pending,
            limits,
            code if is_made_up else "",
            who,
        )


def _known(entry: Entry, code: str, who: int | None) -> names.Credential | None:
    mark = who if who is not None else names.who_of(entry.aes, "passcode", None, code) if code else None
    return next((each for each in reversed(names.live(entry, "passcode")) if mark in each.who), None)


def issued_unused(entry: Entry, listed: list[dict]) -> list[dict]:
    """Codes that the lock does not hold, as lines of the list: made without it and not used yet, or on their way."""
    seen = {each.get("who") for each in listed}
    known = names.Names(entry)
    alive = {who for each in names.live(entry, "passcode") for who in each.who}
    words = {number: word for word, number in minting.KINDS.items()}
    lines = []
    for row in entry.minted:
        if row["who"] not in seen and row["who"] in alive:
            line = {"code": "*" * 9, "type": words[row["kind"]], "who": row["who"], "state": "not used yet"}
            lines.append(line | {"name": known.of("passcode", row["who"])})
    for each in names.pending_of(entry, "passcode"):
        if not seen.intersection(each.who) and each.who:
            line = {"code": each.digits or "*" * 6, "type": "", "who": each.who[-1], "name": each.name}
            lines.append(line | {"state": "waits as %s" % each.pending})
    return lines


def prefix_clashes(entry: Entry, code: str, known: names.Credential | None = None) -> tuple[list[str], list[str]]:
    """Names of other codes that begin this one, and of those that go on from it: a keypad of another make takes the
    shorter while the longer is typed (lock-ble-commands.md 3.1; hardware-facts.md F44).

    The key book has no digits but marks: those of all beginnings of the code, and of all that go on from it. Of a code
    that is only `known` it has the beginnings from when it was added.
    """
    if entry.model.startswith(OWN_MODELS):
        return [], []
    others = {who: each for each in names.live(entry, "passcode") for who in each.who}
    named = {who: each.name or str(who) for who, each in others.items()}
    if entry.admin_passcode:
        named[marks.of_passcode(bytes.fromhex(entry.aes), entry.admin_passcode.encode())] = "the administrator"
    heads = names.heads_of(entry.aes, code) if code else known.heads if known else []
    mine = set(known.who if known else [names.who_of(entry.aes, "passcode", None, code)])
    longer = {who for who, each in others.items() if mine.intersection(each.heads)}
    if code:
        key = bytes.fromhex(entry.aes)
        for length in range(1, 10 - len(code)) if set(named) - mine - longer else ():
            tails = (b"%0*d" % (length, each) for each in range(10**length))
            longer |= set(named).intersection(marks.of_passcode(key, code.encode() + tail) for tail in tails)
    shorter = [named[who] for who in heads if who in named and who not in mine]
    return shorter, sorted(named[who] for who in longer - mine)
