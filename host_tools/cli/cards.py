"""`gatehouse card`: cards of a lock. Numbers are asked for or read from standard input, never taken from the command
line, and go sealed to the gateway; lists name a card by its slot."""

from typing import Annotated

import typer
from rich.table import Table

from firmware.lib.messages import card_client
from host_tools import gateway_client, names
from host_tools.cli import common
from host_tools.cli.asking import ask, done, target
from host_tools.cli.common import out, progress, run
from host_tools.errors import HostError
from host_tools.moments import read_moment

app = typer.Typer(no_args_is_help=True, help="Cards: add, enrol at the door, change, delete, list, report lost.")

Start = Annotated[str, typer.Option("--from", help="Valid from: 2026-05-01T15:00 or now")]
End = Annotated[str, typer.Option("--until", help="Valid until: 2026-05-03T11:00 or +2d, +12h")]
Days = Annotated[str, typer.Option("--days", help="Recurring: mon,tue,...")]
Hours = Annotated[str, typer.Option("--hours", help="Recurring: 08:00-12:30")]
Slot = Annotated[int, typer.Option("--slot", help="Which card, as listed; else its number is asked for", min=-1)]
Turned = Annotated[bool, typer.Option("--reversed", help="The number was read from the card's other end")]
Name = Annotated[str, typer.Option("--name", help="Whose card, for lists and records")]

_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_STATES = {1: "", 2: "expired", 3: "not yet valid"}


def _minutes(text: str) -> int:
    parts = text.strip().split(":")
    if len(parts) != 2 or not all(part.isascii() and part.isdigit() for part in parts):
        raise HostError("bad_request", "no time of day: %s" % text, "write 08:00")
    return 60 * int(parts[0]) + int(parts[1])


def recurring(days: str, hours: str) -> dict:
    """Arguments `days`, `from_min`, `to_min`; {} without both. Raises HostError."""
    if not days and not hours:
        return {}
    words = [word.strip().lower()[:3] for word in days.split(",")]
    start, _, end = hours.partition("-")
    if any(word not in _DAYS for word in words) or not end:
        raise HostError("bad_request", "no days and hours", "write --days mon,tue --hours 08:00-12:30")
    opens, closes = _minutes(start), _minutes(end)
    if not opens < closes <= 24 * 60:
        raise HostError("bad_request", "the hours must end after they begin, on the same day")
    return {"days": sorted({_DAYS.index(word) + 1 for word in words}), "from_min": opens, "to_min": closes}


def _period(start: str, end: str) -> dict:
    if not start and not end:
        return {}
    begin = read_moment(start or "now")
    if not end:
        return {"start": begin}
    until = read_moment(end, begin)
    if until <= begin:
        raise HostError("bad_request", "the end must lie after the start")
    return {"start": begin, "end": until}


def read_number(turned: bool = False) -> tuple[dict, str]:
    """Ask for a card's number -> (arguments, the number as the lock stores it, in decimal digits)."""
    text = common.secret("card number")
    if not text.isascii() or not text.isdigit() or int(text) >= 1 << 64:
        raise HostError("bad_request", "a card's number is decimal digits, as printed on it")
    args = {"number": text} | ({"order": "reversed"} if turned else {})
    return args, str(int.from_bytes(card_client.encode_id(int(text), turned), "big"))


def _which(slot: int, turned: bool) -> tuple[dict, str]:
    return ({"slot": slot}, "") if slot >= 0 else read_number(turned)


@app.command("add")
def add(
    lock: common.Lock,
    start: Start = "",
    end: End = "",
    days: Days = "",
    hours: Hours = "",
    turned: Turned = False,
    name: Name = "",
    broker: common.Broker = "",
    base: common.Base = "gatehouse",
    gateway: common.Gateway = "",
    as_json: common.Json = False,
) -> None:
    """Let a card in by its number: printed on it, or read by a phone or another reader."""
    with common.reporting():
        args, secret = read_number(turned)
        limits = _period(start, end)
        args |= limits | recurring(days, hours)
    title, result = ask(lock, broker, base, gateway, "card_add", args, secret=True)
    _note(lock, name, secret, limits)
    done(title, "takes the card", result, as_json)


@app.command("enrol")
def enrol(
    lock: common.Lock,
    start: Start = "",
    end: End = "",
    days: Days = "",
    hours: Hours = "",
    broker: common.Broker = "",
    base: common.Base = "gatehouse",
    gateway: common.Gateway = "",
    as_json: common.Json = False,
) -> None:
    """Let in the card that somebody holds to the lock within ten seconds."""
    with common.reporting():
        args = _period(start, end) | recurring(days, hours)
    title, result = ask(lock, broker, base, gateway, "card_enrol", args)
    done(title, "takes the card", result, as_json)


