"""Commands that a gateway carries out on a lock: unlock, lock, state, clock, auto-lock, passcodes; and its `info`."""

import sys
from typing import Annotated

import typer
from rich.table import Table

from host_tools import codes, gateway_client
from host_tools.cli import common
from host_tools.cli.asking import ask, done, target
from host_tools.cli.common import out, progress, run
from host_tools.errors import HostError
from host_tools.moments import read_moment

time_app = typer.Typer(no_args_is_help=True, help="The lock's clock.")
autolock_app = typer.Typer(no_args_is_help=True, help="How long a lock stays open.")
passcode_app = typer.Typer(no_args_is_help=True, help="Codes for the keypad.")


def unlock(
    lock: common.Lock,
    broker: common.Broker = "",
    base: common.Base = "gatehouse",
    gateway: common.Gateway = "",
    as_json: common.Json = False,
) -> None:
    """Open a door."""
    name, result = ask(lock, broker, base, gateway, "unlock")
    done(name, "unlocked", result, as_json)


def lock(
    lock: common.Lock,
    broker: common.Broker = "",
    base: common.Base = "gatehouse",
    gateway: common.Gateway = "",
    as_json: common.Json = False,
) -> None:
    """Lock a door."""
    name, result = ask(lock, broker, base, gateway, "lock")
    done(name, "locked", result, as_json)


def state(
    lock: common.Lock,
    broker: common.Broker = "",
    base: common.Base = "gatehouse",
    gateway: common.Gateway = "",
    as_json: common.Json = False,
) -> None:
    """Ask the lock itself what state it is in."""
    name, result = ask(lock, broker, base, gateway, "state")
    common.show(name, result if as_json else result.get("data") or {}, as_json)


def info(
    broker: common.Broker = "",
    base: common.Base = "gatehouse",
    gateway: common.Gateway = "",
    as_json: common.Json = False,
) -> None:
    """What a gateway says of itself, and which locks it serves."""

    async def work() -> dict:
        async with gateway_client.connect(broker, base) as gateways:
            chosen = await gateways.choose(gateway)
            result = await gateways.command(chosen, None, "info")
            return result.get("data") or gateways.info[chosen]

    common.show("gateway", run(work()), as_json)


@time_app.command("get")
def time_get(
    lock: common.Lock,
    broker: common.Broker = "",
    base: common.Base = "gatehouse",
    gateway: common.Gateway = "",
    as_json: common.Json = False,
) -> None:
    """Read the lock's clock."""
    name, result = ask(lock, broker, base, gateway, "time_get")
    common.show(name, result if as_json else result.get("data") or {}, as_json)


@time_app.command("sync")
def time_sync(
    lock: common.Lock,
    broker: common.Broker = "",
    base: common.Base = "gatehouse",
    gateway: common.Gateway = "",
    as_json: common.Json = False,
) -> None:
    """Set the lock's clock right."""
    name, result = ask(lock, broker, base, gateway, "time_sync")
    done(name, "has the right time", result, as_json)


@autolock_app.command("get")
def autolock_get(
    lock: common.Lock,
    broker: common.Broker = "",
    base: common.Base = "gatehouse",
    gateway: common.Gateway = "",
    as_json: common.Json = False,
) -> None:
    """Read after how many seconds the lock locks itself."""
    name, result = ask(lock, broker, base, gateway, "autolock_get")
    common.show(name, result if as_json else result.get("data") or {}, as_json)


@autolock_app.command("set")
def autolock_set(
    lock: common.Lock,
    seconds: Annotated[int, typer.Argument(help="0 turns auto-lock off", min=0, max=900)],
    broker: common.Broker = "",
    base: common.Base = "gatehouse",
    gateway: common.Gateway = "",
    as_json: common.Json = False,
) -> None:
    """Set after how many seconds the lock locks itself."""
    name, result = ask(lock, broker, base, gateway, "autolock_set", {"seconds": seconds})
    done(name, "auto-lock set", result, as_json)


def _read_code(generate: int, short: bool) -> str:
    if generate:
        if not 6 <= generate <= 9:
            raise HostError("bad_request", "--generate takes 6 to 9 digits")
        return codes.random_code(generate)
    return codes.check(common.secret("passcode", again=sys.stdin.isatty()), short)


@passcode_app.command("add")
def passcode_add(
    lock: common.Lock,
    start: Annotated[str, typer.Option("--from", help="Valid from: 2026-05-01T15:00 or now")] = "",
    end: Annotated[str, typer.Option("--until", help="Valid until: 2026-05-03T11:00 or +2d, +12h")] = "",
    generate: Annotated[int, typer.Option("--generate", help="Make up a code of so many digits and show it")] = 0,
    short: Annotated[bool, typer.Option("--short", help="Allow 4 or 5 digits")] = False,
    broker: common.Broker = "",
    base: common.Base = "gatehouse",
    gateway: common.Gateway = "",
) -> None:
    """Add a passcode; it is asked for, made up (--generate), or read from standard input."""
    with common.reporting():
        args: dict = {"code": _read_code(generate, short), "type": "permanent"}
        if end or start:
            begin = read_moment(start or "now")
            until = read_moment(end, begin) if end else None
            if until is None or until <= begin:
                raise HostError("bad_request", "the end must lie after the start", "give --until")
            args.update(type="period", start=begin, end=until)
    name, result = ask(lock, broker, base, gateway, "passcode_add", args, secret=True)
    done(name, "knows the passcode", result, False)
    if generate:
        out.print("passcode: [bold]%s[/]" % args["code"])


@passcode_app.command("delete")
def passcode_delete(
    lock: common.Lock,
    broker: common.Broker = "",
    base: common.Base = "gatehouse",
    gateway: common.Gateway = "",
) -> None:
    """Delete a passcode, which is asked for or read from standard input."""
    with common.reporting():
        args = {"code": common.secret("passcode to delete")}
    name, result = ask(lock, broker, base, gateway, "passcode_delete", args, secret=True)
    done(name, "no longer takes the passcode", result, False)


@passcode_app.command("list")
def passcode_list(
    lock: common.Lock,
    broker: common.Broker = "",
    base: common.Base = "gatehouse",
    gateway: common.Gateway = "",
    as_json: common.Json = False,
) -> None:
    """Passcodes in the lock, masked."""
    with common.reporting():
        ident, name = target(lock)
    found = run(_list_passcodes(ident, name, broker, base, gateway))
    if as_json:
        out.print_json(data=found)
        return
    table = Table("passcode", "type", "from", "until", title=name, title_justify="left")
    for each in found:
        dates = [common.local(str(each[key])) if each.get(key) else "" for key in ("start", "end")]
        table.add_row(str(each.get("code")), str(each.get("type")), *dates)
    out.print(table if found else "%s has no passcodes" % name)


async def _list_passcodes(ident: str, name: str, broker: str, base: str, gateway: str) -> list[dict]:
    found: list[dict] = []
    async with gateway_client.connect(broker, base) as gateways:
        with progress("%s: reading its passcodes ..." % name) as step:
            chosen = await gateways.choose(gateway, ident)
            cursor: int | None = 0
            while cursor is not None:
                result = await gateways.command(chosen, ident, "passcode_list", {"cursor": cursor} if cursor else None)
                page = result.get("data") or {}
                found += page.get("items") or []
                after = page.get("next")
                if after is not None and after <= cursor:
                    raise HostError("protocol", "the list of passcodes has no end", "look at the gateway's log")
                cursor = after
                step("%s: %d passcodes so far ..." % (name, len(found)))
    return found
