"""What a gateway does at a lock (unlock, lock, state, clock, auto-lock), what it keeps for later (`jobs`, `cancel`),
what it says of itself (`info`), and the live view `monitor`."""

import time
from typing import Annotated

import typer

from host_tools import screen
from host_tools.cli import common
from host_tools.cli.common import out, run
from host_tools.cli.options import App
from host_tools.cli.reach import Broker, Change, Gateway, done
from host_tools.errors import HostError
from host_tools.gateway.monitor import Monitor
from host_tools.owner import names, zones
from host_tools.screen import Table

time_app = App(no_args_is_help=True, help="The lock's clock.")
autolock_app = App(no_args_is_help=True, help="How long a lock stays open.")


def unlock(lock: common.Lock, via: Gateway, as_json: common.Json = False) -> None:
    """Open a door."""
    name, result = via.ask(lock, "unlock")
    done(lock, name, "reports unlocked", result, as_json)


def lock(lock: common.Lock, via: Gateway, as_json: common.Json = False) -> None:
    """Lock a door."""
    name, result = via.ask(lock, "lock")
    done(lock, name, "reports locked", result, as_json)


def _show(lock: str, via: Gateway, op: str, as_json: bool) -> None:
    name, result = via.ask(lock, op)
    common.show(name, result if as_json else result.get("data") or {}, as_json, common.zone_of(lock))


def state(lock: common.Lock, via: Gateway, as_json: common.Json = False) -> None:
    """Ask the lock itself what state it is in."""
    _show(lock, via, "state", as_json)


def info(via: Gateway, as_json: common.Json = False) -> None:
    """What a gateway says of itself, and which locks it serves."""

    async def work() -> dict:
        async with via.connect() as gateways:
            chosen = await gateways.choose(via.gateway)
            result = await gateways.command(chosen, None, "info")
            return result.get("data") or gateways.info[chosen]

    common.show("gateway", run(work()), as_json)


@time_app.command("get", bulk=True)
def time_get(lock: common.Lock, via: Gateway, as_json: common.Json = False) -> None:
    """Read the lock's clock."""
    _show(lock, via, "time_get", as_json)


@time_app.command("sync", bulk=True)
def time_sync(lock: common.Lock, via: Change, as_json: common.Json = False) -> None:
    """Set the lock's clock right."""
    name, result = via.ask(lock, "time_sync")
    done(lock, name, "has the right time", result, as_json)


@autolock_app.command("get", bulk=True)
def autolock_get(lock: common.Lock, via: Gateway, as_json: common.Json = False) -> None:
    """Read after how many seconds the lock locks itself."""
    _show(lock, via, "autolock_get", as_json)


@autolock_app.command("set", bulk=True)
def autolock_set(
    lock: common.Lock,
    seconds: Annotated[int, typer.Argument(help="0 turns auto-lock off", min=0, max=900)],
    via: Change,
    as_json: common.Json = False,
) -> None:
    """Set after how many seconds the lock locks itself."""
    name, result = via.ask(lock, "autolock_set", {"seconds": seconds})
    done(lock, name, "auto-lock set", result, as_json)


def jobs(lock: common.Lock, via: Gateway, as_json: common.Json = False) -> None:
    """What waits to be done at a lock."""
    name, items = via.items(lock, "jobs")
    if as_json:
        out.print_json(data=items)
        return
    table = Table("id", "operation", "state", "for", "attempts", "last", title=name)
    for item in items:
        state = str(item.get("state")) + (", may have been done" if item.get("sent") else "")
        age = "%d s" % item["age_s"] if isinstance(item.get("age_s"), int) else ""
        table.add_row(str(item.get("id")), str(item.get("op")), state, age, str(item.get("attempts")), item.get("last"))
    out.print(table if items else "nothing waits for %s" % name)


def cancel(
    lock: common.Lock,
    ident: Annotated[str, typer.Argument(metavar="ID", help="Which one, as `gatehouse jobs` names it")],
    via: Gateway,
    as_json: common.Json = False,
) -> None:
    """Withdraw what waits to be done at a lock."""
    name, result = via.ask(lock, "cancel", {"id": ident})
    state = result.get("data") or {}
    if as_json:
        out.print_json(data=result)
    elif state.get("cancelled"):
        out.print("%s: %s is withdrawn" % (name, ident))
    elif state.get("running"):
        out.print("%s: %s is being done this moment; its result will tell" % (name, ident))
    else:
        out.print("%s: %s is given up, but it may have been done already: look at the lock" % (name, ident))


def monitor(
    via: Broker,
    seconds: Annotated[float, typer.Option("--seconds", help="End by itself")] = 0,
    as_json: common.Json = False,
) -> None:
    """Live table of all locks and a line per event; arrows and page keys scroll, Ctrl-C ends it. With --json a line per
    message."""
    try:
        entries = common.key_book().entries()
    except HostError:
        entries = []  # without the key book, locks have the names that the gateway gives them

    async def work() -> None:
        async with via.connect() as gateways:
            whose = {each.id: names.Names(each) for each in entries}
            where = {each.id: zones.of(each) for each in entries}
            tell = out.print_json_line if as_json else None
            view = Monitor(gateways, {each.id: each.name for each in entries}, whose, where, tell)
            await gateways.watch(("availability", "state", "event"), view.receive)
            await view.show(screen.err if as_json else out, time.monotonic() + seconds if seconds else None)

    if as_json:
        screen.is_streaming()
    run(work())
