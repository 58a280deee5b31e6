"""What leaves this computer in a bundle: members by allow-list, texts without names and secrets.

Owns what is let through. Facts are rebuilt from the members that are known and harmless, so that whatever a board, a
topic or a file says beside them stays here. Free texts, such as lines of a log, lose every name, network and secret
that the key book, the settings or the configuration hold, as a second net.
"""

import re
from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

from host_tools.owner.gateways import Gateway
from host_tools.owner.keybook import Entry

_HARMLESS = (
    "mac",
    "id",
    "model",
    "zone",
    "zone_rule",
    "kind",
    "state",
    "type",
    "simulated",
    "issuer",
    "base",
    "features",
)
_NAMES = ("name", "person", "groups", "broker", "hours")
_SHORTEST = 3  # of a name that is looked for in texts
_SMALLEST = 10_000  # of a number that is taken for a secret
SECRET, NAME = "<secret>", "<name>"

# Members of what gateways and boards say that are of use, and no secret and no name; a dict: its own members
_COUNTS = "*"
ALLOWED: dict[str, Any] = {
    "restart": {"why": 0, "what": 0, "minimal": 0, "counts": _COUNTS, "slot": 0, "trial": 0},
    "connection": {"state": 0, "failures": 0},
    **dict.fromkeys(
        "id version board micropython boot reset role provisioned owner flags features rebooting".split(), 0
    ),
    **dict.fromkeys("uptime_s heap heap_low rssi queue success_pct drift_ms clock jobs records ts".split(), 0),
    **dict.fromkeys("unlock_p50_ms unlock_p95_ms flash flash_free faults".split(), 0),
    **dict.fromkeys(("results", "dropped", "restarts", "operations", "drift_s"), _COUNTS),
    "locks": {"mac": 0},
    "refused": 0,
}
SETTINGS = (
    "mqtt_port insecure_broker keepalive_s ntp_port unsigned_unlock records_ack records_clear presence_s expiry_s "
    "unlock_per_min unlock_per_h other_per_min clock_max_drift_s linger_ms"
).split()
_WORD = re.compile(r"[\w.:/+# @()-]{0,160}")


def allowed(value: Any, shape: Any = None) -> Any:
    """`value` with the members that `shape` (else ALLOWED) has, each a number, a flag, a short word, or a list of
    these."""
    shape = ALLOWED if shape is None else shape
    if isinstance(value, dict):
        if shape == _COUNTS:
            return {key: each for key, each in value.items() if _is_word(key) and _is_plain(each)}
        if not isinstance(shape, dict):
            return None
        return {key: allowed(each, shape[key]) for key, each in value.items() if key in shape}
    if isinstance(value, list):
        return [allowed(each, shape) for each in value[:64]]
    return value if _is_plain(value) and (shape == 0 or isinstance(shape, dict)) else None


def _is_plain(value: Any) -> bool:
    if isinstance(value, list):
        return all(each is None or isinstance(each, int | float) for each in value)
    return value is None or isinstance(value, bool | int | float) or _is_word(value)


def _is_word(value: Any) -> bool:
    return isinstance(value, str) and _WORD.fullmatch(value) is not None


def settings(values: Any, with_names: bool = False) -> dict:
    """Settings of a gateway as its console shows them: numbers and flags as they are, of all else whether it is set;
    `with_names` also of networks and hosts, never of a secret."""
    shown: dict[str, Any] = {}
    if not isinstance(values, dict):
        return shown
    told = (*SETTINGS, "wifi_ssid", "mqtt_host", "mqtt_base", "name", "ntp_hosts") if with_names else tuple(SETTINGS)
    for key, value in values.items():
        if key in told and (isinstance(value, bool | int | float) or _is_word(value) or with_names):
            shown[key] = value
        elif _is_word(key):
            shown[key] = "set" if value else "not set"
    return shown


_HEX = re.compile(r"(?i)(?:[0-9a-f]{2}[:\s,-]?){8,}")
_NAMED = re.compile(r"\b(ssid|host|server|name|user|person|who)=(?:\"[^\"]*\"|\S+)")
_VALUE = re.compile(r"\b(\w+)=(\S*\d{4,}\S*)")
_NUMBERS = ("ms", "unix", "port", "boot", "id", "lock", "addr", "address", "total", "lines", "bytes", "version")


def _without_digits(match: re.Match) -> str:
    key = match[1]
    return match[0] if key in _NUMBERS or key.endswith(("_ms", "_s", "_dbm", "_min")) else key + "=<digits>"


class Mask:
    """Takes names and secrets out of texts; `with_names` leaves names in. What is in no key book is known by its look:
    hex digits in a row, and `key=digits` of a log unless the key is one of a time, a count or an id."""

    def __init__(self, with_names: bool = False) -> None:
        self._with_names = with_names
        self._words: dict[str, str] = {}

    def add_entry(self, entry: Entry) -> None:
        """All that the key book holds of a lock, but its address and what it is."""
        self._walk(asdict(entry), "")

    def add_gateway(self, gateway: Gateway) -> None:
        """Its keys, its name and its broker; its public key says nothing."""
        self.add_secrets([gateway.key, gateway.records])
        host = gateway.broker.rpartition(":")[0]
        self.add_names([gateway.name, host])

    def add_settings(self, values: Any) -> None:
        """Every text of a gateway's settings."""
        if isinstance(values, dict):
            self.add_names(values.get(key) for key in ("wifi_ssid", "mqtt_host", "mqtt_user", "name"))
            self.add_secrets(values.get(key) for key in ("wifi_password", "mqtt_password", "remote_pin"))

    def add_names(self, names: Iterable[Any]) -> None:
        if not self._with_names:
            self._add(names, NAME)

    def add_secrets(self, secrets: Iterable[Any]) -> None:
        self._add(secrets, SECRET)

    def _add(self, words: Iterable[Any], instead: str) -> None:
        for each in words:
            if isinstance(each, str) and len(each) >= _SHORTEST:
                self._words[each] = instead

    def _walk(self, value: Any, key: str) -> None:
        if isinstance(value, dict):
            for name, each in value.items():
                if name not in _HARMLESS:
                    self._walk(each, name)
        elif isinstance(value, list):
            for each in value:
                self._walk(each, key)
        elif isinstance(value, str):
            (self.add_names if key in _NAMES else self.add_secrets)([value])
        elif isinstance(value, int) and not isinstance(value, bool) and value >= _SMALLEST and not key.endswith("_at"):
            self.add_secrets([str(value), "%x" % value])

    def text(self, line: str) -> str:
        """One text without them; what is longer goes first, so that no rest of it stays."""
        for word in sorted(self._words, key=len, reverse=True):
            line = re.sub(re.escape(word), self._words[word], line, flags=re.IGNORECASE)
        if not self._with_names:
            line = _NAMED.sub(r"\1=<name>", line)
        return _VALUE.sub(_without_digits, _HEX.sub("<hex>", line))

    def whole(self, value: Any) -> Any:
        """The same for every text of a JSON value."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, dict):
            return {self.text(str(key)): self.whole(each) for key, each in value.items()}
        return [self.whole(each) for each in value] if isinstance(value, list) else value
