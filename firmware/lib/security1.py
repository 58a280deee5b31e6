"""Espressif's protocomm security scheme 1, the device's end: X25519, a proof of possession, AES-CTR. One Session for
each link; anything out of order, replayed or altered ends it. Pure; the messages are `protocomm`'s.

The key is X25519(ours, theirs) XOR SHA-256(proof of possession), 32 bytes, so AES-256. One key stream, begun at 16
random bytes of ours, serves both directions in turn, so that a message that was lost ends the session, too. Espressif's
scheme does not authenticate messages. Those of our own endpoint have a mac (`Macs`): 16 bytes of HMAC-SHA-256 under
HKDF(key, info "gatehouse") over direction, count and text (security.md 3.3).

Source: ESP-IDF, components/protocomm/src/security/security1.c, and its guide "Unified Provisioning".
"""

import hashlib

from firmware.lib import crypto, protobuf, protocomm, x25519
from firmware.lib.compat import const
from firmware.lib.errors import AuthError, ProtocolError

_NEW = const(0)
_GREETED = const(1)
_OPEN = const(2)
_ENDED = const(3)
_BLOCK = const(16)
_KEY = const(32)
_MAX_COUNT = (1 << 128) - 1
TO_DEVICE = b"\x00"
TO_CLIENT = b"\x01"


class Stream:
    """AES-CTR as one stream: each `take` goes on where the last one ended."""

    def __init__(self, key, start):
        self._key = bytes(key)
        self._start = int.from_bytes(start, "big")
        self._used = 0

    def take(self, buf):
        """Encrypt or decrypt the next bytes."""
        skip = self._used % _BLOCK
        first = (self._start + self._used // _BLOCK) & _MAX_COUNT
        self._used += len(buf)
        return bytes(crypto.ctr(self._key, first.to_bytes(_BLOCK, "big"), bytes(skip) + bytes(buf))[skip:])


class Macs:
    """The macs of our own endpoint. `key` is the session's."""

    def __init__(self, key):
        self._key = crypto.hkdf(key, b"", b"gatehouse", _KEY)
        self._counts = {TO_DEVICE: 0, TO_CLIENT: 0}

    def of(self, direction, text):
        """The mac of the next text in this direction."""
        count = self._counts[direction]
        self._counts[direction] = count + 1
        return crypto.hmac_sha256(self._key, direction, count.to_bytes(4, "big"), text)[: protocomm.MAC_LEN]

    def seal(self, direction, text):
        """Text -> text with its mac."""
        return text + self.of(direction, text)

    def unseal(self, direction, octets):
        """The inverse. Raises AuthError."""
        text, mac = octets[: -protocomm.MAC_LEN], octets[-protocomm.MAC_LEN :]
        if not text or not crypto.equal(self.of(direction, text), mac):
            raise AuthError("a message was altered")
        return text


def key_of(shared, pop):
    """The 32 bytes of X25519, and the proof of possession -> the session's key. Raises AuthError for a public key of
    small order, which would make the secret known to all."""
    if not any(shared):
        raise AuthError("a public key of small order")
    if not pop:
        return shared
    digest = hashlib.sha256(pop).digest()
    return bytes(shared[place] ^ digest[place] for place in range(_KEY))


class Session:
    """`pop` is the proof of possession, `pair` (secret, public) are a fresh X25519 key's, `start` 16 random bytes."""

    def __init__(self, pop, pair, start):
        self._pop = pop
        self._secret, self._public = pair
        self._start = start
        self._client = b""
        self._state = _NEW
        self._stream: Stream | None = None
        self.macs: Macs | None = None

    @property
    def is_open(self):
        """True once the other end has proved that it knows the proof of possession."""
        return self._state == _OPEN

    def end(self):
        """Take nothing more."""
        self._state = _ENDED
        self._stream = self.macs = None
        self._pop = self._secret = b""

    def handshake(self, octets):
        """A message of prov-session -> the answer. Raises ProtocolError, or AuthError for a wrong proof of possession;
        the session has ended then."""
        state, self._state = self._state, _ENDED
        kind, members = protocomm.decode_session(octets)
        if state == _NEW and kind == protocomm.COMMAND0:
            self._client = protobuf.octets_in(members, 1)
            # X25519 ignores the topmost bit, which nobody sets
            if len(self._client) != _KEY or len(members) != 1 or self._client[31] > 0x7F:
                raise ProtocolError("no public key")
            self._state = _GREETED
            body = protobuf.octets(2, self._public) + protobuf.octets(3, self._start)
            return protocomm.encode_session(protocomm.RESPONSE0, body)
        if state != _GREETED or kind != protocomm.COMMAND1:
            raise ProtocolError("handshake out of order")
        proof = protobuf.octets_in(members, 2)
        if len(proof) != _KEY or len(members) != 1:
            raise ProtocolError("a proof has 32 bytes")
        key = key_of(x25519.shared(self._secret, self._client), self._pop)
        stream = Stream(key, self._start)
        if not crypto.equal(stream.take(proof), self._public):
            raise AuthError("wrong proof of possession")
        self._secret = b""
        self._stream = stream
        self.macs = Macs(key)
        self._state = _OPEN
        return protocomm.encode_session(protocomm.RESPONSE1, protobuf.octets(3, stream.take(self._client)))

    def crypt(self, octets):
        """Decrypt what has come, or encrypt what goes, in the order of the air. Raises AuthError while not open."""
        if self._state != _OPEN or self._stream is None:
            raise AuthError("no session")
        return self._stream.take(octets)


def refusal():
    """The answer to a wrong proof of possession."""
    return protocomm.encode_session(protocomm.RESPONSE1, protocomm.status_body(protocomm.CRYPTO_ERROR))
