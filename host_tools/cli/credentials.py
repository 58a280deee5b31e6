"""`gatehouse card`, `fingerprint`, `fob`: who opens a lock without a code. What was accepted is noted in the key book.

A card's number is asked for or read from standard input, never taken from the command line, and goes sealed to the
gateway; lists name a card by its slot. A fob is added from this computer near the lock.
"""

import re
from collections.abc import Callable
from datetime import tzinfo
from typing import Annotated

import typer

from firmware.lib.messages import card_client
from host_tools import screen
from host_tools.cli import common, shared, times
from host_tools.cli.common import out
from host_tools.cli.options import App
from host_tools.cli.reach import Change, Gateway, done, target
from host_tools.cli.shared import Called
from host_tools.cli.times import Limits
from host_tools.errors import HostError
from host_tools.gateway import credentials
from host_tools.owner import names
from host_tools.owner.keybook import KeyBook, lock_id
from host_tools.screen import Table

card_app = App(no_args_is_help=True, help="Cards: add, enrol at the door, change, delete, list, report lost.")
fingerprint_app = App(no_args_is_help=True, help="Fingers that open a lock.")
fob_app = App(no_args_is_help=True, help="Key fobs that open a lock.")

Slot = Annotated[int, typer.Option("--slot", help="Which card, as listed; else its number is asked for", min=-1)]
Turned = Annotated[bool, typer.Option("--reversed", help="The number was read from the card's other end")]
CardName = Annotated[str, typer.Option("--name", help="Whose card, for lists and records"), Called()]
WhoseCard = Annotated[str, typer.Argument(metavar="[NAME]", help="Whose card, as listed; else --slot or its number")]
Finger = Annotated[str, typer.Argument(metavar="FINGER", help="Its number or name, as in `gatehouse fingerprint list`")]
Fob = Annotated[str, typer.Argument(metavar="FOB", help="Its address or name, as in `gatehouse fob list`")]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask")]

_STATES: dict[int | None, str] = {2: "expired", 3: "not yet valid"}  # of `status`; 1 needs no word
Note = Callable[[KeyBook, str, dict, str], object]


def _kept(kind: str, name: str, args: dict, number: int | None = None, secret: str = "") -> Note:
    """Keep a credential after it was added or changed; the lock may say its number or mark in the result."""

    def note(book: KeyBook, lock: str, data: dict, pending: str) -> None:
        index = number if number is not None else data.get("number")
        mark = args.get("who", data.get("who")) if not secret and kind == "card" else None
        if secret or index is not None or mark is not None:
            start, end = args.get("start"), args.get("end")
            names.remember(
                book, lock, kind, index, name, secret, start=start, end=end, who=mark, pending=pending, limits=args
            )

    return note


def _gone(kind: str, number: int | None = None, secret: str = "", who: int | None = None) -> Note:
    return lambda book, lock, data, pending: names.mark_deleted(book, lock, kind, number, secret, pending, who)


def _deleted(lock: str, title: str, what: str, result: dict, which: str, is_known: bool, as_json: bool) -> None:
    """Tell of a deletion; of what was not there, that there was none: another one may have been meant."""
    if (result.get("data") or {}).get("existed") is False and not is_known:
        with common.reporting():
            todo = "see what is listed: another may have been meant"
            raise HostError("refused", "%s has no %s; nothing was deleted" % (title, which), todo, "not_found")
    if (result.get("data") or {}).pop("existed", None) is False:
        what = "had no such %s any more" % which
    done(lock, title, what, result, as_json)


def _is_known(lock: str, kind: str, number: int | None, secret: str = "", who: int | None = None) -> bool:
    """Whether the key book holds this credential as there."""
    with common.reporting():
        entry = common.known_entry(lock)
        if entry is None:
            return False
        mark = names.who_of(entry.aes, kind, number, secret) if who is None else who
        known = names.live(entry, kind)
    return any(
        (number is not None and each.number == number) or (mark is not None and mark in each.who) for each in known
    )


