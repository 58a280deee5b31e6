"""`gatehouse gateway`: which gateways are at the broker, which of them the key book commands, and what is done to one
on a cable."""

import asyncio
import hashlib
from collections.abc import Callable
from typing import Annotated

import typer

from host_tools import screen, text
from host_tools.cli import common, completion
from host_tools.cli.common import key_book, out, progress, reporting, run
from host_tools.cli.options import App
from host_tools.cli.reach import Broker
from host_tools.gateway.broker_address import PORT, BrokerAddress
from host_tools.owner.gateways import Gateway
from host_tools.owner.owning import Owning
from host_tools.screen import Table, styled

_LOOK_S = 1.5  # for retained messages

app = App(no_args_is_help=True, help="The gateways at a broker, and those whose key is pinned in the key book.")

Which = Annotated[str, typer.Argument(metavar="GATEWAY", help="Its id or its name, as in `gatehouse gateway keys`")]
Port = Annotated[str, typer.Option("--port", help="Serial port of the board, such as /dev/ttyACM0")]


def facts(gateway: Gateway) -> dict:
    """What is known of a gateway, without a secret."""
    return {
        "id": gateway.id,
        "name": gateway.name,
        "issuer": gateway.issuer,
        "public_key": gateway.public or None,
        "fingerprint": fingerprint(gateway) if gateway.public else None,
        "records": gateway.record_key is not None,
        "broker": gateway.broker or None,
        "base": gateway.base or None,
        "simulated": gateway.simulated,
    }


def fingerprint(gateway: Gateway) -> str:
    """Sixteen hex digits by which people tell a public key."""
    return hashlib.sha256(bytes.fromhex(gateway.public)).hexdigest()[:16]


def find(which: str) -> Gateway:
    """The gateway of the key book with this id or name. HostError."""
    return text.pick(
        which,
        key_book().gateways(),
        lambda each: (each.id, each.name) if each.name else (each.id,),
        lambda each: each.label,
        "a gateway in the key book",
        "unknown_gateway",
        "see `gatehouse gateway keys`",
    )


def owning(ident: str, settings: dict) -> tuple[dict, Callable[[dict], Gateway]]:
    """For `boards.provisioning`: what to say to a gateway on a cable so that it is the key book's owner's."""
    host, port = settings.get("mqtt_host"), settings.get("mqtt_port")
    more = {"name": settings.get("name") or "", "base": settings.get("mqtt_base") or "gatehouse"}
    if host:
        more["broker"] = str(BrokerAddress(host, port or PORT))
    begun = Owning(key_book(), ident, **more)
    return begun.request(), begun.settle


@app.command("list")
def list_(via: Broker, as_json: common.Json = False) -> None:
    """Every gateway that has been at the broker: name, id, whether it is online, version, how many locks, and as whom
    this computer commands it."""

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
                    "issuer": gateways.issuer(ident),
                }
                for ident in sorted(set(gateways.info) | set(gateways.online))
            ]

    rows = run(work())
    completion.remember({each["id"]: each["name"] for each in rows})
    if as_json:
        out.print_json(rows)
        return
    table = Table("name", "id", "", "version", "locks", "yours as")
    for each in rows:
        state = ("online", "green") if each["online"] else ("unknown" if each["online"] is None else "offline", "red")
        table.add_row(each["name"], each["id"], styled(state), each["version"], len(each["locks"]), each["issuer"])
    out.print(table if rows else "no gateway has been at this broker")


@app.command("keys")
def keys(as_json: common.Json = False) -> None:
    """Gateways that this key book commands. Shows no secret."""
    with reporting():
        known = key_book().gateways()
    if as_json:
        out.print_json(data=[facts(each) for each in known])
        return
    if not known:
        out.print("no gateways in %s; `gatehouse provision` or `gatehouse issuer import` adds one" % key_book().path)
        return
    table = Table("name", "id", "issuer", "its key", "records", "broker")
    for each in known:
        key = fingerprint(each) if each.public else "not known: provision it again"
        records = "proven" if each.record_key else "not proven"
        table.add_row(each.name, each.id, each.issuer, key, records, each.broker)
    out.print(table)


@app.command("show")
def show(which: Which, as_json: common.Json = False) -> None:
    """What is known of one gateway. Shows no secret."""
    with reporting():
        gateway = find(which)
    common.show(gateway.label, facts(gateway), as_json)


@app.command("own")
def own(port: Port) -> None:
    """Make a gateway on a cable yours; its settings stay. For one that was provisioned by an older version."""
    from host_tools.boards import provisioning

    with reporting(), progress("talking to the board ..."):
        ident = provisioning.own(port, owning)
        gateway = find(ident)
    out.print("gateway %s is yours; its key %s is pinned" % (gateway.label, fingerprint(gateway)))


@app.command("pop")
def pop(
    port: Port,
    svg: Annotated[
        str, typer.Option("--svg", metavar="FILE", help="Write the QR code there, to print as a label")
    ] = "",
    as_json: common.Json = False,
) -> None:
    """Show what a phone or `provision --ble` needs for a gateway in its add window: its name, its proof of possession,
    and both as the QR code that Espressif's apps read. Keep it as you keep a password; it holds until a reset."""
    from host_tools.boards import provisioning, window

    with reporting(), progress("talking to the board ..."):
        name, proof = provisioning.proof(port)
        code = window.qr_text(name, proof)
        if svg:
            window.write_svg(code, svg)
    if as_json:
        out.print_json(data={"name": name, "pop": proof, "qr": code})
        return
    common.show(name, {"proof of possession": proof, "QR code holds": code})
    if out.is_terminal:
        for line in window.qr_lines(code):
            out.print(line)


@app.command("reset")
def reset(port: Port, yes: Annotated[bool, typer.Option("--yes", help="Do not ask")] = False) -> None:
    """Erase a gateway on a cable: owner, settings, keys of locks, what waits. The key book keeps its own."""
    from host_tools.boards import provisioning

    if not yes:
        screen.confirm("erase the gateway on %s with all it knows?" % port, abort=True)
    with reporting(), progress("talking to the board ..."):
        ident = provisioning.reset(port)
    out.print("gateway %s is nobody's; give it to its next owner with `gatehouse provision`" % ident)


@app.command("remove")
def remove(which: Which, yes: Annotated[bool, typer.Option("--yes", help="Do not ask")] = False) -> None:
    """Drop a gateway from the key book. Who has no other copy of its owner's key must erase it over USB then."""
    with reporting():
        gateway = find(which)
        if not yes:
            screen.confirm("drop the key that commands %s for ever?" % gateway.label, abort=True)
        key_book().change_gateway(gateway.id, lambda known: None)
    out.print("dropped %s" % gateway.label)
