"""How the service is set up: a TOML file, and variables GATEHOUSE_SERVE_SECTION_KEY that go over it.

Owns the keys, their kinds and their checks, and tells all that is wrong at once. Paths are seen from the file's folder.
Secrets stand in files of their own, which only their owner may read; none is taken from the command line or from a URL.

    [service]
    keys = "records-keys.json"            # what `gatehouse issuer recorder` wrote
    names = "names.json"                  # what `gatehouse keys names` wrote; left out: ids are shown
    listen = "127.0.0.1:9464"             # metrics and health; "" for neither
    group = "gatehouse"                   # instances with one group share the records among them

    [broker]
    host = "broker.home"                  # as in the tools' own configuration
    ca = "ca.pem"
    cert = "cert.pem"
    key = "key.pem"
    base = "gatehouse"                    # first level of the topics

    [database]
    url = "postgresql://gatehouse@db/gatehouse"
    password_file = "db-password"

    [alerts]
    battery_low_pct = 20                  # the numbers of `alerts.Rules`; off = ["alarm"]

    [notify.phone]
    url_file = "phone.url"                # a URL of apprise
    kinds = ["tamper", "impostor"]        # left out: all
"""

import os
import stat
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from host_tools.errors import HostError
from host_tools.gateway import brokers
from host_tools.gateway.brokers import Broker
from host_tools.serve.alerts import KINDS, Rules

PREFIX = "GATEHOUSE_SERVE_SECTION_KEY".removesuffix("SECTION_KEY")
LISTEN = "127.0.0.1:9464"
_KEYS: dict[str, Mapping[str, type]] = {
    "service": {"keys": str, "names": str, "listen": str, "group": str},
    "broker": {**brokers.KEYS, "base": str},
    "database": {"url": str, "password_file": str},
    "alerts": {**{each.name: float for each in fields(Rules)}, "off": list},
}
_NOTIFY: Mapping[str, type] = {"url_file": str, "kinds": list}
_WHOLE = ("battery_low_pct", "battery_ok_pct", "wrong_codes")


@dataclass(frozen=True)
class Target:
    """A receiver of alerts; `url` is a secret."""

    name: str
    url: str = field(repr=False)
    kinds: frozenset[str] = frozenset(KINDS)


@dataclass(frozen=True)
class Config:
    """All that the service was told, checked. `listen` is (address, port), or None."""

    keys: Path
    names: Path | None
    listen: tuple[str, int] | None
    group: str
    broker: Broker
    base: str
    url: str
    password: str | None = field(repr=False)
    rules: Rules
    off: frozenset[str]
    targets: tuple[Target, ...]


def load(path: Path | None, environ: Mapping[str, str] = os.environ) -> Config:
    """HostError `config` lists every fault. Without a path everything stands in the environment."""
    folder = path.parent if path else Path()
    values = _read(path) if path else {}
    faults = _overlay(values, environ)
    faults += _faults(values)
    if faults:
        raise HostError("config", "%s: %s" % (path or "the environment", "; ".join(faults)), "see docs/service.md")
    return _made(values, folder)


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_bytes().decode("utf-8-sig"))
    except OSError as error:
        raise HostError("config", "cannot read %s: %s" % (path, error.strerror), "give the file with --config")
    except ValueError as error:  # of UTF-8 and of TOML, which names the line
        raise HostError("config", "%s is no TOML: %s" % (path, error), "correct it")


def _overlay(values: dict[str, Any], environ: Mapping[str, str]) -> list[str]:
    """Lay the environment over the file -> what is wrong with it."""
    faults = []
    for name in sorted(environ):
        if not name.startswith(PREFIX):
            continue
        section, _, key = name[len(PREFIX) :].lower().partition("_")
        kind = _KEYS.get(section, {}).get(key)
        if kind is None:
            faults.append("$%s is no setting" % name)
            continue
        value: Any = environ[name]
        try:
            if kind is bool:
                value = {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False}[value.lower()]
            elif kind in (int, float):
                value = kind(value) if kind is int or "." in value else int(value)
            elif kind is list:
                value = [each.strip() for each in value.split(",") if each.strip()]
        except (KeyError, ValueError):
            faults.append("$%s is of the wrong kind" % name)
            continue
        if isinstance(values.setdefault(section, {}), dict):
            values[section][key] = value
    return faults