def _rename(lock: str, kind: str, name: str, number: int | None, secret: str = "", who: int | None = None) -> None:
    """Another name in the key book; nothing is sent."""
    with common.reporting():
        ident, title = target(lock)
        entry = common.known_entry(lock)
        old = names.Names(entry).find(kind, number, secret, who) if entry else None
        start, end = (old.start, old.end) if old else (None, None)
        if not names.remember(common.key_book(), ident, kind, number, name, secret, start=start, end=end, who=who):
            raise HostError("unknown_lock", "names are in the key book, and it does not know this lock")
    out.print("%s: the %s is %s's" % (title, kind, name))


def _number_of(lock: str, which: str) -> int:
    """A finger by its number or its name."""
    with common.reporting():
        if which.isascii() and which.isdigit():
            if shared.are_several():
                raise HostError("bad_request", "a number is another finger in each lock", "give a name")
            return int(which)
        entry = common.known_entry(lock)
        if entry is None:
            raise HostError(
                "unknown_lock", "names are in the key book, and it does not know this lock", "give a number"
            )
        known = names.pick(entry, "fingerprint", which)
        if known.number is None:
            raise HostError("bad_request", "the number of this finger is not known", "see `gatehouse fingerprint list`")
        return known.number


def _address_of(lock: str, via: Gateway, which: str) -> str:
    """A fob by its address or its name. The key book has marks, the lock's list the addresses."""
    with common.reporting():
        if re.fullmatch("[0-9a-f]{12}", lock_id(which)):
            return which
        entry = common.known_entry(lock)
        if entry is None:
            raise HostError(
                "unknown_lock", "names are in the key book, and it does not know this lock", "give an address"
            )
        known = names.pick(entry, "fob", which)
    _, items = _read(lock, via, "fob")
    for item in items:
        if names.who_of(entry.aes, "fob", None, str(item.get("mac"))) in known.who:
            return str(item["mac"])
    with common.reporting():
        raise HostError("refused", "the lock has no fob of %s" % known.name, "see `gatehouse fob list`", "not_found")


def _clear(lock: str, via: Change, kind: str, is_sure: bool, question: str, what: str, as_json: bool) -> None:
    if not is_sure:
        with common.reporting():
            screen.confirm(question % target(lock)[1], abort=True)
    title, result = via.ask(lock, kind + "_clear", note=_gone(kind))
    done(lock, title, what, result, as_json)


def _read(lock: str, via: Gateway, kind: str) -> tuple[str, list[dict]]:
    """All of a kind that the lock holds -> (its name, the items); what was pending in the key book is settled."""
    return via.use(
        lock,
        "%s list" % kind,
        lambda served, step: credentials.read_list(
            served, common.key_book(), kind, lambda count: step("%d so far ..." % count)
        ),
    )


def _names_of(lock: str) -> names.Names:
    """Whose credentials are whose at a lock; nothing for one that the key book does not hold."""
    with common.reporting():
        return names.Names(common.known_entry(lock))


def _show(
    title: str,
    items: list[dict],
    columns: dict[str, Callable],
    as_json: bool,
    where: tzinfo | None,
    none: str = "none",
) -> None:
    """A table: `columns` maps headings to functions of an item; from, until, hours and state come after them."""
    if as_json:
        out.print_json(data=items)
        return
    table = Table(*columns, "from", "until", "hours", "state", title=title)
    for item in items:
        dates = [common.local(str(item[key]), where) if item.get(key) else "" for key in ("start", "end")]
        state = item.get("state") or _STATES.get(item.get("status"), "")
        cells = [cell(item) for cell in columns.values()]
        table.add_row(
            *["unknown" if each is None else str(each) for each in cells], *dates, times.in_words(item), state
        )
    out.print(table if items else "%s has %s" % (title, none))


# --- cards


