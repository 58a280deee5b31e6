"""`gatehouse gateway list`: which gateways are at the broker, by name, and what they serve."""

import asyncio

from host_tools.cli import common, completion
from host_tools.cli.common import out, run
from host_tools.cli.options import App
from host_tools.cli.reach import Broker
from host_tools.screen import Table, styled

_LOOK_S = 1.5  # for retained messages

app = App(no_args_is_help=True, help="The gateways at a broker.")


@app.command("list")
def list_(via: Broker, as_json: common.Json = False) -> None:
    """Every gateway that has been at the broker: name, id, whether it is online, version, how many locks."""

    async def work() -> list[dict]:
        async with via.connect() as gateways:
            await asyncio.sleep(_LOOK_S)
            return [
                {
                    "id": ident,
                    "name": gateways.name(ident),
                    "online": gateways.online.get(ident),
                    "version": gateways.info.get(ident, {}).get("version"),
                    "board": gateways.info.get(ident, {}).get("board"),
                    "locks": gateways.info.get(ident, {}).get("locks") or [],
                }
                for ident in sorted(set(gateways.info) | set(gateways.online))
            ]

    rows = run(work())
    completion.remember({each["id"]: each["name"] for each in rows})
    if as_json:
        out.print_json(rows)
        return
    table = Table("name", "id", "", "version", "locks")
    for each in rows:
        state = ("online", "green") if each["online"] else ("unknown" if each["online"] is None else "offline", "red")
        table.add_row(each["name"], each["id"], styled(state), each["version"], len(each["locks"]))
    out.print(table if rows else "no gateway has been at this broker")
