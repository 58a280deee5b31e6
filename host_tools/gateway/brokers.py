"""Which broker a command uses, and by what right: options, environment, configuration file.

Owns ~/.config/gatehouse/config.toml (GATEHOUSE_CONFIG) and the order: an option goes over the environment, and that
over the file. A broker of the file is used whole: nothing of the environment is laid over it, so that a password of one
broker never goes to another. Without TLS only where the owner says so, for this very broker, or where it is a
simulator's on this computer. Leaves the connection to `client`, certificates to `tls`.

    default = "home"
    [brokers.home]
    host = "broker.home"               # as `broker_address` reads it; `port` may stand apart
    ca = "ca.pem"                      # PEM or DER, seen from this file's folder; "system" (default)
    cert = "owner.pem"
    key = "owner-key.pem"
    user = "owner"
    password_file = "password"         # or password_env = "NAME"
    insecure = false                   # true: no TLS
"""

import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from host_tools.errors import HostError
from host_tools.gateway import broker_address, local_brokers
from host_tools.gateway.broker_address import TLS_PORT, BrokerAddress
from host_tools.gateway.tls import SYSTEM, Tls
from host_tools.owner import places

ENVIRONMENT = "GATEHOUSE_MQTT"
KEYS = {"host": str, "port": int, "ca": str, "cert": str, "key": str, "user": str, "insecure": bool}
KEYS |= {"password_file": str, "password_env": str}
_TRUE, _FALSE = ("1", "true", "yes", "on"), ("", "0", "false", "no", "off")
_PLAIN_TODO = (
    "where the broker has TLS, write mqtts://; where it has none, and you trust everybody on the way to it, say "
    "--insecure-broker, GATEHOUSE_MQTT_INSECURE=1, or insecure = true in the configuration"
)


@dataclass(frozen=True)
class Given:
    """The options of one command; "" and False where they were not written."""

    broker: str = ""
    ca: str = ""
    cert: str = ""
    key: str = ""
    insecure: bool = False


@dataclass(frozen=True)
class Broker:
    """`tls` is None for a plain connection, which the owner has allowed then."""

    host: str
    port: int
    tls: Tls | None
    user: str | None = None
    password: str | None = None

    def __str__(self) -> str:
        return str(BrokerAddress(self.host, self.port))

    __repr__ = __str__  # a password stays out of messages


def choose(given: Given | str = "", environ: Mapping[str, str] = os.environ) -> Broker:
    """The broker of a command. Raises HostError, code `config`, for what is missing, wrong or contradicts itself."""
    if isinstance(given, str):
        given = Given(given)
    file = _File(places.config())
    name = given.broker or environ.get(ENVIRONMENT) or file.default
    if name in file.brokers:
        return _of_file(file, name, given)
    address = broker_address.read(name or "localhost")
    if given.broker and address.password is not None:
        todo = "put it into a file, and its name into $GATEHOUSE_MQTT_PASSWORD_FILE"
        raise HostError("config", "a password on the command line is seen by others", todo)
    files = [environ.get(name, "") for name in ("GATEHOUSE_MQTT_CA", "GATEHOUSE_MQTT_CERT", "GATEHOUSE_MQTT_KEY")]
    allowed = _flag(environ, "GATEHOUSE_MQTT_INSECURE")
    user = environ.get("GATEHOUSE_MQTT_USER", address.user)
    return _made(address, given, files, allowed, (user, _password(environ) or address.password))


def _of_file(file: "_File", name: str, given: Given) -> Broker:
    return _of_row(file, "brokers.%s" % name, file.brokers[name], given)


def of_row(row: Mapping[str, Any], folder: Path, name: str = "broker") -> Broker:
    """The broker that a table of another configuration describes, with the keys and kinds of `KEYS`; its files are seen
    from `folder`. HostError `config`."""
    return _of_row(_Place(folder / "the configuration"), name, row, Given())


def _of_row(file: "_Place", name: str, row: Mapping[str, Any], given: Given) -> Broker:
    address = broker_address.read(row["host"])
    if "port" in row:
        if address.has_port and address.port != row["port"]:
            raise file.wrong("%s: host and port contradict each other" % name)
        address = BrokerAddress(address.host, row["port"], address.user, address.password, address.is_tls, True)
    if address.password is not None:
        raise file.wrong("%s: a password does not belong here; give password_file or password_env" % name)
    files = [file.path_of(row.get(part, "")) for part in ("ca", "cert", "key")]
    password = None
    if "password_file" in row:
        password = _from_file(file.path_of(row["password_file"]))
    elif "password_env" in row:
        password = os.environ.get(row["password_env"])
        if password is None:
            raise file.wrong("%s: $%s is not set" % (name, row["password_env"]))
    allowed = row.get("insecure", False)
    if allowed and (address.is_tls or any(files)):
        raise file.wrong("%s: insecure contradicts mqtts:// and certificates" % name)
    return _made(address, given, files, allowed, (row.get("user", address.user), password))