def _read_number(turned: bool) -> tuple[dict, str]:
    """Ask for a card's number -> (arguments, the number as the lock stores it, in decimal digits)."""
    digits = common.secret("card number")
    if not digits.isascii() or not digits.isdigit() or len(digits) > 20 or int(digits) >= 1 << 64:
        raise HostError("bad_request", "a card's number is decimal digits, as printed on it")
    args = {"number": digits} | ({"order": "reversed"} if turned else {})
    return args, str(int.from_bytes(card_client.encode_id(int(digits), turned), "big"))


def _which(slot: int, turned: bool, lock: str, via: Gateway, whose: str = "") -> tuple[dict, str]:
    """A card by its slot is pinned by its mark: another may be there by the time that the lock comes near."""
    with common.reporting():
        if whose:
            return _card_of(lock, via, whose), ""
        if slot < 0:
            return _read_number(turned)
        if shared.are_several():
            raise HostError("bad_request", "a slot has another card in each lock", "give a name, or no slot")
        _, result = via.ask(lock, "card_list", {"cursor": slot})
        for each in (result.get("data") or {}).get("items") or []:
            if each["slot"] == slot and each.get("who") is not None:
                return {"slot": slot, "who": each["who"]}, ""
        raise HostError("refused", "no card in slot %d" % slot, "gatehouse card list shows those that are there")


def _card_of(lock: str, via: Gateway, whose: str) -> dict:
    """A card by its name: where the lock has it."""
    entry = common.known_entry(lock)
    if entry is None:
        raise HostError("unknown_lock", "names are in the key book, and it does not know this lock", "give --slot")
    known = names.pick(entry, "card", whose)
    for item in _read(lock, via, "card")[1]:
        if item.get("who") in known.who:
            return {"slot": item["slot"], "who": item["who"]}
    raise HostError("refused", "the lock has no card of %s" % known.name, "see `gatehouse card list`", "not_found")


@card_app.command("add", bulk=True)
def card_add(
    lock: common.Lock,
    via: Change,
    when: Limits,
    turned: Turned = False,
    name: CardName = "",
    as_json: common.Json = False,
) -> None:
    """Let a card in by its number: printed on it, or read by a phone or another reader."""
    with common.reporting():
        args, secret = _read_number(turned)
        args |= when.args(common.where(lock))
    title, result = via.ask(lock, "card_add", args, secret=True, note=_kept("card", name, args, None, secret))
    done(lock, title, "takes the card", result, as_json)


@card_app.command("enrol")
def card_enrol(
    lock: common.Lock, via: Gateway, when: Limits, name: CardName = "", as_json: common.Json = False
) -> None:
    """Let in the card that somebody holds to the lock within ten seconds."""
    with common.reporting():
        args = when.args(common.where(lock))
    title, result = via.ask(lock, "card_enrol", args, note=_kept("card", name, args))
    done(lock, title, "takes the card", result, as_json)


@card_app.command("change", bulk=True)
def card_change(
    lock: common.Lock,
    via: Change,
    whose: WhoseCard = "",
    end: times.Until = "",
    start: times.From = "",
    days: times.Days = "",
    hours: times.Hours = "",
    slot: Slot = -1,
    turned: Turned = False,
    name: CardName = "",
    as_json: common.Json = False,
) -> None:
    """Another period or name for a card that is there. To make it permanent, delete it and add it again."""
    if not (end or start or days or hours) and not name:
        with common.reporting():
            raise HostError("bad_request", "nothing to change", "give --until, or --name")
    args, secret = _which(slot, turned, lock, via, whose)
    if not (end or start or days or hours):
        _rename(lock, "card", name, None, secret, args.get("who"))
        return
    with common.reporting():
        args |= times.limits(start, end, days, hours, common.where(lock))
        note = _kept("card", name, args, None, secret)
    title, result = via.ask(lock, "card_change", args, secret=True, note=note)
    done(lock, title, "has the card's new period", result, as_json)


