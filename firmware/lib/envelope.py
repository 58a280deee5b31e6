"""Signed messages (mqtt.md 2): the mac at the end of a payload, the nonce of a session, the window of numbers. Owns
their bytes and arithmetic, at both ends; who may do what is for others.

A signed payload is a JSON object whose last bytes are exactly `,"mac":"<64 lower-case hex digits>"}`. The mac is
HMAC-SHA-256 under the issuer's key over `gatehouse-1`, 0, the topic, 0, and all of the payload before that comma: raw
bytes, so that nothing needs a canonical form, and nothing is believed before it is verified.
"""

from firmware.lib import crypto
from firmware.lib.compat import const

KEY_LEN = const(32)
OWNER = "owner"  # name of the first issuer
MAX_SIGNED = const(1024)  # bytes of a signed request

_LABEL = b"gatehouse-1\x00"
_HEAD = b',"mac":"'
_TAIL_LEN = const(74)
_HEX = b"0123456789abcdef"
_NONCE_TEXT = const(32)
_NONCE_MAC = const(12)
_MAX_NAME = const(16)
_NAME_CHARS = "abcdefghijklmnopqrstuvwxyz0123456789-"
_WINDOW = const(64)
_SEQ_DIGITS = const(16)
_MASK = (1 << 64) - 1
MAX_SEQ = (1 << 53) - 1


def is_name(text):
    """True for the name of an issuer: 1 to 16 of `a-z0-9-`."""
    return isinstance(text, str) and 0 < len(text) <= _MAX_NAME and not text.strip(_NAME_CHARS)


def record_key(owner_key):
    """The key under which records and their acknowledgements are signed: all that a recorder gets, 32 bytes."""
    return crypto.hkdf(owner_key, b"", b"records", KEY_LEN)


# --- the mac


def is_signed(payload):
    """True when the payload (bytes) ends as a signed one does; cheap, and says nothing of the mac."""
    if len(payload) <= _TAIL_LEN + 1 or payload[-_TAIL_LEN : 8 - _TAIL_LEN] != _HEAD or payload[-2:] != b'"}':
        return False
    return not payload[8 - _TAIL_LEN : -2].strip(_HEX)


def _mac(key, topic, body):
    return crypto.hmac_sha256(key, _LABEL, topic.encode(), b"\x00", body)


def sign(key, topic, text):
    """The text of a JSON object with at least one member -> the same with its mac. `topic` as it is published."""
    if text[-1:] != "}" or len(text) < 3:
        raise ValueError("not an object with a member")
    body = text[:-1]
    return "".join((body, ',"mac":"', _mac(key, topic, body.encode()).hex(), '"}'))


def verify(key, topic, payload):
    """True when the payload (bytes) carries the mac of exactly these bytes on this topic. Constant time."""
    if not is_signed(payload):
        return False
    end = len(payload) - _TAIL_LEN
    given = bytes.fromhex(str(bytes(payload[end + 8 : -2]), "ascii"))
    return crypto.equal(_mac(key, topic, memoryview(payload)[:end]), given)


def _member(payload, key):
    """The text of the last member `key` (bytes, with its quotes) of a payload without parsing it; short plain values
    only, quotes included, None where there is none. What the parser reads in the end must be the same."""
    at = payload.rfind(key)
    if at < 0:
        return None
    at += len(key)
    rest = bytes(payload[at : at + _NONCE_TEXT + 8]).strip()
    if rest[:1] != b":":
        return None
    rest = rest[1:].strip()
    if rest[:1] == b'"':
        end = rest.find(b'"', 1) + 1
    else:
        end = 1
        while end < len(rest) and rest[end] not in b'", }':
            end += 1
        if end >= len(rest):
            return None
    value = rest[:end]
    return str(value, "ascii") if value and max(value) < 0x80 else None


def issuer_of(payload):
    """The name that a payload gives as its issuer, or None: whose key to try."""
    text = _member(payload, b'"iss"')
    return text[1:-1] if text and text[0] == text[-1] == '"' and is_name(text[1:-1]) else None


def session_of(payload):
    """(nonce, seq) as a payload gives them, each None where it has none of the right form."""
    nonce = _member(payload, b'"nonce"')
    seq = _member(payload, b'"seq"')
    if not nonce or nonce[0] != '"' or nonce[-1] != '"':
        nonce = '""'
    if not seq or len(seq) > _SEQ_DIGITS or seq.strip("0123456789") or int(seq) > MAX_SEQ:
        return nonce[1:-1], None
    return nonce[1:-1], int(seq)


# --- the nonce: nothing is kept of it, so that no flood of questions can push one out


def nonce(secret, tick_s, iss):
    """The nonce (32 hex digits) that is given to `iss` at second `tick_s` of a clock that only rises. `secret` is 16
    random bytes of this session with the broker."""
    tick = tick_s.to_bytes(4, "big")
    return (tick + crypto.hmac_sha256(secret, tick, iss.encode())[:_NONCE_MAC]).hex()


def nonce_tick(secret, text, iss):
    """The second at which this session gave that nonce to `iss`; None when it did not."""
    if not isinstance(text, str) or len(text) != _NONCE_TEXT or text.strip("0123456789abcdef"):
        return None
    raw = bytes.fromhex(text)
    if not crypto.equal(crypto.hmac_sha256(secret, raw[:4], iss.encode())[:_NONCE_MAC], raw[4:]):
        return None
    return int.from_bytes(raw[:4], "big")


# --- numbers: each one once, in any order within 64 below the highest


class Window:
    """The numbers of one issuer in one session: `top` is the highest seen, bit n of `bits` is `top` - n."""

    __slots__ = ("top", "bits")

    def __init__(self):
        self.clear()

    def clear(self):
        """A new session: no number has been seen."""
        self.top = -1
        self.bits = 0

    def take(self, seq):
        """True when `seq` was not seen before and is not too far below; it has been seen from now on."""
        if seq > self.top:
            shift = seq - self.top
            self.bits = (self.bits << shift & _MASK if shift < _WINDOW else 0) | 1
            self.top = seq
            return True
        back = self.top - seq
        if back >= _WINDOW or self.bits >> back & 1:
            return False
        self.bits |= 1 << back
        return True
