"""The owner's gateways in the key book: which public key each has, and the key under which this computer commands it.

Owns the entry, its checks and what is derived from it. Both keys come from provisioning, over a cable, or from the
owner's file for a further computer; nothing that was learned from a topic ever gets here. Source: mqtt.md 2.
"""

import secrets
from dataclasses import dataclass, replace
from typing import Any

from firmware.lib import envelope
from firmware.lib.topics import is_id
from host_tools import text
from host_tools.errors import HostError
from host_tools.owner import rows

KEY_DIGITS = 2 * envelope.KEY_LEN
FILE_MARK = "gatehouse_issuer"  # member that a file for a further computer begins with
_FILE_VERSION = 1
PROVISION = "gatehouse provision --port PORT"


def _is_key(value: str) -> bool:
    return len(value) == KEY_DIGITS and all(digit in "0123456789abcdef" for digit in value)


@dataclass(frozen=True)
class Gateway:
    """One gateway as this computer knows it. `public` (64 hex digits) is pinned, "" before provisioning has told it.

    `issuer` and `key` (64 hex digits) sign commands. `records` is the key of records for an issuer that may have it;
    the owner's follows from his own. `broker` and `base` say where the gateway was last given to be, "" where nobody
    said. `simulated`: a made-up one, whose clock leaps; commands for it bear its own time.
    """

    id: str
    public: str
    key: str
    issuer: str = envelope.OWNER
    name: str = ""
    broker: str = ""
    base: str = ""
    records: str = ""
    simulated: bool = False

    def __post_init__(self) -> None:
        for what, is_good in (
            ("id", is_id(self.id)),
            ("public", self.public == "" or _is_key(self.public)),
            ("key", _is_key(self.key)),
            ("issuer", envelope.is_name(self.issuer)),
            ("records", self.records == "" or _is_key(self.records)),
        ):
            if not is_good:
                raise HostError("bad_request", "the entry of a gateway has no good %s" % what)

    def __repr__(self) -> str:  # tracebacks and logs must not show keys
        return "Gateway(%s, %s)" % (self.id, self.issuer)

    @property
    def is_pinned(self) -> bool:
        """Whether it can be commanded: its own key is known."""
        return self.public != ""

    @property
    def label(self) -> str:
        """How people are told of it."""
        return "%s (%s)" % (self.name, self.id) if self.name else self.id

    @property
    def command_key(self) -> bytes:
        return bytes.fromhex(self.key)

    @property
    def record_key(self) -> bytes | None:
        """The key of records and their acknowledgements, None for an issuer that has no part in them."""
        if self.issuer == envelope.OWNER:
            return bytes(envelope.record_key(self.command_key))
        return bytes.fromhex(self.records) or None


def new(ident: str, name: str = "") -> Gateway:
    """A gateway that is about to be owned: a fresh issuer key, its own key not yet known."""
    return Gateway(ident, "", secrets.token_hex(envelope.KEY_LEN), name=text.tidy(name))


def read(kept: list) -> list[Gateway]:
    """Rows of the key book -> gateways. HostError names what is wrong."""
    return rows.read(kept, Gateway, "the key book")


def for_issuer(owner: Gateway, name: str, is_recorder: bool) -> Gateway:
    """What a further computer is to know of the owner's gateway: a fresh key of its own, and no more."""
    records = owner.record_key if is_recorder else None
    key = secrets.token_hex(envelope.KEY_LEN)
    return replace(owner, issuer=name, key=key, records=records.hex() if records else "")


def to_file(gateway: Gateway) -> dict:
    """The contents of the file that takes an issuer to its computer."""
    names = ("id", "name", "public", "issuer", "key", "records", "broker", "base", "simulated")
    return {FILE_MARK: _FILE_VERSION, **{name: getattr(gateway, name) for name in names}}


def from_file(value: Any) -> Gateway:
    """Such a file's contents -> Gateway. HostError `bad_request` when it is none."""
    todo = "give the file that `gatehouse issuer add` wrote"
    if not isinstance(value, dict) or value.get(FILE_MARK) != _FILE_VERSION:
        raise HostError("bad_request", "this is no file of an issuer", todo)
    fault = rows.fault_in(value, Gateway)
    if fault:
        raise HostError("bad_request", "the file of the issuer is damaged: see its %s" % fault, todo)
    (gateway,) = rows.read([value], Gateway, "the file")
    if not gateway.is_pinned or gateway.issuer == envelope.OWNER:
        raise HostError("bad_request", "this is no file of a further issuer", todo)
    return replace(gateway, name=text.tidy(gateway.name), broker=text.tidy(gateway.broker), base=gateway.base)
