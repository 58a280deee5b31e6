"""Commands that a gateway carries out on a lock: unlock, lock, state, clock, auto-lock, passcodes; and its `info`."""

from typing import Annotated

import typer

from host_tools.cli import common
from host_tools.cli.asking import ask, done
from host_tools.cli.common import run
from host_tools.gateway import client as gateway_client

time_app = typer.Typer(no_args_is_help=True, help="The lock's clock.")
autolock_app = typer.Typer(no_args_is_help=True, help="How long a lock stays open.")


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
