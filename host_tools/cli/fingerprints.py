"""`gatehouse fingerprint enrol | change | delete | clear | list`: fingers that a lock opens for."""

from typing import Annotated

import typer

from host_tools.cli import common, listing, recurring
from host_tools.cli.asking import ask, done
from host_tools.owner import names

app = typer.Typer(no_args_is_help=True, help="Fingers that open a lock.")

Number = Annotated[int, typer.Argument(help="Its number, as in `gatehouse fingerprint list`", min=0)]


@app.command("enrol")
def enrol(
    lock: common.Lock,
    name: Annotated[str, typer.Option("--name", help="Whose finger it is")] = "",
    start: recurring.From = "",
    end: recurring.Until = "",
    days: recurring.Days = "",
    hours: recurring.Hours = "",
    broker: common.Broker = "",
    base: common.Base = "gatehouse",
    gateway: common.Gateway = "",
    as_json: common.Json = False,
) -> None:
    """Take in a finger, which has to be pressed on the lock several times."""
    with common.reporting():
        args = recurring.limits(start, end, days, hours)
    title, result = ask(lock, broker, base, gateway, "fingerprint_enrol", args)
    number = (result.get("data") or {}).get("number")
    if number is not None:
        names.note(common.key_book(), lock, "fingerprint", number, name, start=args.get("start"), end=args.get("end"))
    done(title, "knows the finger", result, as_json)


@app.command("change")
def change(
    lock: common.Lock,
    number: Number,
    start: recurring.From = "",
    end: recurring.Until = "",
    days: recurring.Days = "",
    hours: recurring.Hours = "",
    broker: common.Broker = "",
    base: common.Base = "gatehouse",
    gateway: common.Gateway = "",
    as_json: common.Json = False,
) -> None:
    """Change when a finger opens; to open for ever again it has to be deleted and enrolled anew."""
    with common.reporting():
        args = {"number": number, **recurring.limits(start, end, days, hours)}
    title, result = ask(lock, broker, base, gateway, "fingerprint_change", args)
    names.note(common.key_book(), lock, "fingerprint", number, "", start=args.get("start"), end=args.get("end"))
    done(title, "has changed the finger", result, as_json)


@app.command("delete")
def delete(
    lock: common.Lock,
    number: Number,
    broker: common.Broker = "",
    base: common.Base = "gatehouse",
    gateway: common.Gateway = "",
    as_json: common.Json = False,
) -> None:
    """Make a lock forget a finger."""
    title, result = ask(lock, broker, base, gateway, "fingerprint_delete", {"number": number})
    names.gone(common.key_book(), lock, "fingerprint", number)
    done(title, "no longer knows the finger", result, as_json)


@app.command("clear")
def clear(
    lock: common.Lock,
    broker: common.Broker = "",
    base: common.Base = "gatehouse",
    gateway: common.Gateway = "",
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask")] = False,
    as_json: common.Json = False,
) -> None:
    """Make a lock forget all fingers."""
    if not yes:
        typer.confirm("delete all fingerprints of %s?" % lock, abort=True)
    title, result = ask(lock, broker, base, gateway, "fingerprint_clear")
    names.gone(common.key_book(), lock, "fingerprint")
    done(title, "knows no finger any more", result, as_json)


@app.command("list")
def show(
    lock: common.Lock,
    broker: common.Broker = "",
    base: common.Base = "gatehouse",
    gateway: common.Gateway = "",
    as_json: common.Json = False,
) -> None:
    """Fingers that a lock knows."""
    ident, title, items = listing.read(lock, "fingerprint_list", broker, base, gateway)
    known = listing.names_of(ident)
    columns = {
        "number": lambda item: item.get("number"),
        "name": lambda item: known.named("fingerprint", item["number"]),
    }
    listing.show(title, items, columns, as_json)
