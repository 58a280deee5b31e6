"""`gatehouse flash`, `provision` and `sim up`: boards on a cable, and boards that are only simulated."""

import contextlib
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from host_tools import json_text, screen
from host_tools.cli import common, gateways
from host_tools.cli.common import out, progress, reporting, run
from host_tools.cli.options import App
from host_tools.errors import HostError
from host_tools.gateway import brokers, client, tls
from host_tools.gateway.broker_address import TLS_PORT

UNSIGNED = "unsigned_unlock"
ANSWER_S = 20  # for its first retained messages, then for an answer
START_S = 90  # the same of a gateway that starts, finds its network and its broker

sim_app = App(no_args_is_help=True, help="The simulator.")


def flash(
    role: Annotated[str, typer.Argument(help="gateway or lock")],
    port: Annotated[str, typer.Argument(help="Serial port of the board, such as /dev/ttyACM0")],
) -> None:
    """Put the firmware of one role on a board that runs MicroPython; its settings stay."""
    from host_tools.boards import flash as flashing

    with reporting(), progress("flashing ..."):
        done = flashing.flash(role, port, lambda step: common.err.print("  %s" % step))
    out.print("%s answers on %s: version %s" % (done["role"], port, done["version"]))


def update(port: Annotated[str, typer.Argument(help="Serial port of the board, such as /dev/ttyACM0")]) -> None:
    """Give a board in use this version of its firmware; it goes back by itself if that does not work."""
    from host_tools.boards import update as updating

    with reporting(), progress("updating ..."):
        done = updating.update(port, lambda step: common.err.print("  %s" % step))
    slot = done["restart"]["slot"]
    out.print("%s on %s: version %s, in slot %s, has proved itself" % (done["role"], port, done["version"], slot))


def provision(
    name: Annotated[str, typer.Argument(metavar="NAME", help="With --ble: PROV_... of the gateway; else the one")] = "",
    port: Annotated[str, typer.Option("--port", help="Serial port of the board")] = "",
    ble: Annotated[bool, typer.Option("--ble", help="Over Bluetooth, a gateway in its add window")] = False,
    show_list: Annotated[bool, typer.Option("--list", help="With --ble: which gateways are in their window")] = False,
    pop_file: Annotated[
        str, typer.Option("--pop-file", help='With --ble: file with the proof of possession ("-" is standard input)')
    ] = "",
    file: Annotated[str, typer.Option("--file", help='Settings as JSON ("-" is standard input); else asked for')] = "",
    unsigned_unlock: Annotated[
        bool,
        typer.Option(
            "--unsigned-unlock",
            help="Let plain MQTT commands unlock (Home Assistant needs it, or a PIN: `gatehouse remote-pin`)",
        ),
    ] = False,
    insecure_broker: Annotated[
        bool, typer.Option("--insecure-broker", help="Allow a broker without TLS: anyone on the network can listen")
    ] = False,
    identity: Annotated[
        Path | None, typer.Option("--identity", help="Folder of this gateway that `gatehouse broker` made")
    ] = None,
    ca: Annotated[str, typer.Option("--ca", help="Who vouches for the broker: PEM or DER file, or system")] = "",
    cert: Annotated[str, typer.Option("--cert", help="Client certificate of the gateway, PEM or DER")] = "",
    key: Annotated[str, typer.Option("--key", help="Its private key, PEM or DER")] = "",
) -> None:
    """Make a gateway yours, over USB (--port) or Bluetooth (--ble), and give it its Wi-Fi and broker; ends when it
    answers over MQTT, or says where the way ends. The key that commands it is kept in the key book."""
    from host_tools.boards import board_files, serial_console

    with reporting():
        if bool(port) == ble or (not ble and (name or show_list or pop_file)):
            todo = "give --port PORT, or --ble and perhaps the gateway's name, a list, a proof of possession"
            raise HostError("bad_request", "over USB or over Bluetooth?", todo)
    if show_list:
        _list_windows()
        return
    with reporting():
        options = {"mqtt_ca": ca, "mqtt_cert": cert, "mqtt_key": key}
        known = {name: value for name, value in options.items() if value}
        if identity:
            text = common.read_text(str(identity / "settings.json"))
            known = board_files.located(serial_console.read_settings(text), identity) | known
        if file:
            given = serial_console.read_settings(common.read_text(file))
            settings = board_files.located(given, Path(file).parent) | known
        else:
            settings = _ask_settings(known, insecure_broker)
        if unsigned_unlock:
            settings["unsigned_unlock"] = True
        if insecure_broker:
            settings["insecure_broker"] = True
    ident, shown = _over_air(name, pop_file, settings) if ble else _over_usb(port, settings)
    with reporting(), progress("asking it over MQTT"):
        way = way_of_this_computer(settings, shown)
        if way is None:
            where = "starts with them: see its light" if ble else "is at its broker, over TLS"
            out.print("gateway %s has its settings and %s" % (ident, where))
            return
        run(ask_over_mqtt(ident, shown, way, START_S if ble else ANSWER_S), is_change=True)
    out.print("gateway %s has its settings and answers over MQTT" % ident)


