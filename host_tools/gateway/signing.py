"""Signed requests at the tools' end (mqtt.md 2): what is signed, what an answer must prove, what a session is.

Owns the members of a signed request and the rules of its answer. Leaves the connection, and what is waited for, to
`client`; the bytes of a mac to `firmware.lib.envelope`.
"""

import json
import secrets
import time
from collections.abc import Callable
from typing import Any

import firmware.gateway.operations.table as table
from firmware.lib import envelope, sealed
from firmware.lib.topics import Topics
from host_tools.errors import HostError
from host_tools.gateway.records_batch import Batch
from host_tools.owner.gateways import PROVISION, Gateway

VALID_S = 30  # of a command, security.md CMD-3; a real lock that sleeps takes many attempts (hardware-facts.md F6)
LONG_VALID_S = 120
_EPOCH_2000_S = 946_684_800
_SPREAD = 16  # by which two terminals that begin at once differ
_APART_S = 20  # between this computer's clock and the gateway's: worth telling when something has expired

# What nobody but the gateway may read in arguments: codes, numbers of cards, keys (mqtt.md 1)
SECRETS = ("aes", "code", "key", "new_code", "pin", "seeds", "unlock_key")
_CARDS = ("card_", "number")


def new_id() -> str:
    """The id of a request: 128 bits, so that nobody can have an answer to it ready."""
    return secrets.token_hex(16)


def must_sign(op: str, lock: str | None) -> bool:
    """Whether a gateway takes this operation from no one who does not sign, whatever its owner set: the firmware's own
    table says so. `lock` is None for what is asked of the gateway itself."""
    return bool(_rules(op, lock) & table.SIGNED)


def must_seal(op: str, lock: str | None, args: dict | None) -> bool:
    """Whether the arguments are for the gateway's eyes alone: it takes no others, or they hold a secret."""
    family, number = _CARDS
    has_secret = any(name in SECRETS for name in args or ()) or (op.startswith(family) and number in (args or ()))
    return has_secret or bool(_rules(op, lock) & table.SEALED)


def is_volatile(op: str, lock: str | None) -> bool:
    """Whether the operation moves something, so that nobody wants it late."""
    return bool(_rules(op, lock) & table.VOLATILE)


def _rules(op: str, lock: str | None) -> int:
    return table.rules(op, lock is not None) or 0


def demand_unsigned(gateway: str, lock: str | None, op: str, is_sealed: bool) -> None:
    """HostError `not_owned` where a request to a gateway of which nothing is pinned needs a signature, or a key to seal
    to: what a topic says of the gateway's key is not believed."""
    if is_sealed or must_sign(op, lock):
        raise HostError(
            "not_owned",
            "gateway %s was not given to the owner of this key book: %s is for the owner alone" % (gateway, op),
            "%s; until then queries and `lock` work, and what unsigned_unlock allows" % _again(),
        )


def _again() -> str:
    return "provision it again over USB: `%s`" % PROVISION


def demand_pinned(gateway: Gateway, told: str | None) -> None:
    """HostError `gateway_key` when a gateway is said to have another key than the pinned one."""
    if told is not None and told.lower() != gateway.public:
        raise HostError(
            "gateway_key",
            "gateway %s shows another key than the one it had when it was provisioned" % gateway.label,
            "somebody passes for it, or it was erased; in the latter case %s" % _again(),
        )


