"""`gatehouse card`, `fingerprint`, `fob`: who opens a lock without a code. What was accepted is noted in the key book.

A card's number is asked for or read from standard input, never taken from the command line, and goes sealed to the
gateway; lists name a card by its slot. A fob is added from this computer near the lock.
"""

from collections.abc import Callable
from typing import Annotated

import typer

from firmware.lib.messages import card_client
from host_tools import screen
from host_tools.cli import common, times
from host_tools.cli.common import out
from host_tools.cli.options import App
from host_tools.cli.reach import Change, Gateway, done
from host_tools.cli.times import Limits
from host_tools.errors import HostError
from host_tools.gateway import credentials
from host_tools.owner import names
from host_tools.owner.keybook import KeyBook
from host_tools.screen import Table

card_app = App(no_args_is_help=True, help="Cards: add, enrol at the door, change, delete, list, report lost.")
fingerprint_app = App(no_args_is_help=True, help="Fingers that open a lock.")
fob_app = App(no_args_is_help=True, help="Key fobs that open a lock.")

Slot = Annotated[int, typer.Option("--slot", help="Which card, as listed; else its number is asked for", min=-1)]
Turned = Annotated[bool, typer.Option("--reversed", help="The number was read from the card's other end")]
CardName = Annotated[str, typer.Option("--name", help="Whose card, for lists and records")]
Number = Annotated[int, typer.Argument(help="Its number, as in `gatehouse fingerprint list`", min=0)]
Address = Annotated[str, typer.Argument(help="Its address, as in `gatehouse fob list`")]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask")]

_STATES: dict[int | None, str] = {2: "expired", 3: "not yet valid"}  # of `status`; 1 needs no word
Note = Callable[[KeyBook, str, dict, str], object]


def _kept(kind: str, name: str, args: dict, number: int | None = None, secret: str = "") -> Note:
    """Keep a credential after it was added or changed; the lock may say its number or mark in the result."""

    def note(book: KeyBook, lock: str, data: dict, pending: str) -> None:
        index = number if number is not None else data.get("number")
        if secret or index is not None or data.get("who") is not None:
            who = data.get("who") if not secret and kind == "card" else None
            start, end = args.get("start"), args.get("end")
            names.remember(book, lock, kind, index, name, secret, start=start, end=end, who=who, pending=pending)

    return note


def _gone(kind: str, number: int | None = None, secret: str = "") -> Note:
    return lambda book, lock, data, pending: names.mark_deleted(book, lock, kind, number, secret, pending)


def _clear(lock: str, via: Change, kind: str, is_sure: bool, question: str, what: str, as_json: bool) -> None:
    if not is_sure and not screen.confirm(question % lock):
        raise typer.Exit(1)
    title, result = via.ask(lock, kind + "_clear", note=_gone(kind))
    done(title, what, result, as_json)


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


def _show(title: str, items: list[dict], columns: dict[str, Callable], as_json: bool, none: str = "none") -> None:
    """A table: `columns` maps headings to functions of an item; from, until, hours and state come after them."""
    if as_json:
        out.print_json(data=items)
        return
    table = Table(*columns, "from", "until", "hours", "state", title=title)
    for item in items:
        dates = [common.local(str(item[key])) if item.get(key) else "" for key in ("start", "end")]
        state = item.get("state") or _STATES.get(item.get("status"), "")
        table.add_row(*[str(cell(item)) for cell in columns.values()], *dates, times.in_words(item), state)
    out.print(table if items else "%s has %s" % (title, none))


# --- cards


def _read_number(turned: bool) -> tuple[dict, str]:
    """Ask for a card's number -> (arguments, the number as the lock stores it, in decimal digits)."""
    text = common.secret("card number")
    if not text.isascii() or not text.isdigit() or int(text) >= 1 << 64:
        raise HostError("bad_request", "a card's number is decimal digits, as printed on it")
    args = {"number": text} | ({"order": "reversed"} if turned else {})
    return args, str(int.from_bytes(card_client.encode_id(int(text), turned), "big"))


