"""A lock's passcodes through a gateway, with what the key book keeps of them: names, and what was never used.

Owns the order of asking and noting: the key book learns of a change once the lock has said yes, of new seeds before
they may have arrived. Source: domain.md 2 (key feature 2), 3.1.
"""

from dataclasses import dataclass

from firmware.lib import marks
from host_tools.errors import HostError
from host_tools.gateway.client import Gateways
from host_tools.owner import minting, names
from host_tools.owner.keybook import Entry, KeyBook

NEVER_USED = -3008
_OWN = "GATEHOUSE-"


@dataclass
class Passcodes:
    """One lock's, through one gateway. `entry` None: the key book does not know the lock, and nothing is noted."""

    gateways: Gateways
    gateway: str
    lock: str  # id
    book: KeyBook
    entry: Entry | None

    async def _ask(self, op: str, args: dict | None, secret: bool = True) -> dict:
        return await self.gateways.command(self.gateway, self.lock, "passcode_" + op, args, secret)

    async def add(self, args: dict, name: str) -> dict:
        """`args` as the gateway takes them."""
        result = await self._ask("add", args)
        self._note(args["code"], "", name, args)
        return result

    async def change(self, args: dict, name: str) -> dict | None:
        """Code, period or (alone, with no need for the lock) name. A code that was never used cannot be changed."""
        code = args["code"]
        result = None
        if len(args) > 1:
            try:
                result = await self._ask("change", args)
            except HostError as err:
                if err.reason == "not_found" and self.entry and minting.find(self.entry, code):
                    todo = "it has to be used once before it can be changed"
                    raise HostError("refused", "this code was never used", todo, "never_used", NEVER_USED)
                raise
        self._note(args.get("new_code", code), code, name, args)
        return result

    async def delete(self, code: str) -> dict:
        """One code. Of one that was made without the lock and never used the lock knows nothing."""
        result = await self._ask("delete", {"code": code})
        names.gone(self.book, self.lock, "passcode", secret=code)
        return result

    async def clear(self) -> dict:
        """All that the lock holds."""
        result = await self._ask("clear", None, False)
        names.gone(self.book, self.lock, "passcode")
        return result

    async def reset(self) -> dict:
        """All, and new seeds: whatever was made without the lock is dead, too. Taken up again where it was cut off."""
        if self.entry is None:
            raise HostError("unknown_lock", "the key book does not know this lock", "its seeds would be lost")
        seeds = self.entry.next_seeds or minting.make_seeds()

        def before(entry: Entry) -> None:
            entry.next_seeds = seeds

        def after(entry: Entry) -> None:
            entry.seeds, entry.next_seeds, entry.minted = seeds, "", []

        self.book.update(self.lock, before)
        result = await self._ask("reset", {"seeds": seeds})
        self.book.update(self.lock, after)
        names.gone(self.book, self.lock, "passcode")
        return result

    async def list(self) -> list[dict]:
        """All that the lock holds, masked, each with the name that the key book gives it."""
        found: list[dict] = []
        cursor: int | None = 0
        while cursor is not None:
            page = (await self._ask("list", {"cursor": cursor} if cursor else None, False)).get("data") or {}
            found += page.get("items") or []
            after = page.get("next")
            if after is not None and after <= cursor:
                raise HostError("protocol", "the list of passcodes has no end", "look at the gateway's log")
            cursor = after
        known = names.Names(self.entry)
        for each in found:
            name = known.of("passcode", each.get("who"))
            each["name"] = "" if name == str(each.get("who")) else name
        return found

    def _note(self, code: str, was: str, name: str, args: dict) -> None:
        start, end = args.get("start"), args.get("end")
        if was and not (start or end) and self.entry:  # the period stays
            who = names.who_of(self.entry.aes, "passcode", None, was)
            for each in names.Names(self.entry).credentials:
                if each.kind == "passcode" and who in each.who:
                    start, end = each.start, each.end
        names.note(self.book, self.lock, "passcode", None, name, code, was, start, end)


def issued_unused(entry: Entry, listed: list[dict]) -> list[dict]:
    """Codes that were made without the lock and that it has not seen, as lines of the list."""
    seen = {each.get("who") for each in listed}
    known = names.Names(entry)
    alive = {who for each in known.credentials if each.kind == "passcode" and not each.gone for who in each.who}
    words = {number: word for word, number in minting.KINDS.items()}
    found = []
    for row in entry.minted:
        if row["who"] not in seen and row["who"] in alive:
            line = {"code": "*" * 9, "type": words[row["kind"]], "who": row["who"], "state": "not used yet"}
            found.append(line | {"name": known.of("passcode", row["who"])})
    return found


def prefix_clash(entry: Entry, code: str) -> bool:
    """Whether a keypad of another make would take the shorter of two codes while the longer is typed
    (lock-ble-commands.md 3.1).

    The key book has no digits but marks: those of all beginnings of the code, and of all that go on from it.
    """
    if entry.model.startswith(_OWN):
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