class Signer:
    """One gateway's commander. `nonce` is None until `begin` has read the answer of a `hello`.

    `now_s` is Unix time. A simulated gateway's clock leaps: while it `follows`, because nobody tells the time of the
    site, commands for one bear its own time.
    """

    def __init__(
        self, gateway: Gateway, base: str = "gatehouse", now_s: Callable[[], float] = time.time, follows: bool = True
    ) -> None:
        self.gateway = gateway
        self.nonce: str | None = None
        self.apart_s: float | None = None  # the gateway's clock minus this computer's, where it is trusted
        self._topics = Topics(gateway.id, base)
        self._now_s = now_s
        self._follows = follows and gateway.simulated
        self._last = 0
        self._ahead = 0  # of the clock: numbers that the gateway has seen already

    def topic(self, lock: str | None, leaf: str) -> str:
        """A topic of this gateway, or of a lock (an id) there."""
        return str(self._topics.lock(lock, leaf) if lock else self._topics.gateway(leaf))

    def now(self) -> int:
        """Unix seconds that a command bears."""
        return int(self._now_s() + (self.apart_s or 0 if self._follows else 0))

    def is_apart(self) -> bool:
        """Whether this computer's clock and the gateway's differ by more than a command may take."""
        return not self._follows and abs(self.apart_s or 0) > _APART_S

    # --- the session

    def hello(self, ident: str) -> str:
        """The payload that asks for a nonce."""
        return json.dumps({"id": ident, "op": "hello", "args": {"iss": self.gateway.issuer}})

    def begin(self, told: Any) -> None:
        """Take the session from `data` of a proven answer of `hello`. HostError for what it must not say."""
        told = told if isinstance(told, dict) else {}
        public, nonce, at = told.get("public"), told.get("nonce"), told.get("time")
        if not isinstance(nonce, str) or not isinstance(public, str):
            raise HostError("protocol", "gateway %s says no hello" % self.gateway.label, "look at its log")
        demand_pinned(self.gateway, public)
        top = told.get("seq")
        if isinstance(top, int) and not isinstance(top, bool) and top < envelope.MAX_SEQ:
            self._last = max(self._last, top)
            self._ahead = max(0, top + 1 + secrets.randbelow(_SPREAD) - self._clock_number())
        is_time = told.get("trusted") is True and isinstance(at, int | float) and not isinstance(at, bool)
        self.apart_s = at - self._now_s() if is_time else None
        self.nonce = nonce

    def end(self) -> None:
        """The gateway knows the session no more."""
        self.nonce = None

    # --- a request

    def members(self, ident: str, lock: str | None, op: str, args: dict | None, is_sealed: bool, valid_s: int) -> dict:
        """What a request says, but for what `sign` adds. `is_sealed` hides the arguments from all but the gateway."""
        at = self.now()
        members: dict = {"id": ident, "op": op}
        if is_sealed:
            members["sealed"] = _seal(args or {}, self.gateway, self.topic(lock, "cmd"), ident, op, at)
        elif args:
            members["args"] = args
        return {**members, "iat": at, "exp": at + valid_s}

    def sign(self, lock: str | None, members: dict) -> str:
        """A request with its session, its number and its mac. HostError `too_long` above what a gateway reads."""
        if self.nonce is None:
            raise ValueError("no session")
        whole = {**members, "iss": self.gateway.issuer, "nonce": self.nonce, "seq": self._number()}
        text = _sign(self.gateway.command_key, self.topic(lock, "cmd"), whole)
        if len(text.encode()) > envelope.MAX_SIGNED:
            raise HostError(
                "too_long",
                "%s is %d bytes long, signed; a gateway reads %d" % (members["op"], len(text), envelope.MAX_SIGNED),
                "give shorter names, or fewer things at once",
            )
        return text

    def _number(self) -> int:
        """Milliseconds, so that two commands of one computer that overtake each other stay close together. Nothing of
        it is kept: where the clock is behind what the gateway has seen, they count on from there."""
        self._last = max(self._last + 1, self._clock_number() + self._ahead)
        return self._last

    def _clock_number(self) -> int:
        return max(0, int((self._now_s() - _EPOCH_2000_S) * 1000))

    # --- what comes back

    def proves(self, topic: str, payload: bytes) -> bool:
        """Whether a message on this topic was made by the gateway, for this issuer."""
        return bool(envelope.verify(self.gateway.command_key, topic, payload))

    @property
    def _recorder(self) -> "Recorder | None":
        key = self.gateway.record_key
        return None if key is None else Recorder(self.gateway.id, key, self._topics.base)

    def proves_records(self, lock: str, payload: bytes) -> bool | None:
        """Whether a batch of records was; None for an issuer that has not their key."""
        recorder = self._recorder
        return None if recorder is None else recorder.proves(lock, payload)

    def acknowledgement(self, lock: str, batch: Batch) -> str | None:
        """The payload that says that a batch is kept; None for an issuer that has not the key of records."""
        recorder = self._recorder
        return None if recorder is None else recorder.acknowledgement(lock, batch, self.now())[1]


class Recorder:
    """What the key of records alone is good for: batches of one gateway proven and acknowledged."""

    def __init__(self, gateway: str, key: bytes, base: str = "gatehouse") -> None:
        self._key = key
        self._topics = Topics(gateway, base)

    def proves(self, lock: str, payload: bytes) -> bool:
        """Whether the gateway made this batch of records of a lock."""
        return bool(envelope.verify(self._key, self._topics.lock(lock, "records"), payload))

    def acknowledgement(self, lock: str, batch: Batch, now: int) -> tuple[str, str]:
        """(topic, payload) that says that a batch is kept."""
        topic = str(self._topics.lock(lock, "records/ack"))
        members: dict = {"epoch": batch.epoch, "from": batch.first, "to": batch.last}
        return topic, _sign(self._key, topic, members | {"date": batch.items[-1].get("date"), "iat": now})


def _compact(value: dict) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def _sign(key: bytes, topic: str, members: dict) -> str:
    return str(envelope.sign(key, topic, _compact(members)))


def _seal(args: dict, gateway: Gateway, topic: str, ident: str, op: str, at: int) -> str:
    """Bound to topic, id, operation and time, so that what is sealed is good for this one request."""
    public = bytes.fromhex(gateway.public)
    return str(sealed.seal(_compact(args).encode(), public, ident, op, topic, at))
