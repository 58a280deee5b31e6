"""`gatehouse issuer`: further computers that may command a gateway, each with a key of its own and what it may do."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from firmware.lib import envelope
from host_tools import json_text
from host_tools.cli import common
from host_tools.cli.common import key_book, out, progress, reporting, run
from host_tools.cli.gateways import fingerprint
from host_tools.cli.options import App
from host_tools.cli.reach import Gateway, target
from host_tools.errors import HostError, Unknown
from host_tools.gateway.client import Gateways
from host_tools.owner import gateways
from host_tools.owner.ekeys import write_private
from host_tools.owner.gateways import Gateway as Pinned
from host_tools.screen import Table

app = App(no_args_is_help=True, help="Further computers that may command a gateway, and what each may do.")

Name = Annotated[str, typer.Argument(help="1 to 16 of a-z, 0-9 and -; `owner` is you")]
ALL = "*"


def _listed(text: str) -> list[str] | str:
    """A comma-separated list, or `*`."""
    parts = [part.strip() for part in text.split(",") if part.strip()]
    return ALL if parts == [ALL] else parts


def _as_owner(reach: Gateways, chosen: str) -> Pinned:
    """The gateway, of which this computer must be the owner. HostError."""
    signer = reach.signer(chosen)
    if signer is None or signer.gateway.issuer != envelope.OWNER:
        text = "only the owner of gateway %s decides who else commands it" % chosen
        raise HostError("not_owned", text, "do it where `gatehouse gateway keys` says `owner`")
    return signer.gateway


@app.command("add")
def add(
    name: Name,
    via: Gateway,
    ops: Annotated[
        str, typer.Option("--ops", help="Operations, by comma (docs/operations.md), or * for all but the owner's own")
    ] = "lock,unlock,state",
    locks: Annotated[str, typer.Option("--locks", help="Locks, by comma: names, addresses or ids; * for all")] = ALL,
    unlock_per_min: Annotated[int | None, typer.Option("--unlock-per-min", min=1, max=10000)] = None,
    unlock_per_h: Annotated[int | None, typer.Option("--unlock-per-h", min=1, max=100000)] = None,
    other_per_min: Annotated[int | None, typer.Option("--other-per-min", min=1, max=10000)] = None,
    recorder: Annotated[
        bool, typer.Option("--recorder", help="It may also check records and acknowledge them to the gateway")
    ] = False,
    to: Annotated[str, typer.Option("--to", help="New file for that computer, readable by you only")] = "",
) -> None:
    """Let a further computer command a gateway; writes a file that `gatehouse issuer import` takes there."""
    with reporting():
        if not envelope.is_name(name) or name == envelope.OWNER:
            raise HostError("bad_request", "%r is no name for an issuer" % name, "1 to 16 of a-z, 0-9 and -")
        wanted = _listed(locks)
        given = {"unlock_per_min": unlock_per_min, "unlock_per_h": unlock_per_h, "other_per_min": other_per_min}
        args: dict[str, Any] = {"name": name, "ops": _listed(ops)}
        args["locks"] = wanted if wanted == ALL else [target(each)[0] for each in wanted]
        args["rates"] = {key: value for key, value in given.items() if value is not None}
        if not args["ops"] or not args["locks"]:
            raise HostError(
                "bad_request", "an issuer without operations or locks can do nothing", "give --ops, --locks"
            )

    async def work() -> tuple[Pinned, Path]:
        async with via.connect() as reach:
            chosen = await reach.choose(via.gateway)
            issuer = gateways.for_issuer(_as_owner(reach, chosen), name, recorder)
            path = Path(to) if to else common.private_path("issuer-%s-%s.json" % (name, chosen))
            write_private(path, gateways.to_file(issuer))  # before the gateway has the key: none must get lost
            try:
                with progress("gateway %s ..." % chosen):
                    await reach.command(chosen, None, "issuer_add", args | {"key": issuer.key}, secret=True)
            except Unknown:
                raise
            except HostError:
                path.unlink(missing_ok=True)
                raise
            return issuer, path

    issuer, path = run(work(), is_change=True)
    out.print("gateway %s takes commands of %s" % (issuer.label, name))
    common.err.print("wrote %s: whoever reads it can command as %s" % (path, name))
    out.print("take it to that computer, and there: gatehouse issuer import %s" % path.name)


@app.command("list")
def list_(via: Gateway, as_json: common.Json = False) -> None:
    """Who may command a gateway. Shows no key."""

    async def work() -> list[dict]:
        async with via.connect() as reach:
            chosen = await reach.choose(via.gateway)
            found = (await reach.command(chosen, None, "issuers")).get("data") or {}
            return [each for each in found.get("items") or [] if isinstance(each, dict)]

    rows = run(work())
    if as_json:
        out.print_json(data=rows)
        return
    table = Table("name", "operations", "locks", "rates")
    for each in rows:
        rates = each.get("rates")
        told = ", ".join("%s %s" % pair for pair in rates.items()) if isinstance(rates, dict) else ""
        table.add_row(str(each.get("name")), _words(each.get("ops")), _words(each.get("locks")), told)
    out.print(table if rows else "only its owner commands it")


def _words(value: object) -> str:
    if value == ALL:
        return "all"
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value or "")


@app.command("remove")
def remove(name: Name, via: Gateway) -> None:
    """Take a computer's right to command a gateway back, at once."""

    async def work() -> str:
        async with via.connect() as reach:
            chosen = await reach.choose(via.gateway)
            _as_owner(reach, chosen)
            await reach.command(chosen, None, "issuer_remove", {"name": name})
            return chosen

    out.print("gateway %s takes no more commands of %s" % (run(work(), is_change=True), name))


@app.command("import")
def import_(
    file: Annotated[str, typer.Argument(help='The file that `gatehouse issuer add` wrote; "-" reads standard input')],
    again: Annotated[bool, typer.Option("--replace", help="Overwrite a key that this computer has for it")] = False,
) -> None:
    """Command a gateway from this computer, as its owner has allowed."""
    with reporting():
        try:
            value = json_text.loads(common.read_text(file))
        except ValueError:
            raise HostError("bad_request", "%s is not JSON" % file, "give the file that `gatehouse issuer add` wrote")
        issuer = gateways.from_file(value)

        def put(known: Pinned | None) -> Pinned:
            if known is not None and known.is_pinned and known != replace(issuer, broker=known.broker) and not again:
                text = "this key book commands %s already, as %s" % (known.label, known.issuer)
                raise HostError("refused", text, "add --replace to give that key up")
            return issuer

        key_book().change_gateway(issuer.id, put)
    out.print("this computer commands gateway %s as %s" % (issuer.label, issuer.issuer))
    out.print("its key: %s; compare it with `gatehouse gateway keys` at the owner's" % fingerprint(issuer))
