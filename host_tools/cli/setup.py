"""`gatehouse setup`: one dialogue from a board on a cable, or a gateway in its add window, to one that answers.

Owns the questions, their order, and the way back to the one whose answer did not work. What a value may be is the
gateway's own table; flashing and the doctor's look at a port are `host_tools.boards`' and `doctor`'s; cable and
Bluetooth are `setup_ways`'. What the board has already is offered, so that a dialogue that was cut off goes on.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import typer

from host_tools import screen
from host_tools.boards import board_files, networks, provisioning, serial_console
from host_tools.cli import boards, common
from host_tools.cli.common import out, progress, reporting, run
from host_tools.cli.setup_ways import Heard, OverAir, OverUsb, Way
from host_tools.doctor import port as of_port
from host_tools.errors import HostError
from host_tools.gateway import tls
from host_tools.gateway.broker_address import TLS_PORT

_STEPS = 5
_WIFI = ("wifi_name", "wifi_password", "wifi", "address")
_BROKER: tuple[str, ...] = (
    "broker_name",
    "broker_refused",
    "broker_silent",
    "broker_lost",
    "login",
    "tls_authority",
    "tls_name",
)
_BROKER += ("tls_time", "tls_client", "tls_none")
_ROUNDS = 12  # of the same questions


@dataclass
class Dialogue:
    """What has been answered: `given` on the command line, the rest on the way; `present` is what the board has."""

    given: dict
    is_sure: bool
    is_plain: bool  # without TLS
    present: dict = field(default_factory=dict)
    answers: dict = field(default_factory=dict)
    step: int = 0
    is_proven: bool = False  # it has answered over MQTT

    @property
    def asks(self) -> bool:
        return not self.is_sure and screen.asks()

    def head(self, text: str) -> None:
        """The next of the steps that a user sees."""
        self.step += 1
        out.print("%d of %d: %s" % (self.step, _STEPS, text), style="bold")

    def ask(self, key: str, what: str, option: str, default: Any = None, is_secret: bool = False) -> None:
        """Answer `key`: as it was given, else by asking until the gateway's table takes it. HostError `bad_request`
        where nobody can be asked and there is no default."""
        if key in self.given:
            self.answers[key] = self.given[key]
            return
        if not self.asks:
            if default is None:
                raise HostError(
                    "bad_request", "the %s is missing" % what, "give %s, or run this on a terminal" % option
                )
            self.answers[key] = default
            return
        while True:
            value = screen.ask(what, default=default, is_secret=is_secret, type=str)
            fault = faulty(key, value)
            if not fault:
                self.answers[key] = value
                return
            screen.err.print("that cannot be: %s" % fault, style="yellow")

    def forget(self, keys: tuple[str, ...]) -> None:
        """Ask for these anew."""
        for key in keys:
            self.given.pop(key, None)
            self.answers.pop(key, None)


def faulty(key: str, value: Any) -> str:
    """What is wrong with an answer, "" for nothing: by the table that `provision` asks, too."""
    try:
        board_files.read({key: value} if key in board_files.KEYS and value != tls.SYSTEM else {})
        provisioning.normal({key: value})
    except HostError as error:
        return str(error)
    return ""


def setup(
    port: Annotated[str, typer.Option("--port", help="Serial port of the board; else found, or asked for")] = "",
    ble: Annotated[bool, typer.Option("--ble", help="Over Bluetooth, a gateway in its add window")] = False,
    window: Annotated[str, typer.Option("--window", help="With --ble: PROV_..., where there are several")] = "",
    pop_file: Annotated[
        str, typer.Option("--pop-file", help='With --ble: file with its proof of possession ("-" is standard input)')
    ] = "",
    file: Annotated[str, typer.Option("--file", help='Settings as JSON ("-" is standard input), secrets too')] = "",
    ssid: Annotated[str, typer.Option("--ssid", help="Wi-Fi network")] = "",
    host: Annotated[
        str, typer.Option("--host", help="Broker of the gateway: name or address, perhaps with :port")
    ] = "",
    identity: Annotated[
        Path | None, typer.Option("--identity", help="Folder of this gateway that `gatehouse broker` made")
    ] = None,
    ca: Annotated[str, typer.Option("--ca", help="Who vouches for the broker: PEM or DER file, or system")] = "",
    insecure_broker: Annotated[
        bool, typer.Option("--insecure-broker", help="Allow a broker without TLS: anyone on the network can listen")
    ] = False,
    user: Annotated[str, typer.Option("--user", help="User at the broker; its password is asked for")] = "",
    name: Annotated[str, typer.Option("--name", help="What you call the gateway")] = "",
    yes: Annotated[bool, typer.Option("--yes", help="Ask nothing: all is given, or keeps its default")] = False,
) -> dict:
    """From a board on USB, or a gateway in its add window (--ble), to one that answers: find it, flash it if need be,
    ask for Wi-Fi, broker and name, write them, and prove that it works. Run again, it goes on."""
    began_s = time.monotonic()
    with reporting():
        given = {"wifi_ssid": ssid, "mqtt_host": host, "mqtt_ca": ca, "mqtt_user": user, "name": name}
        known = _from_files(file, identity) | {key: value for key, value in given.items() if value}
        talk = Dialogue(known, yes, insecure_broker or bool(known.get("insecure_broker")))
        talk.head("the board")
        way: Way = _over_air(talk, window, pop_file) if ble else OverUsb(_board(talk, port))
        ident = _worked(talk, way)
        way.show_code()
    seconds = round(time.monotonic() - began_s)
    out.print("gateway %s (%s) works: %d steps, %d s" % (talk.answers.get("name") or "", ident, talk.step, seconds))
    out.print("next: gatehouse pair, beside a lock; then gatehouse unlock")
    return {
        "ok": True,
        "id": ident,
        "port": getattr(way, "port", None),
        "steps": talk.step,
        "seconds": seconds,
        "tls": not talk.is_plain,
        "answers": talk.is_proven,
    }


def _from_files(file: str, identity: Path | None) -> dict:
    known: dict = {}
    if file:
        values = serial_console.read_settings(common.read_text(file))
        known |= board_files.located(values, Path(file).parent)
    if identity:
        text = common.read_text(str(identity / "settings.json"))
        known |= board_files.located(serial_console.read_settings(text), identity)
    return known


# --- the board


def _board(talk: Dialogue, port: str) -> str:
    """The port with a gateway's firmware on it, flashed if need be."""
    chosen = port or _port(talk)
    with progress("looking at %s ..." % chosen) as step:
        found = of_port.look(chosen, step)
    judged = of_port.judge(chosen, found)
    hello = found["hello"]
    if hello.get("role") == "lock":
        raise HostError("refused", "the board on %s is a lock" % chosen, "erase it first, or choose another port")
    if not hello and not found["repl"]:
        worst = next(each for each in judged.rows if each.severity == "error")
        raise HostError("link", worst.finding, worst.advice)
    if not hello:
        _flash(talk, chosen, "there is no firmware on it")
    elif of_port.is_behind(hello.get("version")):
        _flash(talk, chosen, "its firmware is of version %s" % hello.get("version"))
    else:
        out.print("a gateway on %s, version %s" % (chosen, hello.get("version")))
    return chosen


