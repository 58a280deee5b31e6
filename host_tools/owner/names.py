"""Whose is which credential: names of passcodes, cards, fingerprints, fobs and ekeys, in the lock's key book entry.

Commands that add or change a credential call `remember`, those that delete one `mark_deleted`: before the request is
sent, with its id, and again when it is done, without. Until then the credential is pending; a refusal takes that back
(`undo`), and what was cut off a later list of what the lock holds settles. Digits, card numbers and addresses are not
kept: only their marks (`firmware.lib.marks`), by which records and lists name them; but a code that the tool made up
keeps its digits while it is pending. A deleted credential keeps its name for its records.
"""

import time
from dataclasses import dataclass, field
from datetime import datetime

from firmware.lib import marks, records
from host_tools import text
from host_tools.errors import HostError
from host_tools.owner import rows
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
    id of the request that adds, changes or deletes it and has no result yet, or ""; `earlier` what was known before it,
    {} for nothing; `digits` a code that was made up, while it is pending. `limits` is what else limits it, as the
    operation's arguments say it: `type`, `days`, `from_min`, `to_min`, `hours`; None where that is not known. `heads`
    are the marks of a code's beginnings of four digits and more."""

    kind: str
    name: str
    number: int | None
    who: list[int]
    start: int | None = None
    end: int | None = None
    gone: int | None = None
    pending: str = ""
    earlier: dict | None = None
    digits: str = ""
    limits: dict | None = None
    heads: list[int] = field(default_factory=list)


_LIMITS = ("type", "days", "from_min", "to_min", "hours")


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
    return rows.read(entry.credentials, Credential, entry.name)


def live(entry: Entry, kind: str) -> list[Credential]:
    """Those of a kind that were not deleted."""
    return [each for each in _read(entry) if each.kind == kind and each.gone is None]


def pick(entry: Entry, kind: str, name: str) -> Credential:
    """The one credential of a kind with this name. HostError when there is none, or several."""
    todo = "see `gatehouse %s list`" % kind

    def shown(each: Credential) -> str:
        return "%s (%s)" % (each.name, "number %d" % each.number if each.number is not None else each.who[-1:] or "?")

    return text.pick(name, live(entry, kind), lambda each: [each.name], shown, "a %s" % kind, "not_found", todo)


def heads_of(aes: str, code: str) -> list[int]:
    """Marks of all beginnings of a code that are codes themselves."""
    return [marks.of_passcode(bytes.fromhex(aes), code[:length].encode()) for length in range(4, len(code))]


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
    limits: dict | None = None,
    digits: str = "",
    was_who: int | None = None,
) -> bool:
    """Keep whose credential this is, after the lock has taken it; False when the key book does not know the lock.

    With `pending` the lock has not taken it yet: a new credential is kept as such, a known one keeps its period.
    `limits` are the operation's arguments, None where they stay as they are; `digits` a code that was made up.

    `lock` is an address or id; `kind` one of KINDS; `number` the fingerprint's number, the card's slot, the ekey's uid,
    or None. `secret` is what the lock's log knows it by: the code's digits, the card's decimal number, the fob's
    address; it is not stored. `who` is the number that records give it, where the lock said it in place of the secret.
    `was` is the same of the code that it takes the place of, `was_who` that code's mark. Empty `name` keeps the
    old one.
    """
    assert kind in KINDS, kind
    name = text.tidy(name)  # the lock has accepted the credential: its name must not be what fails now

    def change(entry: Entry) -> None:
        mark = who_of(entry.aes, kind, number, secret) if who is None else who
        known = _read(entry)
        before = _find(known, kind, number, [mark, who_of(entry.aes, kind, None, was) if was else was_who])
        is_new = before is None
        if before is None:
            before = Credential(kind, name, number, [])
            known.append(before)
        elif pending:
            _keep_earlier(before)
        before.name = name or before.name
        before.number = number if number is not None else before.number
        if not pending or is_new:
            before.start, before.end = start, end
            if limits is not None:
                before.limits = {key: limits[key] for key in _LIMITS if key in limits}
        _await(before, pending, digits)
        if is_new and pending:
            before.earlier = {}
        if kind == "passcode" and secret:
            before.heads = heads_of(entry.aes, secret)
        if mark is not None:
            before.who = [each for each in before.who if each != mark] + [mark]
        entry.credentials = [vars(each) for each in known]

    return book.update(lock, change)


