"""Who may sign commands (mqtt.md 2): at most 8 issuers, each with a name, a key, operations, locks and rates of its
own. Owns the session's nonces and the numbers that each has used; what is done with a verified command is the bridge's,
how issuers are kept on flash is `issuer_store`'s, how they come and go over MQTT `issuer_ops`'.

The first issuer is the owner, who comes into being at the console only.
"""

import os

from firmware.gateway.admission import Rates, Refusal
from firmware.lib import envelope
from firmware.lib.compat import const, unload

FOLDER = "/data/issuers"
MAX_ISSUERS = const(8)
RATES = ("unlock_per_min", "unlock_per_h", "other_per_min")


class Issuer:
    """`ops` and `locks` are lists of names and ids, or None for all; `rates` counts what it asks for; `is_owner`."""

    __slots__ = ("name", "key", "ops", "locks", "rates", "window")

    def __init__(self, name, kept, limits):
        self.name = name
        self.key = bytes.fromhex(kept["key"])
        self.ops = kept.get("ops")
        self.locks = kept.get("locks")
        own = kept.get("rates") or {}
        self.rates = Rates(*[own.get(word, limit) for word, limit in zip(RATES, limits)])
        self.window = envelope.Window()

    @property
    def is_owner(self):
        return self.name == envelope.OWNER

    def may(self, op, lock_id, is_keyed=False):
        """Whether it may ask for this operation, on this lock or on the gateway (None). `is_keyed`: about the keys
        of any lock, which who is bound to some locks does not touch."""
        if self.ops is not None and op not in self.ops:
            return False
        return self.locks is None or (lock_id in self.locks if lock_id is not None else not is_keyed)


class Signed:
    """What a signature that verifies proves of a message: who, with which nonce's age, and its number."""

    __slots__ = ("issuer", "nonce", "seq", "age_s")

    def __init__(self, issuer, nonce, seq, age_s):
        self.issuer = issuer
        self.nonce = nonce
        self.seq = seq
        self.age_s = age_s


class Issuers:
    """`nvs` is the board's key store, `limits` the owner's three rates, `now_s` a clock that only rises. `on_owned()`
    is called when an owner has come into being."""

    def __init__(self, nvs, limits=(6, 60, 30), now_s=lambda: 0, folder=FOLDER):
        self._nvs = nvs
        self._limits = limits
        self._now_s = now_s
        self._folder = folder
        self._secret = os.urandom(16)
        self._all: dict = {}
        self.on_owned = self.on_replacing = lambda: None
        self._load()

    def _load(self):
        kept, self.is_damaged = self._stored().load(self._nvs, self._folder)
        self._all = {name: Issuer(name, kept[name], self._limits) for name in kept}
        owner = self._all.get(envelope.OWNER)
        self._record_key = owner and envelope.record_key(owner.key)  # made once: strangers may have it asked for

    @staticmethod
    def _stored():
        """The functions of `issuer_store`, which is let go of."""
        from firmware.gateway import issuer_store

        unload(("firmware.gateway.issuer_store",))
        return issuer_store

    def kept(self):
        """What is stored: name -> {"key", "ops", "locks", "rates"}."""
        return self._stored().load(self._nvs, self._folder)[0]

    def store(self, kept):
        """Replace what is stored; `on_replacing()` is told before a key goes. An issuer that stays keeps its numbers.
        Raises OSError."""
        before = self._all
        if any(name not in kept or kept[name]["key"] != before[name].key.hex() for name in before):
            self.on_replacing()
        self._stored().save(self._nvs, self._folder, kept)
        self._load()
        for name, issuer in self._all.items():
            if name in before and before[name].key == issuer.key:
                issuer.window = before[name].window

    def own(self, key):
        """Take an owner, whose key is 32 bytes. Raises issuer_store.Owned, OSError."""
        self._stored().own(self, key)

    @property
    def has_owner(self):
        return envelope.OWNER in self._all

    def record_key(self):
        """The key of records and their acknowledgements, or None while there is no owner."""
        return self._record_key

    def get(self, name):
        """The issuer of that name, or None."""
        return self._all.get(name)

    def all(self):
        """Every issuer."""
        return self._all.values()

    def forget(self, lock):
        """Drop the counters of a lock that is no longer served."""
        for issuer in self._all.values():
            issuer.rates.forget(lock)

    # --- the session with the broker

    def renew(self):
        """A new session: no nonce of the one before is good any more."""
        self._secret = os.urandom(16)
        for issuer in self._all.values():
            issuer.window.clear()

    def nonce(self, name=envelope.OWNER):
        """A nonce for an issuer, of this moment."""
        return envelope.nonce(self._secret, self._now_s(), name)

    def verify(self, topic, payload):
        """Look at a message that ends as a signed one does, without parsing it -> Signed, whose number is used up.

        Cheap checks come first. Raises Refusal: `unknown_issuer`, `replayed`, `bad_signature`, `stale_nonce`; its
        `issuer` is then who signed, where the mac is right.
        """
        issuer = self._all.get(envelope.issuer_of(payload))
        if issuer is None:
            raise Refusal("unknown_issuer", "this gateway knows no such issuer")
        if len(payload) > envelope.MAX_SIGNED:
            raise Refusal("bad_signature", "a signed request has at most %d bytes" % envelope.MAX_SIGNED)
        if not envelope.verify(issuer.key, topic, payload):
            raise Refusal("bad_signature", "the mac does not fit the message")
        nonce, seq = envelope.session_of(payload)
        tick_s = envelope.nonce_tick(self._secret, nonce, issuer.name)
        if tick_s is None:
            raise _by(issuer, Refusal("stale_nonce", "the nonce is of another session: say hello"))
        if seq is None or not issuer.window.take(seq):
            raise _by(issuer, Refusal("replayed", "the number was used before, or is too far behind"))
        return Signed(issuer, nonce, seq, self._now_s() - tick_s)


def _by(issuer, refusal):
    refusal.issuer = issuer  # type: ignore[attr-defined]
    return refusal
