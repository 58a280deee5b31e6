"""`gatehouse card`: cards of a lock. Numbers are asked for or read from standard input, never taken from the command
line, and go sealed to the gateway; lists name a card by its slot."""

from typing import Annotated

import typer
from rich.table import Table

from firmware.lib.messages import card_client
from host_tools.cli import common, listing, recurring
from host_tools.cli.asking import ask, done, target
from host_tools.cli.common import out, progress, run
from host_tools.errors import HostError
from host_tools.gateway import client as gateway_client
from host_tools.owner import names

app = typer.Typer(no_args_is_help=True, help="Cards: add, enrol at the door, change, delete, list, report lost.")

Slot = Annotated[int, typer.Option("--slot", help="Which card, as listed; else its number is asked for", min=-1)]
Turned = Annotated[bool, typer.Option("--reversed", help="The number was read from the card's other end")]
Name = Annotated[str, typer.Option("--name", help="Whose card, for lists and records")]


def read_number(turned: bool = False) -> tuple[dict, str]:
    """Ask for a card's number -> (arguments, the number as the lock stores it, in decimal digits)."""
    text = common.secret("card number")
    if not text.isascii() or not text.isdigit() or int(text) >= 1 << 64:
        raise HostError("bad_request", "a card's number is decimal digits, as printed on it")
    args = {"number": text} | ({"order": "reversed"} if turned else {})
    return args, str(int.from_bytes(card_client.encode_id(int(text), turned), "big"))


def _which(slot: int, turned: bool, lock: str, broker: str, base: str, gateway: str) -> tuple[dict, str]:
    """A card by its slot is pinned by its mark: another may be there by the time that the lock comes near."""
    if slot < 0:
        return read_number(turned)
    _, result = ask(lock, broker, base, gateway, "card_list", {"cursor": slot})
    for each in (result.get("data") or {}).get("items") or []:
        if each["slot"] == slot:
            return {"slot": slot, "who": each["who"]}, ""
    raise HostError("refused", "no card in slot %d" % slot, "gatehouse card list shows those that are there")


@app.command("add")
def add(
    lock: common.Lock,
    start: recurring.From = "",
    end: recurring.Until = "",
    days: recurring.Days = "",
    hours: recurring.Hours = "",
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
        limits = recurring.limits(start, end, days, hours)
        args |= limits
    title, result = ask(lock, broker, base, gateway, "card_add", args, secret=True)
    _note(lock, name, secret, limits)
    done(title, "takes the card", result, as_json)


@app.command("enrol")
def enrol(
    lock: common.Lock,
    start: recurring.From = "",
    end: recurring.Until = "",
    days: recurring.Days = "",
    hours: recurring.Hours = "",
    name: Name = "",
    broker: common.Broker = "",
    base: common.Base = "gatehouse",
    gateway: common.Gateway = "",
    as_json: common.Json = False,
) -> None:
    """Let in the card that somebody holds to the lock within ten seconds."""
    with common.reporting():
        args = recurring.limits(start, end, days, hours)
    title, result = ask(lock, broker, base, gateway, "card_enrol", args)
    who = (result.get("data") or {}).get("who")
    if who is not None:
        begin, end_s = args.get("start"), args.get("end")
        names.note(common.key_book(), target(lock)[0], "card", None, name, start=begin, end=end_s, who=who)
    done(title, "takes the card", result, as_json)


@app.command("change")
def change(
    lock: common.Lock,
    end: recurring.Until,
    start: recurring.From = "",
    days: recurring.Days = "",
    hours: recurring.Hours = "",
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
        args, secret = _which(slot, turned, lock, broker, base, gateway)
        limits = recurring.limits(start, end, days, hours)
        args |= limits
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
        args, secret = _which(slot, turned, lock, broker, base, gateway)
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
        args, _ = _which(slot, turned, lock, broker, base, gateway)
        args["lost"] = not found
    title, result = ask(lock, broker, base, gateway, "card_lost", args, secret=True)
    done(title, "takes the card for found" if found else "refuses the card from here on", result, as_json)


@app.command("list")
def show(
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
        state = "lost" if are_lost else listing.STATES.get(each.get("status"), "")
        hours = recurring.in_words(each)
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