def _faults(values: dict[str, Any]) -> list[str]:
    faults = ["no section is called %r" % name for name in values if name not in (*_KEYS, "notify")]
    for section, known in _KEYS.items():
        faults += _faults_in(section, values.get(section, {}), known)
    notify = values.get("notify", {})
    for name, row in notify.items() if isinstance(notify, dict) else [("", None)]:
        faults += _faults_in("notify.%s" % name, row, _NOTIFY)
        if isinstance(row, dict):
            faults += [] if row.get("url_file") else ["notify.%s has no url_file" % name]
            faults += ["notify.%s: no alert is called %r" % (name, k) for k in row.get("kinds", []) if k not in KINDS]
    if faults:
        return faults
    faults += ["no alert is called %r" % kind for kind in values.get("alerts", {}).get("off", []) if kind not in KINDS]
    for section, key in (("service", "keys"), ("broker", "host"), ("database", "url")):
        if not values.get(section, {}).get(key):
            faults.append("%s.%s is missing" % (section, key))
    rules = _rules(values)
    if not 0 <= rules.battery_low_pct <= rules.battery_ok_pct <= 100:
        faults.append("battery_low_pct to battery_ok_pct is no range")
    if rules.wrong_codes < 1 or any(getattr(rules, each.name) < 0 for each in fields(Rules)):
        faults.append("alerts: a number is too small")
    return faults


def _faults_in(section: str, row: Any, known: Mapping[str, type]) -> list[str]:
    if not isinstance(row, dict):
        return ["%s is no table" % section]
    faults = []
    for key, value in row.items():
        if key == "password":
            faults.append("%s: a password stands in a file: password_file" % section)
        elif key not in known:
            faults.append("%s: no setting is called %r" % (section, key))
        elif not _fits(value, known[key]):
            faults.append("%s: %s is of the wrong kind" % (section, key))
    return faults


def _fits(value: Any, kind: type) -> bool:
    if kind is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    if kind is list:
        return isinstance(value, list) and all(isinstance(each, str) for each in value)
    return isinstance(value, kind) and not (kind is int and isinstance(value, bool))


def _rules(values: dict[str, Any]) -> Rules:
    told = {key: value for key, value in values.get("alerts", {}).items() if key != "off"}
    return Rules(**{key: int(value) if key in _WHOLE else value for key, value in told.items()})


def _made(values: dict[str, Any], folder: Path) -> Config:
    service, database = values["service"], values["database"]
    broker = dict(values["broker"])
    base = broker.pop("base", "gatehouse")
    secret = database.get("password_file")
    if "@" in database["url"] and ":" in database["url"].split("://", 1)[-1].rpartition("@")[0]:
        raise HostError("config", "database.url holds a password", "put it into a file: password_file")
    targets = [
        Target(name, secret_in(folder / row["url_file"]), frozenset(row.get("kinds", KINDS)))
        for name, row in values.get("notify", {}).items()
    ]
    names = service.get("names")
    return Config(
        keys=folder / service["keys"],
        names=folder / names if names else None,
        listen=_listen(service.get("listen", LISTEN)),
        group=_group(service.get("group", "gatehouse")),
        broker=brokers.of_row(broker, folder),
        base=base,
        url=_at(database["url"], folder),
        password=secret_in(folder / secret) if secret else None,
        rules=_rules(values),
        off=frozenset(values.get("alerts", {}).get("off", [])),
        targets=tuple(targets),
    )


def _at(url: str, folder: Path) -> str:
    """A file of SQLite's is seen from the configuration's folder, as all others are."""
    head = "sqlite:///"
    return head + str(folder / url.removeprefix(head)) if url.startswith(head) else url


def _listen(text: str) -> tuple[str, int] | None:
    if not text:
        return None
    host, sign, port = text.rpartition(":")
    if not sign or not host or not (port.isascii() and port.isdigit() and int(port) < 65536):
        raise HostError("config", "service.listen: %r is no address and port" % text, 'write "127.0.0.1:9464"')
    return host.strip("[]"), int(port)


def _group(text: str) -> str:
    if not text or any(sign in "/+#" or not sign.isprintable() for sign in text):
        raise HostError("config", "service.group: %r is no name of a group" % text, "letters and digits")
    return text


def secret_in(path: Path) -> str:
    """What a file with a secret holds, without the ends of lines. HostError where others may read it."""
    try:
        with open(path, encoding="utf-8") as file:
            about = os.fstat(file.fileno())
            if stat.S_ISREG(about.st_mode) and stat.S_IMODE(about.st_mode) & 0o007:
                raise HostError("config", "%s can be read by everybody" % path, "run: chmod o= %s" % path)
            return file.read(4096).strip()
    except OSError as error:
        raise HostError("config", "cannot read %s: %s" % (path, error.strerror), "see docs/service.md")
    except ValueError:
        raise HostError("config", "%s is no text" % path, "save it as UTF-8")
