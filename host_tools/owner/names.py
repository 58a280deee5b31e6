"""Whose is which credential: names of passcodes, cards, fingerprints, fobs and ekeys, in the lock's key book entry.

Commands that add or change a credential call `remember` once the lock has accepted it, those that delete one
`mark_deleted`. Where a gateway keeps the request, both get its id: until then the credential is pending, and a later
list of what the lock holds settles it. Digits, card numbers and addresses are not kept: only their marks
(`firmware.lib.marks`), by which records and lists name them. A deleted credential keeps its name for its records.
"""

import time
from dataclasses import dataclass
from datetime import datetime

from firmware.lib import marks, records
from host_tools.errors import HostError
from host_tools.owner.keybook import Entry, KeyBook, lock_id

KINDS = ("passcode", "card", "fingerprint", "fob", "ekey", "face", "palm_vein", "qr")

# Kind of credential -> `method` of its records
METHODS: dict[str, tuple[str, ...]] = {kind: (kind,) for kind in KINDS}
METHODS |= {"fob": ("remote", "device"), "ekey": ("app", "gateway")}
_KIND_OF = {method: kind for kind, methods in METHODS.items() for method in methods}


@dataclass
class Credential:
    """One credential. `number` is its number or slot in the lock, where it has one; `who` are the numbers that records
    give it, the newest last; `start` and `end` Unix seconds or None; `gone` when it was deleted, or None; `pending` the
    id of the request that a gateway keeps and that adds, changes or deletes it, or ""."""

    kind: str
    name: str
    number: int | None
    who: list[int]
    start: int | None = None
    end: int | None = None
    gone: int | None = None
    pending: str = ""


def who_of(aes: str, kind: str, number: int | None = None, secret: str = "") -> int | None:
    """The number that records give a credential, or None when that is not known."""
    key = bytes.fromhex(aes)
    if not secret:
        return None if kind in ("passcode", "card", "fob") else number
    try:
        if kind == "passcode":
            return marks.of_passcode(key, secret.encode("ascii"))
        if kind == "card":
            return marks.of_card(key, int(secret))
        if kind == "fob":
            return marks.of_fob(key, bytes.fromhex(lock_id(secret)))
    except (ValueError, OverflowError):
        raise HostError("bad_request", "that is no %s" % kind)
    return number


def _read(entry: Entry) -> list[Credential]:
    return [Credential(**each) for each in entry.credentials]


def _find(known: list[Credential], kind: str, number: int | None, whos: list[int | None]) -> Credential | None:
    for each in reversed(known):
        if each.kind == kind and each.gone is None:
            if number is not None and each.number == number or any(who in each.who for who in whos if who is not None):
                return each
    return None


def remember(
    book: KeyBook,
    lock: str,
    kind: str,
    number: int | None,
    name: str,
    secret: str = "",
    was: str = "",
    start: int | None = None,
    end: int | None = None,
    who: int | None = None,
    pending: str = "",
) -> bool:
    """Keep whose credential this is, after the lock has taken it; False when the key book does not know the lock.

    With `pending` the lock has not taken it yet: a new credential is kept as such, a known one keeps its period.

    `lock` is an address or id; `kind` one of KINDS; `number` the fingerprint's number, the card's slot, the ekey's uid,
    or None. `secret` is what the lock's log knows it by: the code's digits, the card's decimal number, the fob's
    address; it is not stored. `who` is the number that records give it, where the lock said it in place of the secret.
    `was` is the same of the code that it takes the place of. Empty `name` keeps the old one.
    """
    assert kind in KINDS, kind

    def change(entry: Entry) -> None:
        mark = who_of(entry.aes, kind, number, secret) if who is None else who
        known = _read(entry)
        before = _find(known, kind, number, [mark, who_of(entry.aes, kind, None, was) if was else None])
        if before is None:
            before = Credential(kind, name, number, [])
            known.append(before)
        before.name = name or before.name
        before.number = number if number is not None else before.number
        if not pending or not before.who:
            before.start, before.end = start, end
        before.pending = pending
        if mark is not None:
            before.who = [each for each in before.who if each != mark] + [mark]
        entry.credentials = [vars(each) for each in known]

    return book.update(lock, change)


def mark_deleted(
    book: KeyBook, lock: str, kind: str, number: int | None = None, secret: str = "", pending: str = ""
) -> bool:
    """The lock no longer has this credential, or none of its kind when neither number nor secret is given; with
    `pending` it still has."""

    def change(entry: Entry) -> None:
        known = _read(entry)
        if number is None and not secret:
            leaving = [each for each in known if each.kind == kind and each.gone is None]
        else:
            one = _find(known, kind, number, [who_of(entry.aes, kind, number, secret)])
            leaving = [one] if one else []
        for each in leaving:
            each.gone = None if pending else int(time.time())
            each.pending = pending
        entry.credentials = [vars(each) for each in known]

    return book.update(lock, change)


def settle(book: KeyBook, lock: str, kind: str, items: list[dict], waiting: set[str]) -> bool:
    """Learn from `items`, all that the lock holds of a kind, what became of pending requests that no longer wait."""

    def change(entry: Entry) -> None:
        known = _read(entry)
        listed: dict[int | None, dict] = {}
        for item in items:
            who = item["who"] if "who" in item else who_of(entry.aes, kind, item.get("number"), item.get("mac", ""))
            listed[who] = item
        for each in known:
            if each.kind != kind or not each.pending or each.pending in waiting:
                continue
            each.pending = ""
            items_of = [listed[who] for who in each.who if who in listed]
            if items_of:
                each.start, each.end = (unix_of(items_of[-1].get(key)) for key in ("start", "end"))
            else:
                each.gone = int(time.time())
        entry.credentials = [vars(each) for each in known]

    return book.update(lock, change)


def pending_of(entry: Entry | None, kind: str) -> list[Credential]:
    """Credentials of a kind that a request waits for."""
    return [each for each in _read(entry) if each.kind == kind and each.pending] if entry else []


def unix_of(text: str | None) -> int | None:
    """A date as gateways write it."""
    return int(datetime.fromisoformat(text).timestamp()) if text else None


class Names:
    """The names of one lock's credentials; `entry` None: nothing is known, and everything keeps its number."""

    def __init__(self, entry: Entry | None) -> None:
        self.credentials = _read(entry) if entry else []
        self._names: dict[tuple[str, int], str] = {}
        for each in self.credentials:
            for who in each.who:
                self._names[each.kind, who] = each.name
        if entry and entry.admin_passcode:
            admin = who_of(entry.aes, "passcode", None, entry.admin_passcode)
            assert admin is not None
            self._names["passcode", admin] = "administrator"
        self._names["ekey", records.GATEWAY_UID] = "gateway"

    def of(self, method: str | None, who: int | None) -> str:
        """Whose credential a record names: the name, the bare number when it has none, "" without a number."""
        if who is None:
            return ""
        return self._names.get((_KIND_OF.get(method or "", ""), who), "") or str(who)

    def named(self, kind: str, number: int) -> str:
        """The name of a credential that is in the lock under this number or slot, or ""."""
        fitting = [
            each.name for each in self.credentials if each.kind == kind and each.number == number and not each.gone
        ]
        return fitting[-1] if fitting else ""

    def numbers(self, person: str) -> list[tuple[str, int]]:
        """(kind, number in records) of everything whose name is, or holds, this text."""
        wanted = person.strip().lower()
        exact = [key for key, name in self._names.items() if name.lower() == wanted]
        return exact or [key for key, name in self._names.items() if wanted in name.lower()]