def _over_usb(port: str, settings: dict) -> tuple[str, dict]:
    from host_tools.boards import provisioning

    with reporting(), progress("talking to the board ...") as step:
        about, shown = provisioning.provision(port, settings, gateways.owning, step)
    return str(about.get("id")), shown


def _over_air(name: str, pop_file: str, settings: dict) -> tuple[str, dict]:
    from host_tools.boards import provisioning, window

    with reporting():
        settings = provisioning.normal(settings)
    board = common.run_near("looking for the gateway ...", lambda step: window.choose(name))
    with reporting():
        pop = common.read_text(pop_file).strip() if pop_file else common.secret("proof of possession of " + board.name)

    async def work(step: Callable[[str], None]) -> window.Outcome:
        return await window.provision(board, pop, settings, gateways.owning, step)

    outcome = common.run_near("talking to %s ..." % board.name, work)
    return outcome.id, outcome.settings


def _list_windows() -> None:
    from host_tools.boards import window
    from host_tools.near import sightings

    found = common.run_near("listening ...", lambda step: window.find())
    table = screen.Table("name", "address", "strength")
    for each in found:
        table.add_row(each.name, each.address, sightings.strength(each.rssi_dbm))
    out.print(table if found else "no gateway is in its add window; press its button for three seconds, or power it")


def way_of_this_computer(given: dict, shown: dict) -> brokers.Broker | None:
    """How this computer reaches the gateway's broker; None where it would need an identity there that it has not."""
    host, port = shown["mqtt_host"], shown.get("mqtt_port", 1883)
    if not shown.get("mqtt_ca"):
        return brokers.Broker(host, port, None)  # as the gateway's own settings allow it
    with contextlib.suppress(HostError):
        own = brokers.choose()
        if own.tls and own.host == host:
            return own
    ca = str(given.get("mqtt_ca") or "")
    is_known = ca == tls.SYSTEM or Path(ca).is_file()
    return None if shown.get("mqtt_cert") or not is_known else brokers.Broker(host, port, tls.Tls(ca))


async def ask_over_mqtt(ident: str, settings: dict, broker: brokers.Broker, wait_s: float = ANSWER_S) -> None:
    """One question by the way that everybody takes. `settings` as written; a password of before is not known here."""
    user, password = settings.get("mqtt_user") or "", settings.get("mqtt_password")
    login = (user, password or "") if user and not isinstance(password, bool) and broker.user is None else None
    there = "the gateway is at its broker; "
    try:
        base = settings.get("mqtt_base") or "gatehouse"
        async with client.connect(broker, base, login, common.pins) as gateways:
            await gateways.command(await gateways.choose(ident, wait_s=wait_s), None, "ping", wait_s=wait_s)
    except HostError as error:
        silent = ("outcome_unknown", "no_answer", "unknown_gateway")
        if error.code in silent or error.code == "net" and "no gateway" in str(error):
            todo = "look at the broker's access rules for gatehouse/%s/#" % ident
            raise HostError("no_answer", there + "no answer comes over MQTT", todo)
        raise HostError(error.code, "%sthis computer could not ask it: %s" % (there, error), error.todo)


def _ask_settings(known: dict, insecure_broker: bool) -> dict:
    """Ask for what is not `known`."""
    if not screen.asks():
        raise HostError("bad_request", "nobody to ask for the settings", "give --file, or run this on a terminal")
    settings: dict = {"wifi_ssid": screen.ask("Wi-Fi network")}
    settings["wifi_password"] = common.secret("Wi-Fi password")
    settings |= known
    if "mqtt_host" not in known:
        settings["mqtt_host"] = screen.ask("broker (name or address)")
        settings["mqtt_port"] = screen.ask("broker port", default=1883 if insecure_broker else TLS_PORT, type=int)
    if "mqtt_ca" not in known and not insecure_broker:
        settings["mqtt_ca"] = screen.ask("authority of the broker (PEM or DER file, or system)", default=tls.SYSTEM)
        cert = screen.ask("client certificate (PEM or DER file; empty for none)", default="")
        if cert:
            settings |= {"mqtt_cert": cert, "mqtt_key": screen.ask("its private key (PEM or DER file)")}
    user = "" if settings.get("mqtt_cert") else screen.ask("broker user (empty for none)", default="")
    if user:
        settings["mqtt_user"] = user
        settings["mqtt_password"] = common.secret("broker password")
    name = screen.ask("name of the gateway", default="Gatehouse")
    return {**settings, "name": name}