def mark_deleted(
    book: KeyBook,
    lock: str,
    kind: str,
    number: int | None = None,
    secret: str = "",
    pending: str = "",
    who: int | None = None,
) -> bool:
    """The lock no longer has this credential, or none of its kind when neither number, secret nor mark (`who`) is
    given; with `pending` it still has."""

    def change(entry: Entry) -> None:
        known = _read(entry)
        if number is None and not secret and who is None:
            leaving = [each for each in known if each.kind == kind and each.gone is None]
        else:
            one = _find(known, kind, number, [who_of(entry.aes, kind, number, secret) if who is None else who])
            leaving = [one] if one else []
        for each in leaving:
            if pending:
                _keep_earlier(each)
            each.gone = None if pending else int(time.time())
            _await(each, pending)
        entry.credentials = [vars(each) for each in known]

    return book.update(lock, change)


def _keep_earlier(credential: Credential) -> None:
    if credential.earlier is None:  # else it was pending before: what is sure stays
        credential.earlier = {key: value for key, value in vars(credential).items() if key != "earlier"}


def _await(credential: Credential, pending: str, digits: str = "") -> None:
    credential.pending = pending
    credential.digits = (digits or credential.digits) if pending else ""
    if not pending:
        credential.earlier = None


def undo(book: KeyBook, lock: str, pending: str) -> bool:
    """The request of this id came to nothing: what it was about is as it was before."""

    def change(entry: Entry) -> None:
        known = []
        for each in _read(entry):
            if pending and each.pending == pending:
                if not each.earlier and each.earlier is not None:
                    continue
                each = Credential(**each.earlier) if each.earlier else each
                each.pending, each.earlier, each.digits = "", None, ""
            known.append(each)
        entry.credentials = [vars(each) for each in known]

    return book.update(lock, change)


def settle(book: KeyBook, lock: str, kind: str, items: list[dict], waiting: set[str]) -> bool:
    """Learn from `items`, all that the lock holds of a kind, what became of pending requests that no longer wait."""

    def change(entry: Entry) -> None:
        known = _read(entry)
        listed: dict[int | None, dict] = {}
        for item in items:
            if item.get("unknown") and item.get("who") is None:
                continue  # an entry that the gateway could not read
            who = item["who"] if "who" in item else who_of(entry.aes, kind, item.get("number"), item.get("mac", ""))
            listed[who] = item
        for each in known:
            items_of = [listed[who] for who in each.who if who in listed]
            if each.kind != kind or each.gone or each.pending in waiting or not (each.pending or items_of):
                continue
            was_pending = each.pending
            _await(each, "")
            if items_of and (was_pending or each.limits is None):
                each.start, each.end = (unix_of(items_of[-1].get(key)) for key in ("start", "end"))
                if kind == "passcode":
                    each.limits = {key: items_of[-1][key] for key in _LIMITS if key in items_of[-1]}
            elif not items_of:
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
    """The names of one lock's credentials, from its entry, or as `given`, by kind and number in records. What has none
    keeps its number."""

    def __init__(self, entry: Entry | None, given: dict[tuple[str, int], str] | None = None) -> None:
        self.credentials = _read(entry) if entry else []
        self._aes = entry.aes if entry else ""
        self._names: dict[tuple[str, int], str] = {} if entry else dict(given or {})
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

    def given(self) -> list[tuple[str, int, str]]:
        """(kind, number in records, name) of every credential that has both."""
        return [(kind, who, name) for (kind, who), name in self._names.items()]

    def find(self, kind: str, number: int | None, secret: str = "", who: int | None = None) -> Credential | None:
        """The credential that is in the lock under this number, secret or mark, or None."""
        if secret and self._aes:
            who = who_of(self._aes, kind, number, secret)
        return _find(self.credentials, kind, number, [who])

    def named(self, kind: str, number: int | None, secret: str = "", who: int | None = None) -> str:
        """The same: its name, or ""."""
        found = self.find(kind, number, secret, who)
        return found.name if found else ""

    def numbers(self, person: str, whole_only: bool = False) -> list[tuple[str, int]]:
        """(kind, number in records) of everything whose name is this text; or else holds it, unless `whole_only`, which
        is for what deletes."""
        wanted = text.key(person)
        exact = [key for key, name in self._names.items() if wanted and text.key(name) == wanted]
        if exact or whole_only or not wanted:
            return exact
        return [key for key, name in self._names.items() if wanted in text.key(name)]