def _which(slot: int, turned: bool, lock: str, via: Gateway) -> tuple[dict, str]:
    """A card by its slot is pinned by its mark: another may be there by the time that the lock comes near."""
    with common.reporting():
        if slot < 0:
            return _read_number(turned)
        _, result = via.ask(lock, "card_list", {"cursor": slot})
        for each in (result.get("data") or {}).get("items") or []:
            if each["slot"] == slot:
                return {"slot": slot, "who": each["who"]}, ""
        raise HostError("refused", "no card in slot %d" % slot, "gatehouse card list shows those that are there")


@card_app.command("add")
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
        args |= when.args()
    title, result = via.ask(lock, "card_add", args, secret=True, note=_kept("card", name, args, None, secret))
    done(title, "takes the card", result, as_json)


@card_app.command("enrol")
def card_enrol(
    lock: common.Lock, via: Gateway, when: Limits, name: CardName = "", as_json: common.Json = False
) -> None:
    """Let in the card that somebody holds to the lock within ten seconds."""
    with common.reporting():
        args = when.args()
    title, result = via.ask(lock, "card_enrol", args, note=_kept("card", name, args))
    done(title, "takes the card", result, as_json)


@card_app.command("change")
def card_change(
    lock: common.Lock,
    via: Change,
    end: times.Until,
    start: times.From = "",
    days: times.Days = "",
    hours: times.Hours = "",
    slot: Slot = -1,
    turned: Turned = False,
    name: CardName = "",
    as_json: common.Json = False,
) -> None:
    """Another period for a card that is there. To make it permanent, delete it and add it again."""
    args, secret = _which(slot, turned, lock, via)
    with common.reporting():
        args |= times.limits(start, end, days, hours)
    note = _kept("card", name, args, None, secret) if secret else None
    title, result = via.ask(lock, "card_change", args, secret=True, note=note)
    done(title, "has the card's new period", result, as_json)


@card_app.command("delete")
def card_delete(
    lock: common.Lock, via: Change, slot: Slot = -1, turned: Turned = False, as_json: common.Json = False
) -> None:
    """Take a card away."""
    args, secret = _which(slot, turned, lock, via)
    note = _gone("card", None, secret) if secret else None
    title, result = via.ask(lock, "card_delete", args, secret=True, note=note)
    done(title, "no longer takes the card", result, as_json)


@card_app.command("clear")
def card_clear(lock: common.Lock, via: Change, yes: Yes = False, as_json: common.Json = False) -> None:
    """Take all cards away."""
    _clear(lock, via, "card", yes, "Take away all cards of %s?", "takes no card any more", as_json)


@card_app.command("lost")
def card_lost(
    lock: common.Lock,
    via: Change,
    found: Annotated[bool, typer.Option("--found", help="It was found: take it again, if it is still stored")] = False,
    slot: Slot = -1,
    turned: Turned = False,
    as_json: common.Json = False,
) -> None:
    """Refuse a lost card for good, whatever else is stored or removed."""
    args, _ = _which(slot, turned, lock, via)
    title, result = via.ask(lock, "card_lost", args | {"lost": not found}, secret=True)
    done(title, "takes the card for found" if found else "refuses the card from here on", result, as_json)


@card_app.command("list")
def card_list(
    lock: common.Lock,
    via: Gateway,
    are_lost: Annotated[bool, typer.Option("--lost", help="Those that are reported lost")] = False,
    as_json: common.Json = False,
) -> None:
    """Cards in the lock, by slot; their numbers stay in it."""
    title, items = via.items(lock, "card_list", {"lost": True}) if are_lost else _read(lock, via, "card")
    known = _names_of(lock)
    if are_lost and not as_json:
        for each in items:
            each["state"] = "lost"
    columns = {"slot": lambda item: item["slot"], "whose": lambda item: known.of("card", item.get("who"))}
    _show(title, items, columns, as_json, "no %scards" % ("lost " if are_lost else ""))


# --- fingerprints