@card_app.command("delete", bulk=True)
def card_delete(
    lock: common.Lock,
    via: Change,
    whose: WhoseCard = "",
    slot: Slot = -1,
    turned: Turned = False,
    as_json: common.Json = False,
) -> None:
    """Take a card away: by name, by slot, or by its number, which is asked for."""
    args, secret = _which(slot, turned, lock, via, whose)
    is_known = bool(whose) or _is_known(lock, "card", None, secret, args.get("who"))
    note = _gone("card", None, secret, args.get("who"))
    title, result = via.ask(lock, "card_delete", args, secret=True, note=note)
    _deleted(lock, title, "no longer takes the card", result, "card", is_known, as_json)


@card_app.command("clear", bulk=True)
def card_clear(lock: common.Lock, via: Change, yes: Yes = False, as_json: common.Json = False) -> None:
    """Take all cards away."""
    _clear(lock, via, "card", yes, "Take away all cards of %s?", "takes no card any more", as_json)


@card_app.command("lost", bulk=True)
def card_lost(
    lock: common.Lock,
    via: Change,
    whose: WhoseCard = "",
    found: Annotated[bool, typer.Option("--found", help="It was found: take it again, if it is still stored")] = False,
    slot: Slot = -1,
    turned: Turned = False,
    as_json: common.Json = False,
) -> None:
    """Refuse a lost card for good, whatever else is stored or removed."""
    args, _ = _which(slot, turned, lock, via, whose)
    title, result = via.ask(lock, "card_lost", args | {"lost": not found}, secret=True)
    done(lock, title, "takes the card for found" if found else "refuses the card from here on", result, as_json)


@card_app.command("list", bulk=True)
def card_list(
    lock: common.Lock,
    via: Gateway,
    are_lost: Annotated[bool, typer.Option("--lost", help="Those that are reported lost")] = False,
    as_json: common.Json = False,
) -> None:
    """Cards in the lock, by slot; their numbers stay in it."""
    title, items = via.items(lock, "card_list", {"lost": True}) if are_lost else _read(lock, via, "card")
    known = _names_of(lock)
    for each in items:
        each["name"] = known.named("card", None, "", each.get("who"))
        if are_lost:
            each["state"] = "lost"
    columns = {"slot": lambda item: item["slot"], "whose": lambda item: item["name"] or item.get("who")}
    _show(title, items, columns, as_json, common.zone_of(lock), "no %scards" % ("lost " if are_lost else ""))


# --- fingerprints


@fingerprint_app.command("enrol")
def fingerprint_enrol(
    lock: common.Lock,
    via: Gateway,
    when: Limits,
    name: Annotated[str, typer.Option("--name", help="Whose finger it is"), Called()] = "",
    as_json: common.Json = False,
) -> None:
    """Take in a finger, which has to be pressed on the lock several times."""
    with common.reporting():
        args = when.args(common.where(lock))
    title, result = via.ask(lock, "fingerprint_enrol", args, note=_kept("fingerprint", name, args))
    done(lock, title, "knows the finger", result, as_json)


@fingerprint_app.command("change", bulk=True)
def fingerprint_change(
    lock: common.Lock,
    via: Change,
    which: Finger,
    when: Limits,
    name: Annotated[str, typer.Option("--name", help="Whose finger it is from now on"), Called()] = "",
    as_json: common.Json = False,
) -> None:
    """Change when a finger opens, or whose it is; to open for ever again it has to be deleted and enrolled anew."""
    number = _number_of(lock, which)
    with common.reporting():
        args = {"number": number, **when.args(common.where(lock))}
        note = _kept("fingerprint", name, args, number)
    if name and len(args) == 1:
        _rename(lock, "fingerprint", name, number)
        return
    title, result = via.ask(lock, "fingerprint_change", args, note=note)
    done(lock, title, "has changed the finger", result, as_json)


@fingerprint_app.command("delete", bulk=True)
def fingerprint_delete(lock: common.Lock, via: Change, which: Finger, as_json: common.Json = False) -> None:
    """Make a lock forget a finger."""
    number = _number_of(lock, which)
    is_known = _is_known(lock, "fingerprint", number)
    title, result = via.ask(lock, "fingerprint_delete", {"number": number}, note=_gone("fingerprint", number))
    _deleted(lock, title, "no longer knows the finger", result, "finger", is_known, as_json)


