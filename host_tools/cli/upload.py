"""`gatehouse upload`: read a lock's whole log once more, and keep what is lacking here."""

from host_tools.cli import common
from host_tools.cli.asking import target
from host_tools.cli.common import out, run
from host_tools.errors import HostError
from host_tools.gateway import client as gateway_client
from host_tools.gateway.records_inflow import QUIET_S, Inflow
from host_tools.gateway.records_store import Choice, RecordStore

_LONG_S = 130  # the gateway gives a whole log two minutes
_MOST_ROUNDS = 50
_BETWEEN_S = 0.2


def upload(
    lock: common.Lock,
    broker: common.Broker = "",
    base: common.Base = "gatehouse",
    gateway: common.Gateway = "",
    as_json: common.Json = False,
) -> None:
    """Read every record that the lock holds once more, also those that were fetched before."""
    with common.reporting():
        ident, name = target(lock)
        with RecordStore() as store:
            read, new = run(_upload(store, ident, name, broker, base, gateway))
            total = store.count(ident, Choice())
    if as_json:
        out.print_json(data={"lock": ident, "read": read, "new": new, "kept": total})
        return
    out.print("%s: %d records read, %d of them new here; %d are kept" % (name, read, new, total))


async def _upload(store: RecordStore, ident: str, name: str, broker: str, base: str, gateway: str) -> tuple[int, int]:
    async with gateway_client.connect(broker, base) as gateways:
        inflow = Inflow(store, gateways, ident)
        await inflow.start()
        chosen = await gateways.choose(gateway, ident)
        read = at = 0
        with common.progress("%s: reading all its records ..." % name) as step:

            def said(told: dict) -> None:
                if isinstance(told.get("done"), int):
                    step("%s: %d records, %d of %s ..." % (name, read, told["done"], told.get("total")))

            for _ in range(_MOST_ROUNDS):
                args = {"from": at} if at else None
                result = await gateways.command(chosen, ident, "upload", args, wait_s=_LONG_S, on_progress=said)
                found = result.get("data") or {}
                read += int(found.get("read") or 0) + int(found.get("new") or 0)
                await inflow.keep(_BETWEEN_S)
                if found.get("next") is None:
                    break
                at = int(found["next"])
            else:
                raise HostError("busy", "the gateway did not come to the end of the log", "try again later")
            await inflow.keep(QUIET_S)
        return read, inflow.new