def _port(talk: Dialogue) -> str:
    found = networks.ports()
    if not found:
        todo = "plug it in with a cable that carries data, or say where it is: --port"
        raise HostError("link", "no board on any USB port of this computer", todo)
    if len(found) == 1:
        return found[0][0]
    listed = ", ".join(each for each, _ in found)
    if not talk.asks:
        raise HostError("bad_request", "there are several boards: %s" % listed, "choose one with --port")
    return found[_choose("Which board?", ["%s  %s" % each for each in found])][0]


def _flash(talk: Dialogue, port: str, why: str) -> None:
    out.print("%s: %s" % (port, why))
    if talk.asks and not screen.confirm("put this version of the gateway on it?", default=True):
        raise HostError("cancelled", "not confirmed; nothing was done")
    from host_tools.boards import flash  # needs the extra `flash`

    with progress("flashing ...") as step:
        flash.flash("gateway", port, step)
    out.print("flashed")


def _choose(question: str, rows: list[str]) -> int:
    """The place of the row that is chosen by its number."""
    for place, row in enumerate(rows):
        out.print("%3d  %s" % (place + 1, row))
    while True:
        said = str(screen.ask(question, default="1", type=str))
        if said.isascii() and said.isdigit() and 1 <= int(said) <= len(rows):
            return int(said) - 1
        screen.err.print("a number from 1 to %d is needed" % len(rows), style="yellow")


def _over_air(talk: Dialogue, name: str, pop_file: str) -> OverAir:
    """The gateway in its window, with its proof of possession."""

    def proof(title: str) -> str:
        if pop_file:
            return common.read_text(pop_file).strip()
        if not talk.asks:
            raise HostError("bad_request", "the proof of possession is missing", "give --pop-file")
        return str(screen.ask("proof of possession of %s" % title, is_secret=True))

    made = OverAir(name, proof)
    out.print("gateway %s" % made.name)
    return made


# --- questions


