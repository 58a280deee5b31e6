"""`gatehouse monitor`: what is happening."""

import time
from typing import Annotated

import typer

from host_tools.cli import common
from host_tools.cli.common import out, run
from host_tools.errors import HostError
from host_tools.gateway import client as gateway_client
from host_tools.gateway.monitor import Monitor
from host_tools.owner import names


def monitor(
    broker: common.Broker = "",
    base: common.Base = "gatehouse",
    seconds: Annotated[float, typer.Option("--seconds", help="End by itself")] = 0,
) -> None:
    """Live table of all locks and a line per event; Ctrl-C ends it."""
    called = {}
    whose = {}
    try:
        for each in common.key_book().entries():
            called[each.id] = each.name
            whose[each.id] = names.Names(each)
    except HostError:
        pass  # names are a comfort; the gateway's are used instead

    async def work() -> None:
        async with gateway_client.connect(broker, base) as gateways:
            view = Monitor(gateways, called, whose)
            await gateways.watch(("availability", "state", "event"), view.heard)
            await view.show(out, time.monotonic() + seconds if seconds else None)

    run(work())
