"""`gatehouse records` and `gatehouse monitor`: what happened, and what is happening."""

import asyncio
import time
from typing import Annotated

import typer
from rich.table import Table

from host_tools import gateway_client
from host_tools.cli import common
from host_tools.cli.asking import target
from host_tools.cli.common import err, out, run
from host_tools.errors import HostError
from host_tools.monitor import Monitor
from host_tools.records_store import RecordStore, read_batch

_QUIET_S = 2.0  # after the gateway has read the lock, its batches arrive within this


def records(
    lock: common.Lock,
    stored: Annotated[bool, typer.Option("--stored", help="Show what is kept here; do not ask the lock")] = False,
    follow: Annotated[bool, typer.Option("--follow", help="Stay, and show records as they arrive")] = False,
    count: Annotated[int, typer.Option("--last", help="How many to show", min=1)] = 50,
    broker: common.Broker = "",
    base: common.Base = "gatehouse",
    gateway: common.Gateway = "",
    as_json: common.Json = False,
) -> None:
    """Fetch a lock's records through its gateway, keep them on this computer, show the newest."""
    with common.reporting():
        ident, name = target(lock)
        with RecordStore() as store:
            if not stored:
                run(_fetch(store, ident, name, broker, base, gateway, follow))
            found = store.last(ident, count)
            lost = store.lost(ident)
    if as_json:
        out.print_json(data={"lock": ident, "lost": lost, "records": found})
        return
    table = Table("no.", "when", "event", "method", "who", "battery", title=name, title_justify="left")
    for each in found:
        table.add_row(*(_cell(each, key) for key in ("rec", "ts", "event", "method", "who", "battery")))
    out.print(table if found else "no records of %s yet" % name)
    if lost:
        err.print("%d records were overwritten in the lock before the gateway could read them" % lost)


def _cell(record: dict, key: str) -> str:
    value = record.get(key)
    if value is None:
        return ""
    return "%s %%" % value if key == "battery" else common.local(value) if key == "ts" else str(value)


async def _fetch(store: RecordStore, ident: str, name: str, broker: str, base: str, gateway: str, follow: bool) -> None:
    batches: asyncio.Queue[tuple[str, str]] = asyncio.Queue()

    def heard(sender: str, _lock: str, _leaf: str, text: str) -> None:
        batches.put_nowait((sender, text))

    async def keep(quiet_s: float | None) -> None:
        while True:
            try:
                sender, text = await asyncio.wait_for(batches.get(), quiet_s)
            except TimeoutError:
                return
            batch = read_batch(text)
            store.keep(ident, batch)
            await gateways.acknowledge(sender, ident, batch.epoch, batch.last)
            if follow:
                for item in batch.items:
                    out.print(
                        "%s  %s %s %s"
                        % (common.local(str(item.get("ts"))), name, item.get("event"), item.get("method"))
                    )

    async with gateway_client.connect(broker, base) as gateways:
        await gateways.watch(("records",), heard, ident)
        chosen = await gateways.choose(gateway, ident)
        with common.progress("reading the records of %s ..." % name):
            await gateways.command(chosen, ident, "records_read", wait_s=120)
            await keep(_QUIET_S)
        if follow:
            await keep(None)


def monitor(
    broker: common.Broker = "",
    base: common.Base = "gatehouse",
    seconds: Annotated[float, typer.Option("--seconds", help="End by itself")] = 0,
) -> None:
    """Live table of all locks and a line per event; Ctrl-C ends it."""
    names = {}
    try:
        names = {each.id: each.name for each in common.key_book().entries()}
    except HostError:
        pass  # names are a comfort; the gateway's are used instead

    async def work() -> None:
        async with gateway_client.connect(broker, base) as gateways:
            view = Monitor(gateways, names)
            await gateways.watch(("availability", "state", "event"), view.heard)
            await view.show(out, time.monotonic() + seconds if seconds else None)

    run(work())
