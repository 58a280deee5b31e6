"""Where a broker is, as people write it: a name, an address of either kind, with or without a port, or a URL mqtt:// or
mqtts://.

Owns that one text. Leaves to `brokers` whether there is TLS where the text does not say, and the connection to
`client`; a gateway's own setting takes a host alone and has its port in another setting.
"""

import ipaddress
import re
from dataclasses import dataclass, field
from urllib.parse import unquote

from host_tools.errors import HostError

PORT, TLS_PORT = 1883, 8883
_SCHEMES = {"mqtt": False, "tcp": False, "mqtts": True, "ssl": True, "tls": True}
_TODO = "write host, host:port, [IPv6 address]:port, mqtts://host:port or mqtt://host:port"


@dataclass(frozen=True)
class BrokerAddress:
    """`host` as a resolver takes it; `user` and `password` are those of a URL, or None. `is_tls` is None, and `port` a
    guess, where the text does not say (`has_port`)."""

    host: str
    port: int = PORT
    user: str | None = None
    password: str | None = None
    is_tls: bool | None = field(default=None, compare=False)
    has_port: bool = field(default=True, compare=False)

    def __repr__(self) -> str:  # a password in a URL stays out of messages
        return "[%s]:%d" % (self.host, self.port) if ":" in self.host else "%s:%d" % (self.host, self.port)

    __str__ = __repr__


def read(text: str) -> BrokerAddress:
    """Raises HostError, code `config`, that says what to write instead; it repeats no password."""
    rest = text.strip()
    user = password = is_tls = None
    if "://" in rest:
        scheme, rest = rest.split("://", 1)
        if scheme.lower() not in _SCHEMES:
            raise HostError("config", "%r is no address of an MQTT broker" % (scheme + "://"), _TODO)
        is_tls = _SCHEMES[scheme.lower()]
        rest, _, more = rest.partition("/")
        if more:
            raise HostError("config", "a broker's URL has no path", _TODO)
        if "@" in rest:
            login, _, rest = rest.rpartition("@")
            user, sign, given = login.partition(":")
            user = unquote(user)
            password = unquote(given) if sign else None
    host, port = _split(rest)
    if host.lower().rstrip(".").endswith(".local"):
        host = host.lower().rstrip(".")  # how a computer's own resolver wants a name of multicast DNS
    return BrokerAddress(
        host, port or (TLS_PORT if is_tls else PORT), user, password, is_tls=is_tls, has_port=port is not None
    )


def _split(text: str) -> tuple[str, int | None]:
    if text.startswith("["):
        host, end, after = text[1:].partition("]")
        if not end or not _is_ip6(host) or (after and not after.startswith(":")):
            raise _wrong(text)
        return host, _port(after[1:] if after else "", text)
    if text.count(":") > 1:
        if not _is_ip6(text):
            raise _wrong(text)
        return text, None
    host, sign, port = text.partition(":")
    if not host or re.search(r"[\s/@?#\\\[\]\x00-\x1f]", host):
        raise _wrong(text)
    return host, _port(port, text) if sign else None


def _is_ip6(text: str) -> bool:
    try:
        ipaddress.IPv6Address(text)
    except ValueError:
        return False
    return True


def _port(text: str, whole: str) -> int | None:
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and 0 < int(text) < 65536):
        raise _wrong(whole)
    return int(text)


def _wrong(text: str) -> HostError:
    return HostError("config", "%r is no broker address" % text[:80], _TODO)
