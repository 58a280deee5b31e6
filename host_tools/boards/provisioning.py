"""Giving a gateway its settings over its serial console, and following it until it is at its broker, or naming where
the way there ends.

Owns what people write in a settings file (a URL for the broker, `host:port`, a name with umlauts) and the sentences for
the words of operations.md, "Connection". What a value may be is the gateway's own table
(`firmware.gateway.settings`), which is asked here before anything is sent.
"""

import time
from collections.abc import Callable
from typing import Any
from urllib.parse import unquote, urlsplit

from firmware.gateway.settings import TABLE
from host_tools.boards import board_files
from host_tools.boards.serial_console import SerialConsole
from host_tools.errors import HostError

_START_S = 30
_ASK_S = 15
_OWN_S = 60  # a board may make its key pair only now
_RESET_S = 120  # all of its flash is written over
_AGAIN_S = 0.5
_ON_BOARD = tuple(board_files.KEYS)  # paths on the board, which only the board can look at
_TWICE = 2  # attempts that end alike: one may be bad luck
_LIMIT_S = 240  # four time-outs of the slowest step

# (id, settings) -> what to ask on the console, and who takes the reply; the key book's business
Owns = Callable[[str, dict], tuple[dict, Callable[[dict], Any]]]

# Word of the gateway -> sentence and what to do; %(key)s are settings
STATES = {
    "wifi_name": (
        "no Wi-Fi network %(wifi_ssid)r is heard",
        "compare the name letter by letter; a gateway hears 2.4 GHz only; move it nearer to the access point",
    ),
    "wifi_password": (
        "the Wi-Fi network %(wifi_ssid)r does not accept the password",
        "write it anew; a network with WPA2 or WPA3, or an open one without a password, is needed",
    ),
    "wifi": ("the Wi-Fi network %(wifi_ssid)r does not let the gateway in", "look at the access point's own log"),
    "address": (
        "the Wi-Fi network %(wifi_ssid)r gives the gateway no IP address",
        "look at the router's DHCP server: is it on, and has it addresses left?",
    ),
    "broker_name": (
        "the name of the broker, %(mqtt_host)s, is not known in the gateway's network",
        "compare it letter by letter, or write the broker's address",
    ),
    "broker_refused": (
        "at %(mqtt_host)s, port %(mqtt_port)d, nothing takes the gateway's MQTT connection",
        "is the broker running, does it listen to the network, and is this its port without TLS?",
    ),
    "broker_silent": (
        "nothing answers at %(mqtt_host)s, port %(mqtt_port)d",
        "compare the address; is that computer on, and does its firewall let the port through?",
    ),
    "login": (
        "the broker does not accept the login of user %(mqtt_user)r",
        "compare mqtt_user and mqtt_password with the broker's password file",
    ),
    "tls_authority": (
        "the certificate of %(mqtt_host)s comes from an authority that the gateway does not trust",
        "give the certificate of the authority that issued it as mqtt_ca",
    ),
    "tls_name": (
        "the certificate of %(mqtt_host)s is for another name or address",
        "write mqtt_host as the certificate has it, or issue one with this name",
    ),
    "tls_time": (
        "the certificate of %(mqtt_host)s is not valid now, by the gateway's clock",
        "can the gateway reach a time server? else renew the broker's certificate",
    ),
    "tls_client": (
        "%(mqtt_host)s does not accept the gateway's client certificate, or wants one",
        "give the identity that the broker knows as mqtt_cert and mqtt_key",
    ),
    "tls_none": (
        "at %(mqtt_host)s, port %(mqtt_port)d, nothing speaks TLS 1.2 or newer",
        "is this the port with TLS? a plain one needs insecure_broker, and no mqtt_ca",
    ),
    "memory": (
        "the gateway has not enough memory for a connection to %(mqtt_host)s",
        "TLS needs a board with PSRAM, such as an ESP32-S3; see what to buy in the README",
    ),
    "broker_lost": (
        "the broker ends the gateway's connections again and again",
        "look at the broker's log; may this user subscribe below %(mqtt_base)s/, and is the gateway's id in use twice?",
    ),
}
UNDER_WAY = {"joining": "joining the Wi-Fi", "connecting": "connecting to the broker", "online": "at the broker"}


