"""`gatehouse jobs` and `gatehouse cancel`: what a gateway keeps until a lock is near."""

from typing import Annotated

import typer
from rich.table import Table

from host_tools.cli import common
from host_tools.cli.asking import ask, target
from host_tools.cli.common import out, run
from host_tools.errors import HostError
from host_tools.gateway import client as gateway_client


def jobs(
    lock: common.Lock,
    broker: common.Broker = "",
    base: common.Base = "gatehouse",
    gateway: common.Gateway = "",
    as_json: common.Json = False,
) -> None:
    """What waits to be done at a lock."""
    with common.reporting():
        ident, name = target(lock)
    found = run(_all(ident, broker, base, gateway))
    if as_json:
        out.print_json(data=found)
        return
    table = Table("id", "operation", "state", "for", "attempts", "last", title=name, title_justify="left")
    for item in found:
        state = str(item.get("state")) + (", may have been done" if item.get("sent") else "")
        age = "%d s" % item["age_s"] if isinstance(item.get("age_s"), int) else ""
        table.add_row(str(item.get("id")), str(item.get("op")), state, age, str(item.get("attempts")), item.get("last"))
    out.print(table if found else "nothing waits for %s" % name)


async def _all(ident: str, broker: str, base: str, gateway: str) -> list[dict]:
    found: list[dict] = []
    async with gateway_client.connect(broker, base) as gateways:
        chosen = await gateways.choose(gateway, ident)
        cursor: int | None = 0
        while cursor is not None:
            result = await gateways.command(chosen, ident, "jobs", {"cursor": cursor} if cursor else None)
            page = result.get("data") or {}
            found += page.get("items") or []
            after = page.get("next")
            if after is not None and after <= cursor:
                raise HostError("protocol", "the list has no end", "look at the gateway's log")
            cursor = after
    return found


def cancel(
    lock: common.Lock,
    ident: Annotated[str, typer.Argument(metavar="ID", help="Which one, as `gatehouse jobs` names it")],
    broker: common.Broker = "",
    base: common.Base = "gatehouse",
    gateway: common.Gateway = "",
    as_json: common.Json = False,
) -> None:
    """Withdraw what waits to be done at a lock."""
    name, result = ask(lock, broker, base, gateway, "cancel", {"id": ident})
    found = result.get("data") or {}
    if as_json:
        out.print_json(data=result)
    elif found.get("cancelled"):
        out.print("%s: %s is withdrawn" % (name, ident))
    elif found.get("running"):
        out.print("%s: %s is being done this moment; its result will tell" % (name, ident))
    else:
        out.print("%s: %s is given up, but it may have been done already: look at the lock" % (name, ident))
