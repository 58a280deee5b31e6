"""`gatehouse broker`: a broker of one's own: private authority, an identity for each client, access rules."""

from pathlib import Path
from typing import Annotated

import typer

from host_tools.broker import files
from host_tools.broker.authority import AUTHORITY, BROKER, NEAR_DAYS, ROLES, Authority, Plan
from host_tools.cli.common import out, reporting, warn
from host_tools.cli.options import App
from host_tools.gateway.broker_address import TLS_PORT
from host_tools.screen import Table

app = App(no_args_is_help=True, help="A broker of your own: certificates, identities, access rules for mosquitto.")

Folder = Annotated[Path, typer.Option("--dir", help="Folder that `gatehouse broker init` made")]


def _gateways(names: list[str]) -> list[str]:
    return [name.replace(":", "").lower() for name in names]


@app.command("init")
def init(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="New folder; keep it where only you can read it")],
    name: Annotated[
        list[str],
        typer.Option("--name", help="Name or address of the broker; repeatable, clients use the first"),
    ],
    gateway: Annotated[list[str] | None, typer.Option("--gateway", help="Id of a gateway; repeatable")] = None,
    controller: Annotated[
        list[str] | None, typer.Option("--controller", help="Who commands: a computer, Home Assistant; default owner")
    ] = None,
    recorder: Annotated[
        list[str] | None, typer.Option("--recorder", help="Who stores records; default recorder")
    ] = None,
    service: Annotated[
        list[str] | None, typer.Option("--service", help="A service (`gatehouse serve`); repeatable, default none")
    ] = None,
    port: Annotated[
        int, typer.Option("--port", min=1, max=65534, help="Of gateways; everybody else has the next one")
    ] = TLS_PORT,
    base: Annotated[str, typer.Option("--base", help="First level of the topics")] = "gatehouse",
    installed: Annotated[
        str, typer.Option("--installed", help="Where the folder DIR/broker will lie on the broker's computer")
    ] = "",
    listen: Annotated[str, typer.Option("--listen", help="Address at which the broker listens; default all")] = "",
) -> dict:
    """Make a private authority, the broker's certificate, one identity per client, and mosquitto's configuration."""
    with reporting():
        wanted = [(each, "gateway") for each in _gateways(gateway or [])]
        wanted += [(each, "controller") for each in (["owner"] if controller is None else controller)]
        wanted += [(each, "recorder") for each in (["recorder"] if recorder is None else recorder)]
        wanted += [(each, "service") for each in service or []]
        authority = Authority.create(folder, Plan(list(name), port, base, installed, listen), wanted)
        files.write_all(authority)
    out.print("%s: authority, broker's certificate, and %d identities" % (folder, len(wanted)))
    out.print("next: copy %s/broker to the broker's computer, readable by mosquitto only, and" % folder)
    out.print("  drop its gatehouse.conf into /etc/mosquitto/conf.d/; keep %s/ca for yourself" % folder)
    return _described(authority)


@app.command("add")
def add(
    name: Annotated[str, typer.Argument(help="Id of a gateway, or a name of a-z, 0-9 and -")],
    role: Annotated[str, typer.Option("--role", help="gateway, controller, recorder or service")] = "controller",
    folder: Folder = Path("."),
) -> dict:
    """Make an identity for one more client; the broker takes up the new access rules when it reloads (SIGHUP)."""
    with reporting():
        authority = Authority.open(folder)
        made = authority.add(_gateways([name])[0] if role == "gateway" else name, role)
        files.write_all(authority)
    out.print("%s: certificate and key of %s" % (made, name))
    out.print("next: copy %s/broker to the broker again, then: systemctl reload mosquitto" % folder)
    _warn_of_ends(authority, folder)
    return {"name": made.name, "role": role, "folder": str(made)}


@app.command("remove")
def remove(
    name: Annotated[str, typer.Argument(help="Whose identity is taken back")],
    folder: Folder = Path("."),
) -> dict:
    """Take an identity back: its certificate is revoked, it has no rights any more."""
    with reporting():
        authority = Authority.open(folder)
        authority.remove(name)
        files.write_all(authority)
    out.print("%s has no rights any more once the broker has the new folder %s/broker" % (name, folder))
    out.print("and is started anew: a connection that stands is not ended by a list of revoked certificates")
    _warn_of_ends(authority, folder)
    return _described(authority)


@app.command("renew")
def renew(
    name: Annotated[
        list[str] | None,
        typer.Argument(help="Whose; default all whose certificate ends soon. broker: the broker's own"),
    ] = None,
    days: Annotated[int, typer.Option("--days", min=0, help="How soon, in days")] = NEAR_DAYS,
    folder: Folder = Path("."),
) -> dict:
    """Make new certificates, for the same keys, in place of those that end soon; the old ones hold to their end."""
    with reporting():
        authority = Authority.open(folder)
        named = [BROKER if each == "broker" and authority.plan.find(each) is None else each for each in name or []]
        renewed = named or authority.near_end(days)
        authority.renew(renewed)
        files.write_all(authority)
    ends = authority.ends()
    for who in renewed:
        out.print("%s: a certificate to %s" % (who, ends[who].date()))
    if not renewed:
        out.print("no certificate ends within %d days" % days)
    if AUTHORITY in renewed or BROKER in renewed:
        out.print("next: copy %s/broker to the broker again, then: systemctl restart mosquitto" % folder)
    for each in authority.plan.identities:
        if each.name in renewed and each.role == "gateway":
            place = folder / "identities" / each.name
            out.print("next: gatehouse provision --port PORT --identity %s" % place)
        elif each.name in renewed:
            out.print("next: copy %s to where %s has it" % (folder / "identities" / each.name, each.name))
    return {"renewed": renewed, **_described(authority)}


@app.command("list")
def show(folder: Folder = Path(".")) -> dict:
    """Who has an identity, until when, and which names the broker has."""
    with reporting():
        authority = Authority.open(folder)
        ends = authority.ends()
    roles = {AUTHORITY: "", BROKER: ", ".join(authority.plan.hosts)}
    roles |= {each.name: each.role for each in authority.plan.identities}
    table = Table("name", "role", "until")
    for each, end in ends.items():
        table.add_row(each, roles[each], str(end.date()))
    out.print(table)
    _warn_of_ends(authority, folder)
    return _described(authority)


def _warn_of_ends(authority: Authority, folder: Path) -> None:
    ends = authority.ends()
    for each in authority.near_end():
        warn("the certificate of %s ends on %s: gatehouse broker renew --dir %s" % (each, ends[each].date(), folder))


def _described(authority: Authority) -> dict:
    plan = authority.plan
    return {
        "names": plan.hosts,
        "ports": {"gateway": plan.port, **{role: plan.port + 1 for role in ROLES if role != "gateway"}},
        "base": plan.base,
        "identities": [{"name": each.name, "role": each.role} for each in plan.identities],
        "until": {name: end.isoformat() for name, end in authority.ends().items()},
    }
