"""`gatehouse fob add | change | delete | clear | list`: key fobs that open a lock of ours."""

from typing import Annotated

import typer

from host_tools.cli import common, listing, recurring
from host_tools.cli.asking import ask, done
from host_tools.cli.common import out, progress, run
from host_tools.cli.locks import entry_of
from host_tools.near import fobs
from host_tools.owner import names

app = typer.Typer(no_args_is_help=True, help="Key fobs that open a lock.")

Address = Annotated[str, typer.Argument(help="Its address, as in `gatehouse fob list`")]


@app.command("add")
def add(
    lock: common.Lock,
    address: Annotated[str, typer.Argument(help="Its address, if it is known; else a button has to be pressed")] = "",
    name: Annotated[str, typer.Option("--name", help="Whose fob it is")] = "",
) -> None:
    """Let a fob in, beside the lock: press one of its buttons within half a minute."""
    entry = entry_of(lock)

    async def work() -> str:
        common.go_near()
        with progress("%s: waiting for a fob ..." % entry.name) as step:
            return await fobs.add(entry, address, step)

    mac = run(work())
    names.note(common.key_book(), entry.id, "fob", None, name, secret=mac)
    out.print("%s takes the fob %s" % (entry.name, mac))


@app.command("change")
def change(
    lock: common.Lock,
    address: Address,
    start: recurring.From = "",
    end: recurring.Until = "",
    days: recurring.Days = "",
    hours: recurring.Hours = "",
    broker: common.Broker = "",
    base: common.Base = "gatehouse",
    gateway: common.Gateway = "",
    as_json: common.Json = False,
) -> None:
    """Change when a fob opens; without any limit: always."""
    with common.reporting():
        args = {"mac": address, **recurring.limits(start, end, days, hours)}
    title, result = ask(lock, broker, base, gateway, "fob_change", args)
    names.note(common.key_book(), lock, "fob", None, "", secret=address, start=args.get("start"), end=args.get("end"))
    done(title, "has changed the fob", result, as_json)


@app.command("delete")
def delete(
    lock: common.Lock,
    address: Address,
    broker: common.Broker = "",
    base: common.Base = "gatehouse",
    gateway: common.Gateway = "",
    as_json: common.Json = False,
) -> None:
    """Make a lock forget a fob."""
    title, result = ask(lock, broker, base, gateway, "fob_delete", {"mac": address})
    names.gone(common.key_book(), lock, "fob", secret=address)
    done(title, "no longer takes the fob", result, as_json)


@app.command("clear")
def clear(
    lock: common.Lock,
    broker: common.Broker = "",
    base: common.Base = "gatehouse",
    gateway: common.Gateway = "",
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask")] = False,
    as_json: common.Json = False,
) -> None:
    """Make a lock forget all fobs."""
    if not yes:
        typer.confirm("delete all fobs of %s?" % lock, abort=True)
    title, result = ask(lock, broker, base, gateway, "fob_clear")
    names.gone(common.key_book(), lock, "fob")
    done(title, "takes no fob any more", result, as_json)


@app.command("list")
def show(
    lock: common.Lock,
    broker: common.Broker = "",
    base: common.Base = "gatehouse",
    gateway: common.Gateway = "",
    as_json: common.Json = False,
) -> None:
    """Fobs that a lock takes."""
    _, title, items = listing.read(lock, "fob_list", broker, base, gateway)
    columns = {
        "fob": lambda item: item.get("mac"),
        "battery": lambda item: "%s %%" % item.get("battery"),
        "heard": lambda item: "just now" if item.get("online") else "",
    }
    listing.show(title, items, columns, as_json)