def _worked(talk: Dialogue, way: Way) -> str:
    """Ask, write, and follow it to the broker; a failure leads back to the question that it belongs to."""
    talk.present = way.present()
    talk.head("the Wi-Fi")
    _ask_wifi(talk, way)
    talk.head("the broker")
    _ask_broker(talk)
    talk.head("its name")
    talk.ask("name", "name of the gateway", "--name", talk.present.get("name") or "Gatehouse")
    talk.head("setting it up")
    for left in reversed(range(_ROUNDS)):
        try:
            return _provision(talk, way)
        except HostError as error:
            if not (left and talk.asks):
                raise
            again: Callable[[], None]
            keys: tuple[str, ...]
            if error.code in _WIFI:
                keys = ("wifi_password",) if error.code == "wifi_password" else ("wifi_ssid", "wifi_password")
                again = lambda: _ask_wifi(talk, way)  # noqa: E731
            elif error.code in _BROKER:
                keys = (
                    ("mqtt_user", "mqtt_password") if error.code == "login" else ("mqtt_host", "mqtt_port", "mqtt_ca")
                )
                again = lambda: _ask_broker(talk)  # noqa: E731
            else:
                raise
            screen.err.print(error.line(), style="bold red")
            talk.forget(keys)
            talk.present = {key: value for key, value in talk.present.items() if key not in keys}
            again()
    raise AssertionError


def _ask_wifi(talk: Dialogue, way: Way) -> None:
    heard: list[Heard] = []
    if "wifi_ssid" not in talk.answers:
        if "wifi_ssid" not in talk.given and talk.asks:
            heard = way.heard()
        if heard:
            rows = [each.line for each in heard] + ["another one"]
            at = _choose("Which network?", rows)
            if at < len(heard):
                talk.given["wifi_ssid"] = heard[at].ssid
        talk.ask("wifi_ssid", "name of the network", "--ssid", talk.present.get("wifi_ssid"))
    if "wifi_password" in talk.answers:
        return
    ssid = talk.answers["wifi_ssid"]
    is_open = any(each.ssid == ssid and each.is_open for each in heard)
    is_kept = talk.present.get("wifi_password") is True and talk.present.get("wifi_ssid") == ssid
    if "wifi_password" in talk.given or not (is_open or is_kept):
        default = None if talk.asks else ""
        talk.ask("wifi_password", "password of %s" % ssid, "--file", default, is_secret=True)
    elif is_open:
        talk.answers["wifi_password"] = ""


def _ask_broker(talk: Dialogue) -> None:
    if "mqtt_host" not in talk.answers:
        talk.ask("mqtt_host", "broker (name or address, perhaps with :port)", "--host", talk.present.get("mqtt_host"))
        _settle_port(talk)
    if talk.is_plain:
        talk.answers["insecure_broker"] = True
    elif "mqtt_ca" not in talk.answers:
        default = "" if str(talk.present.get("mqtt_ca") or "") else tls.SYSTEM
        talk.ask("mqtt_ca", "authority of the broker (PEM or DER file, or system)", "--ca", default or tls.SYSTEM)
    for key in ("mqtt_cert", "mqtt_key"):
        if key in talk.given:
            talk.answers[key] = talk.given[key]
    if "mqtt_cert" in talk.answers or "mqtt_user" in talk.answers:
        return
    talk.ask("mqtt_user", "user at the broker (empty for none)", "--user", talk.present.get("mqtt_user") or "")
    if talk.answers["mqtt_user"]:
        is_kept = (
            talk.present.get("mqtt_password") is True and talk.present.get("mqtt_user") == talk.answers["mqtt_user"]
        )
        if "mqtt_password" in talk.given or not is_kept:
            talk.ask("mqtt_password", "its password", "--file", None, is_secret=True)


def _settle_port(talk: Dialogue) -> None:
    """Host and port apart; where no port was said, that of MQTT with or without TLS."""
    settings = provisioning.normal({"mqtt_host": talk.answers["mqtt_host"]})
    talk.answers["mqtt_host"] = settings["mqtt_host"]
    port = talk.given.get("mqtt_port") or settings.get("mqtt_port")
    if port is None and talk.present.get("mqtt_host") == settings["mqtt_host"]:
        port = talk.present.get("mqtt_port")
    talk.answers["mqtt_port"] = port or (1883 if talk.is_plain else TLS_PORT)


# --- the work


def _provision(talk: Dialogue, way: Way) -> str:
    others = {key: value for key, value in talk.given.items() if key not in talk.answers}
    settings = {key: value for key, value in (others | talk.answers).items() if value != "" or key == "wifi_password"}
    if talk.is_plain:
        settings |= {key: None for key in board_files.KEYS}
    if not talk.answers.get("mqtt_user") and "mqtt_cert" not in settings:
        settings |= {"mqtt_user": None, "mqtt_password": None}
    ident, shown = way.provision(provisioning.normal(settings))
    broker = boards.way_of_this_computer(settings, shown)
    if talk.step < _STEPS:
        talk.head("asking it over MQTT")
    is_unknown = broker is not None and broker.user is None and shown.get("mqtt_password") is True
    if broker is None or is_unknown:
        lack = "the password there" if is_unknown else "an identity there"
        out.print("it is at its broker; this computer has not %s to ask it with" % lack)
        return ident
    talk.is_proven = True
    with progress("asking it over MQTT ..."):
        run(boards.ask_over_mqtt(ident, shown, broker, way.wait_s), is_change=True)
    return ident