@fingerprint_app.command("enrol")
def fingerprint_enrol(
    lock: common.Lock,
    via: Gateway,
    when: Limits,
    name: Annotated[str, typer.Option("--name", help="Whose finger it is")] = "",
    as_json: common.Json = False,
) -> None:
    """Take in a finger, which has to be pressed on the lock several times."""
    with common.reporting():
        args = when.args()
    title, result = via.ask(lock, "fingerprint_enrol", args, note=_kept("fingerprint", name, args))
    done(title, "knows the finger", result, as_json)


@fingerprint_app.command("change")
def fingerprint_change(
    lock: common.Lock, via: Change, number: Number, when: Limits, as_json: common.Json = False
) -> None:
    """Change when a finger opens; to open for ever again it has to be deleted and enrolled anew."""
    with common.reporting():
        args = {"number": number, **when.args()}
    title, result = via.ask(lock, "fingerprint_change", args, note=_kept("fingerprint", "", args, number))
    done(title, "has changed the finger", result, as_json)


@fingerprint_app.command("delete")
def fingerprint_delete(lock: common.Lock, via: Change, number: Number, as_json: common.Json = False) -> None:
    """Make a lock forget a finger."""
    title, result = via.ask(lock, "fingerprint_delete", {"number": number}, note=_gone("fingerprint", number))
    done(title, "no longer knows the finger", result, as_json)


@fingerprint_app.command("clear")
def fingerprint_clear(lock: common.Lock, via: Change, yes: Yes = False, as_json: common.Json = False) -> None:
    """Make a lock forget all fingers."""
    _clear(lock, via, "fingerprint", yes, "delete all fingerprints of %s?", "knows no finger any more", as_json)


@fingerprint_app.command("list")
def fingerprint_list(lock: common.Lock, via: Gateway, as_json: common.Json = False) -> None:
    """Fingers that a lock knows."""
    title, items = _read(lock, via, "fingerprint")
    known = _names_of(lock)
    columns = {
        "number": lambda item: item.get("number"),
        "name": lambda item: known.named("fingerprint", item["number"]),
    }
    _show(title, items, columns, as_json)


# --- key fobs


@fob_app.command("add")
def fob_add(
    lock: common.Lock,
    address: Annotated[str, typer.Argument(help="Its address, if it is known; else a button has to be pressed")] = "",
    name: Annotated[str, typer.Option("--name", help="Whose fob it is")] = "",
) -> None:
    """Let a fob in, beside the lock: press one of its buttons within half a minute."""
    from host_tools.near import ownership

    entry = common.entry_of(lock)
    text = "%s: waiting for a fob ..." % entry.name
    mac = common.run_near(text, lambda step: ownership.add_fob(entry, address, step))
    names.remember(common.key_book(), entry.id, "fob", None, name, secret=mac)
    out.print("%s takes the fob %s" % (entry.name, mac))


@fob_app.command("change")
def fob_change(lock: common.Lock, via: Change, address: Address, when: Limits, as_json: common.Json = False) -> None:
    """Change when a fob opens; without any limit: always."""
    with common.reporting():
        args = {"mac": address, **when.args()}
    title, result = via.ask(lock, "fob_change", args, note=_kept("fob", "", args, None, address))
    done(title, "has changed the fob", result, as_json)


@fob_app.command("delete")
def fob_delete(lock: common.Lock, via: Change, address: Address, as_json: common.Json = False) -> None:
    """Make a lock forget a fob."""
    title, result = via.ask(lock, "fob_delete", {"mac": address}, note=_gone("fob", None, address))
    done(title, "no longer takes the fob", result, as_json)


@fob_app.command("clear")
def fob_clear(lock: common.Lock, via: Change, yes: Yes = False, as_json: common.Json = False) -> None:
    """Make a lock forget all fobs."""
    _clear(lock, via, "fob", yes, "delete all fobs of %s?", "takes no fob any more", as_json)


@fob_app.command("list")
def fob_list(lock: common.Lock, via: Gateway, as_json: common.Json = False) -> None:
    """Fobs that a lock takes."""
    title, items = _read(lock, via, "fob")
    columns = {
        "fob": lambda item: item.get("mac"),
        "battery": lambda item: "%s %%" % item.get("battery"),
        "heard": lambda item: "just now" if item.get("online") else "",
    }
    _show(title, items, columns, as_json)