def normal(settings: dict) -> dict:
    """Settings as people write them -> as the gateway takes them. HostError `config` names every fault by its key."""
    settings = dict(settings)
    _split_host(settings)
    faults = TABLE.faults({key: settings[key] for key in settings if settings[key] is not None}, True)
    faults = [fault for fault in faults if fault.split(" ")[0] not in _ON_BOARD]
    if faults:
        raise HostError("config", "; ".join(faults), "correct these settings; nothing was written")
    return settings


def _split_host(settings: dict) -> None:
    host = settings.get("mqtt_host")
    if not isinstance(host, str) or host != host.strip():
        return
    found: dict = {}
    if "://" in host:
        host = _split_url(host, found)
    elif host.startswith("[") and "]:" in host and host.rpartition("]:")[2].isdigit():
        host, _, port = host.rpartition(":")
        found["mqtt_port"] = int(port)
    elif host.count(":") == 1 and host.split(":")[1].isdigit():
        host, _, port = host.partition(":")
        found["mqtt_port"] = int(port)
    if not host.isascii():
        try:
            host = host.encode("idna").decode()
        except UnicodeError:
            pass  # the table says what is wrong with it
    for key, value in found.items():
        if settings.get(key, value) != value:
            raise HostError("config", "mqtt_host and %s contradict each other" % key, "write the host alone")
        settings[key] = value
    settings["mqtt_host"] = host


def _split_url(url: str, found: dict) -> str:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise HostError("config", "mqtt_host is a URL that cannot be read", "write the name or the address alone")
    if parts.scheme not in ("mqtt", "mqtts", "tcp") or not parts.hostname or parts.path.strip("/") or parts.query:
        raise HostError("config", "mqtt_host is no URL of a broker", "write mqtt://HOST:PORT, or the host alone")
    if port is not None or parts.scheme == "mqtts":
        found["mqtt_port"] = 8883 if port is None else port
    if parts.username:
        found["mqtt_user"] = unquote(parts.username)
    if parts.password:
        found["mqtt_password"] = unquote(parts.password)
    return parts.hostname


def provision(
    port: str,
    settings: dict,
    owning: Owns | None = None,
    step: Callable[[str], None] = lambda text: None,
    limit_s: float = _LIMIT_S,
) -> tuple[dict, dict]:
    """Make the gateway on `port` its owner's (unless `owning` is None), write `settings`, start it anew, and wait until
    it is at its broker.

    -> (what it says of itself, its settings; of secrets only whether there is one). Raises HostError: `config` for what
    is refused, `owned` when it is somebody else's, else a word of `STATES`, or `link_timeout`.
    """
    settings = normal(settings)
    files = board_files.read(settings)
    console = SerialConsole(port, _START_S)
    try:
        about = _greeted(console)
        if owning is not None:
            step("making it yours")
            _own(console, about, settings, owning)
        settings |= board_files.send(console, files, step)
        accepted(console.ask({"do": "set", "settings": settings}, _ASK_S))
        shown = accepted(console.ask({"do": "settings"}, _ASK_S)).get("settings") or {}
        accepted(console.ask({"do": "reboot"}, _ASK_S))
        step("starting anew")
        watch = _Watch(shown, step)
        until_s = time.monotonic() + limit_s
        while time.monotonic() < until_s:
            try:
                if watch.is_there(console.ask({"do": "hello"}, _ASK_S, repeat=True)):
                    return about, {**shown, **{key: settings[key] for key in settings if settings[key] is not None}}
                time.sleep(_AGAIN_S)
            except HostError as error:
                if error.code != "link":
                    raise
                console.close()  # a board with a USB port of its own takes it along when it starts anew
                console = SerialConsole(port, _START_S)
        raise HostError("link_timeout", "the gateway has its settings, and is still %s" % watch.last, _LOG)
    finally:
        console.close()