@sim_app.command("up")
def up(
    file: Annotated[
        Path | None, typer.Argument(help="Site description in TOML (host_tools/sim/README.md); options go over it")
    ] = None,
    gateways: Annotated[int | None, typer.Option("--gateways", min=0, help="How many; without a file 1")] = None,
    locks: Annotated[int | None, typer.Option("--locks", min=0, help="How many; without a file 2")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One line of JSON first: where everything is")] = False,
    profile: Annotated[str | None, typer.Option("--profile", help="Air: ideal, home (default), bad, real")] = None,
    variant: Annotated[
        list[str] | None, typer.Option("--variant", help="Of real: bursts, constant-status, lost-answers; repeatable")
    ] = None,
    seed: Annotated[int | None, typer.Option("--seed", help="Repeat a run's draws of loss and delay")] = None,
    paired: Annotated[bool, typer.Option("--paired", help="Pair the locks and hand their keys to a gateway")] = False,
    unsigned: Annotated[
        bool | None,
        typer.Option(
            "--unsigned/--signed",
            help="Whether anybody at its broker may open the doors; with --json, for programs, yes; else no",
        ),
    ] = None,
) -> None:
    """Start a site (broker, virtual radio, gateways, locks) and stay until Ctrl-C."""
    from host_tools.sim.air.profiles import PROFILES
    from host_tools.sim.air.real import VARIANTS
    from host_tools.sim.site import site_file
    from host_tools.sim.site.run import run_site

    with reporting():
        spec, file_pairs = site_file.load(file) if file else (None, False)
        if profile not in (None, *PROFILES):
            raise HostError("bad_request", "no air profile %r" % profile, "there are " + ", ".join(PROFILES))
        for word in variant or ():
            if word not in VARIANTS:
                raise HostError("bad_request", "no variant %r" % word, "there are " + ", ".join(VARIANTS))
        given: dict[str, Any] = {"gateways": gateways, "locks": locks, "profile": profile, "seed": seed}
        given["variants"] = tuple(variant) if variant else None
        options = {key: value for key, value in given.items() if value is not None}
        screen.is_streaming()
        settings = spec.gateway_settings if spec else {}
        allowed = settings.get(UNSIGNED, as_json) if unsigned is None else unsigned
        options["gateway_settings"] = {**settings, UNSIGNED: allowed}
        try:
            run_site(as_json, paired or file_pairs, spec, **options)
        except KeyboardInterrupt:
            pass


@sim_app.command("run", context_settings={"ignore_unknown_options": True})
def run_on_air(
    program: Annotated[list[str], typer.Argument(help="-- PROGRAM ARGUMENTS: a .py file, -m MODULE, or a command")],
    air: Annotated[
        str,
        typer.Option("--air", envvar="GATEHOUSE_AIR", help="Of a running site, as it printed it; else one is started"),
    ] = "",
    site: Annotated[Path | None, typer.Option("--site", help="Description of the site to start")] = None,
    paired: Annotated[bool, typer.Option("--paired", help="Pair the locks of that site first")] = False,
) -> None:
    """Run any bleak program, unchanged, on the simulated air; exit status and output are the program's."""
    from host_tools.sim.site import run_program, site_file

    with reporting():
        spec, file_pairs = site_file.load(site) if site else (None, False)
        status = run_program.run_program(program, "" if site else air, spec, paired or file_pairs)
    raise typer.Exit(status)


@sim_app.command("panel")
def panel(
    port: Annotated[str, typer.Argument(help="HOST:PORT of a lock's panel, as the site printed it")],
    request: Annotated[str, typer.Argument(help='JSON, such as {"do":"touch"} or {"do":"keys","digits":"123456#"}')],
) -> None:
    """Touch a simulated lock: keys, door, battery, jam; prints what it answers."""
    with reporting():
        host, _, number = port.rpartition(":")
        try:
            json_text.loads(request)
            with socket.create_connection((host or "127.0.0.1", int(number)), 5) as line, line.makefile("rw") as stream:
                stream.write(request + "\n")
                stream.flush()
                answer = json_text.loads(stream.readline(json_text.MAX_BYTES))
        except OSError as error:
            raise HostError("link", "no panel at %s (%s)" % (port, error.strerror or error), "is the site still up?")
        except ValueError:
            raise HostError("bad_request", "not a request: HOST:PORT and one JSON object are needed")
    out.print_json(data=answer)