@app.command("change")
def change(
    lock: common.Lock,
    end: End,
    start: Start = "",
    days: Days = "",
    hours: Hours = "",
    slot: Slot = -1,
    turned: Turned = False,
    name: Name = "",
    broker: common.Broker = "",
    base: common.Base = "gatehouse",
    gateway: common.Gateway = "",
    as_json: common.Json = False,
) -> None:
    """Another period for a card that is there. To make it permanent, delete it and add it again."""
    with common.reporting():
        args, secret = _which(slot, turned)
        limits = _period(start, end)
        args |= limits | recurring(days, hours)
    title, result = ask(lock, broker, base, gateway, "card_change", args, secret=True)
    if secret:
        _note(lock, name, secret, limits)
    done(title, "has the card's new period", result, as_json)


@app.command("delete")
def delete(
    lock: common.Lock,
    slot: Slot = -1,
    turned: Turned = False,
    broker: common.Broker = "",
    base: common.Base = "gatehouse",
    gateway: common.Gateway = "",
    as_json: common.Json = False,
) -> None:
    """Take a card away."""
    with common.reporting():
        args, secret = _which(slot, turned)
    title, result = ask(lock, broker, base, gateway, "card_delete", args, secret=True)
    if secret:
        names.gone(common.key_book(), target(lock)[0], "card", None, secret)
    done(title, "no longer takes the card", result, as_json)


@app.command("clear")
def clear(
    lock: common.Lock,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask")] = False,
    broker: common.Broker = "",
    base: common.Base = "gatehouse",
    gateway: common.Gateway = "",
    as_json: common.Json = False,
) -> None:
    """Take all cards away."""
    if not yes and not typer.confirm("Take away all cards of %s?" % lock):
        raise typer.Exit(1)
    title, result = ask(lock, broker, base, gateway, "card_clear")
    names.gone(common.key_book(), target(lock)[0], "card")
    done(title, "takes no card any more", result, as_json)


@app.command("lost")
def lost(
    lock: common.Lock,
    found: Annotated[bool, typer.Option("--found", help="It was found: take it again, if it is still stored")] = False,
    slot: Slot = -1,
    turned: Turned = False,
    broker: common.Broker = "",
    base: common.Base = "gatehouse",
    gateway: common.Gateway = "",
    as_json: common.Json = False,
) -> None:
    """Refuse a lost card for good, whatever else is stored or removed."""
    with common.reporting():
        args, _ = _which(slot, turned)
        args["lost"] = not found
    title, result = ask(lock, broker, base, gateway, "card_lost", args, secret=True)
    done(title, "takes the card for found" if found else "refuses the card from here on", result, as_json)


@app.command("list")
def listing(
    lock: common.Lock,
    are_lost: Annotated[bool, typer.Option("--lost", help="Those that are reported lost")] = False,
    broker: common.Broker = "",
    base: common.Base = "gatehouse",
    gateway: common.Gateway = "",
    as_json: common.Json = False,
) -> None:
    """Cards in the lock, by slot; their numbers stay in it."""
    with common.reporting():
        ident, title = target(lock)
    found = run(_pages(ident, title, broker, base, gateway, are_lost))
    if as_json:
        out.print_json(data=found)
        return
    known = names.Names(next((each for each in common.key_book().entries() if each.id == ident), None))
    table = Table("slot", "whose", "from", "until", "hours", "state", title=title, title_justify="left")
    for each in found:
        dates = [common.local(str(each[key])) if each.get(key) else "" for key in ("start", "end")]
        state = "lost" if are_lost else _STATES.get(each.get("status", 1), "")
        hours = "recurring" if each.get("hours") else ""
        table.add_row(str(each["slot"]), known.of("card", each.get("who")), *dates, hours, state)
    out.print(table if found else "%s has no %scards" % (title, "lost " if are_lost else ""))


async def _pages(ident: str, title: str, broker: str, base: str, gateway: str, are_lost: bool) -> list[dict]:
    found: list[dict] = []
    async with gateway_client.connect(broker, base) as gateways:
        with progress("%s: reading its cards ..." % title) as step:
            chosen = await gateways.choose(gateway, ident)
            cursor: int | None = 0
            while cursor is not None:
                args = ({"cursor": cursor} if cursor else {}) | ({"lost": True} if are_lost else {})
                result = await gateways.command(chosen, ident, "card_list", args or None)
                page = result.get("data") or {}
                found += page.get("items") or []
                after = page.get("next")
                if after is not None and after <= cursor:
                    raise HostError("protocol", "the list of cards has no end", "look at the gateway's log")
                cursor = after
                step("%s: %d cards so far ..." % (title, len(found)))
    return found


def _note(lock: str, name: str, secret: str, limits: dict) -> None:
    begin, end = limits.get("start"), limits.get("end")
    names.note(common.key_book(), target(lock)[0], "card", None, name, secret, start=begin, end=end)
