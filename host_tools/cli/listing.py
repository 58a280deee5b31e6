"""Lists of credentials that come page by page, and how they are shown."""

from rich.table import Table

from host_tools.cli import common, recurring
from host_tools.cli.asking import target
from host_tools.cli.common import out, progress, run
from host_tools.errors import HostError
from host_tools.gateway import client as gateway_client
from host_tools.owner.names import Names

STATES: dict[int | None, str] = {2: "expired", 3: "not yet valid"}  # of `status`; 1 is nothing to speak of


def read(lock: str, op: str, broker: str, base: str, gateway: str) -> tuple[str, str, list[dict]]:
    """Every item of a list: (id of the lock, its name, the items). Errors end the command."""
    with common.reporting():
        ident, name = target(lock)
    return ident, name, run(_pages(ident, name, op, broker, base, gateway))


async def _pages(ident: str, name: str, op: str, broker: str, base: str, gateway: str) -> list[dict]:
    found: list[dict] = []
    async with gateway_client.connect(broker, base) as gateways:
        with progress("%s: %s ..." % (name, op.replace("_", " "))) as step:
            chosen = await gateways.choose(gateway, ident)
            cursor: int | None = 0
            while cursor is not None:
                result = await gateways.command(chosen, ident, op, {"cursor": cursor} if cursor else None)
                page = result.get("data") or {}
                found += page.get("items") or []
                after = page.get("next")
                if after is not None and after <= cursor:
                    raise HostError("protocol", "the list has no end", "look at the gateway's log")
                cursor = after
                step("%s: %d so far ..." % (name, len(found)))
    return found


def names_of(ident: str) -> Names:
    """Whose credentials are whose at a lock; nothing for one that the key book does not hold."""
    try:
        return Names(common.key_book().find(ident))
    except HostError:
        return Names(None)


def show(title: str, items: list[dict], columns: dict, as_json: bool) -> None:
    """A table: `columns` maps headings to functions of an item; from, until, hours and state come after them."""
    if as_json:
        out.print_json(data=items)
        return
    if not items:
        out.print("%s has none" % title)
        return
    table = Table(*columns, "from", "until", "hours", "state", title=title, title_justify="left")
    for item in items:
        dates = [common.local(str(item[key])) if item.get(key) else "" for key in ("start", "end")]
        table.add_row(
            *[str(cell(item)) for cell in columns.values()],
            *dates,
            recurring.in_words(item),
            STATES.get(item.get("status"), ""),
        )
    out.print(table)