@fingerprint_app.command("clear", bulk=True)
def fingerprint_clear(lock: common.Lock, via: Change, yes: Yes = False, as_json: common.Json = False) -> None:
    """Make a lock forget all fingers."""
    _clear(lock, via, "fingerprint", yes, "delete all fingerprints of %s?", "knows no finger any more", as_json)


@fingerprint_app.command("list", bulk=True)
def fingerprint_list(lock: common.Lock, via: Gateway, as_json: common.Json = False) -> None:
    """Fingers that a lock knows."""
    title, items = _read(lock, via, "fingerprint")
    known = _names_of(lock)
    for each in items:
        each["name"] = known.named("fingerprint", each.get("number"))
    columns = {"number": lambda item: item.get("number"), "name": lambda item: item["name"]}
    _show(title, items, columns, as_json, common.zone_of(lock))


# --- key fobs


@fob_app.command("add")
def fob_add(
    lock: common.Lock,
    address: Annotated[str, typer.Argument(help="Its address, if it is known; else a button has to be pressed")] = "",
    name: Annotated[str, typer.Option("--name", help="Whose fob it is"), Called()] = "",
) -> None:
    """Let a fob in, beside the lock: press one of its buttons within half a minute."""
    from host_tools.near import ownership

    entry = common.entry_of(lock)
    what = "%s: waiting for a fob ..." % entry.name
    mac = common.run_near(what, lambda step: ownership.add_fob(entry, address, step))
    names.remember(common.key_book(), entry.id, "fob", None, name, secret=mac)
    out.print("%s takes the fob %s" % (entry.name, mac))


@fob_app.command("change", bulk=True)
def fob_change(
    lock: common.Lock,
    via: Change,
    which: Fob,
    when: Limits,
    name: Annotated[
        str, typer.Option("--name", help="Whose fob it is from now on; alone, nothing else changes"), Called()
    ] = "",
    as_json: common.Json = False,
) -> None:
    """Change when a fob opens, without any limit: always; or whose it is."""
    address = _address_of(lock, via, which)
    with common.reporting():
        args = {"mac": address, **when.args(common.where(lock))}
        note = _kept("fob", name, args, None, address)
    if name and len(args) == 1:
        _rename(lock, "fob", name, None, address)
        return
    title, result = via.ask(lock, "fob_change", args, note=note)
    done(lock, title, "has changed the fob", result, as_json)


@fob_app.command("delete", bulk=True)
def fob_delete(lock: common.Lock, via: Change, which: Fob, as_json: common.Json = False) -> None:
    """Make a lock forget a fob."""
    address = _address_of(lock, via, which)
    is_known = _is_known(lock, "fob", None, address)
    title, result = via.ask(lock, "fob_delete", {"mac": address}, note=_gone("fob", None, address))
    _deleted(lock, title, "no longer takes the fob", result, "fob", is_known, as_json)


@fob_app.command("clear", bulk=True)
def fob_clear(lock: common.Lock, via: Change, yes: Yes = False, as_json: common.Json = False) -> None:
    """Make a lock forget all fobs."""
    _clear(lock, via, "fob", yes, "delete all fobs of %s?", "takes no fob any more", as_json)


@fob_app.command("list", bulk=True)
def fob_list(lock: common.Lock, via: Gateway, as_json: common.Json = False) -> None:
    """Fobs that a lock takes."""
    title, items = _read(lock, via, "fob")
    known = _names_of(lock)
    for each in items:
        each["name"] = known.named("fob", None, str(each.get("mac", "")))
    columns = {
        "fob": lambda item: item.get("mac"),
        "name": lambda item: item["name"],
        "battery": lambda item: "%s %%" % item.get("battery"),
        "heard": lambda item: "just now" if item.get("online") else "",
    }
    _show(title, items, columns, as_json, common.zone_of(lock))