def own(port: str, owning: Owns) -> str:
    """Make the gateway on `port` the owner's, as it is -> its id. HostError as `provision`."""
    with SerialConsole(port, _START_S) as console:
        about = _greeted(console)
        shown = accepted(console.ask({"do": "settings"}, _ASK_S)).get("settings") or {}
        _own(console, about, shown, owning)
        return str(about.get("id"))


def reset(port: str) -> str:
    """Erase the gateway on `port` -> its id. HostError."""
    with SerialConsole(port, _START_S) as console:
        about = _greeted(console)
        reply = console.ask({"do": "reset"}, _RESET_S)
        if not reply.get("ok"):
            raise HostError(str(reply.get("code") or "internal"), "the board refused: %s" % reply.get("msg"))
        return str(about.get("id"))


def proof(port: str) -> tuple[str, str]:
    """(name, proof of possession) of the gateway on `port`, for its add window over Bluetooth. HostError."""
    with SerialConsole(port, _START_S) as console:
        _greeted(console)
        reply = console.ask({"do": "pop"}, _ASK_S)
        if reply.get("code") == "busy":
            raise HostError("busy", "the gateway starts anew", "run this again")
        if not reply.get("ok"):
            raise HostError(
                "unsupported", "this gateway has no add window over Bluetooth", "flash its present firmware"
            )
        return str(reply.get("name")), str(reply.get("pop"))


def _greeted(console: SerialConsole) -> dict:
    about = console.ask({"do": "hello"}, _START_S, repeat=True)
    if about.get("role") != "gateway":
        todo = "flash it: ./flash.sh gateway %s" % console.port
        raise HostError("refused", "the board on %s is no gateway" % console.port, todo)
    return about


def _own(console: SerialConsole, about: dict, settings: dict, owning: Owns) -> None:
    request, settle = owning(str(about.get("id")), settings)
    settle(console.ask(request, _OWN_S))


_LOG = "look at its log on the serial port; `hello` on its console tells how far it comes"


class _Watch:
    """What a starting gateway says of its way to the broker. A failure counts when it has come twice."""

    def __init__(self, settings: dict, step: Callable[[str], None]) -> None:
        self.last = "starting"
        self._settings = {
            "wifi_ssid": "",
            "mqtt_host": "",
            "mqtt_port": 1883,
            "mqtt_user": "",
            "mqtt_base": "gatehouse",
        }
        self._settings.update(settings)
        self._step = step
        self._seen: dict[str, set[int]] = {}

    def is_there(self, reply: dict) -> bool:
        """Whether it is at its broker. HostError for where the way ends."""
        if reply.get("rebooting"):
            return False
        if reply.get("faults"):
            raise HostError("config", "; ".join(map(str, reply["faults"])), "correct these settings")
        now = reply.get("connection")
        if not isinstance(now, dict):
            raise HostError("unsupported", "this gateway does not say how far it comes", "flash its present firmware")
        word = str(now.get("state"))
        if word in STATES:
            sentence, todo = (text % self._settings for text in STATES[word])
            self._seen.setdefault(word, set()).add(int(now.get("failures") or 0))
            if len(self._seen[word]) >= _TWICE:
                raise HostError(word, "%s (%s)" % (sentence, now.get("msg")), todo)
            self._tell(sentence)
        else:
            self._tell(UNDER_WAY.get(word, word))
        return word == "online"

    def _tell(self, text: str) -> None:
        if text != self.last:
            self.last = text
            self._step(text)


def accepted(reply: dict) -> dict:
    if not reply.get("ok"):
        code = str(reply.get("code") or reply.get("error") or "internal")
        todo = "correct these settings; nothing was written"
        raise HostError(code, "the board refused: %s" % (reply.get("msg") or code), todo)
    return reply