def _made(
    address: BrokerAddress, given: Given, files: list[str], allowed: bool, login: tuple[str | None, str | None]
) -> Broker:
    """What was said for this command goes over `files` and `allowed`, which hold in general."""
    said = [given.ca, given.cert, given.key]
    if given.insecure and (any(said) or address.is_tls):
        raise HostError("config", "an insecure broker contradicts mqtts:// and certificates", "say one of them")
    is_free = given.insecure or local_brokers.is_simulated(address.host, address.port)
    is_tls = address.is_tls
    if is_tls is None:
        is_tls = any(said) or (not is_free and (any(files) or not allowed))
    if is_tls:
        ca, cert, key = (one or other for one, other in zip(said, files, strict=True))
        port = address.port if address.has_port else TLS_PORT
        return Broker(address.host, port, Tls(ca or SYSTEM, cert, key), *login)
    if any(said):
        raise HostError("config", "certificates are of no use on a connection without TLS", "write mqtts://")
    if not (is_free or allowed):
        raise HostError("config", "the broker %s would be used without TLS" % address, _PLAIN_TODO)
    return Broker(address.host, address.port, None, *login)


class _Place:
    """Where a configuration stands: other files are seen from there, and what is wrong with it names it."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def path_of(self, text: str) -> str:
        """A file as written here -> as this process finds it."""
        if text in ("", SYSTEM):
            return text
        return str(self._path.parent / Path(text).expanduser())

    def wrong(self, text: str) -> HostError:
        return HostError("config", "%s: %s" % (self._path, text), "correct it; docs/networks.md has an example")


class _File(_Place):
    """The configuration, checked whole. What does not exist is empty."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.default = ""
        self.brokers: dict[str, dict[str, Any]] = {}
        try:
            values = tomllib.loads(path.read_bytes().decode("utf-8-sig"))
        except FileNotFoundError:
            if os.environ.get(places.CONFIG):
                raise self.wrong("there is no such file")
            return
        except OSError as error:
            raise self.wrong(error.strerror or "cannot be read")
        except ValueError as error:  # of UTF-8 and of TOML, which names the line
            raise self.wrong("it is no TOML: %s" % error)
        self._check(values)

    def _check(self, values: dict) -> None:
        for key in values:
            if key not in ("default", "brokers"):
                raise self.wrong("no setting is called %r" % key)
        brokers, default = values.get("brokers", {}), values.get("default", "")
        if not isinstance(brokers, dict) or not isinstance(default, str):
            raise self.wrong('default is a name, and each broker a table: [brokers.NAME] with host = "..."')
        for name, row in brokers.items():
            if not isinstance(row, dict):
                raise self.wrong("brokers.%s is no table" % name)
            for key, value in row.items():
                if key == "password":
                    raise self.wrong("brokers.%s: a password stands apart: password_file or password_env" % name)
                if key not in KEYS:
                    raise self.wrong("brokers.%s: no setting is called %r" % (name, key))
                if not isinstance(value, KEYS[key]) or (isinstance(value, bool) and KEYS[key] is int):
                    raise self.wrong("brokers.%s: %s is of the wrong kind" % (name, key))
            if not row.get("host"):
                raise self.wrong("brokers.%s has no host" % name)
            if not 0 < row.get("port", 1) < 65536:
                raise self.wrong("brokers.%s: port is not between 1 and 65535" % name)
        if default and default not in brokers:
            raise self.wrong("default names no broker of this file")
        self.brokers = brokers
        self.default = default or (next(iter(brokers)) if len(brokers) == 1 else "")


def _flag(environ: Mapping[str, str], name: str) -> bool:
    value = environ.get(name, "").strip().lower()
    if value not in _TRUE + _FALSE:
        raise HostError("config", "%s is neither 1 nor 0" % name)
    return value in _TRUE


def _password(environ: Mapping[str, str]) -> str | None:
    path = environ.get("GATEHOUSE_MQTT_PASSWORD_FILE")
    return _from_file(path) if path else environ.get("GATEHOUSE_MQTT_PASSWORD")


def _from_file(path: str) -> str:
    try:
        with open(path, encoding="utf-8") as file:
            return file.read().strip()
    except OSError as error:
        raise HostError("io", "cannot read %s: %s" % (path, error.strerror))
    except ValueError:
        raise HostError("config", "%s is no text" % path, "save it as UTF-8")
