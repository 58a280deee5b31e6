"""Sealed arguments (mqtt.md 1): what only one gateway can open, bound to one request, its place and its time.

Layout: base64(epk[32] || ciphertext || tag[32]). epk is a fresh X25519 public key; HKDF-SHA-256 of the shared secret
with salt = epk || gateway_public and info = "gatehouse-sealed-1|" bound gives 16 bytes of AES key, 16 of IV and 32 of
MAC key; ciphertext is AES-128-CTR; tag = HMAC-SHA-256(MAC key, bound "|" epk ciphertext). `bound` is topic "|" id "|"
op "|" iat, with the request's topic as published and its member `iat` in decimal. Neither op nor iat contains "|".
"""

import binascii

from firmware.lib import crypto, x25519
from firmware.lib.compat import const
from firmware.lib.errors import AuthError, ProtocolError

_KEY = const(32)
_TAG = const(32)
_MAX_TEXT = const(1024)  # a command is no longer than that, security.md CMD-8
_BASE64 = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"


def _keys(secret, epk, gateway_public, bound):
    if secret == bytes(32):
        raise AuthError("X25519 key of small order")
    okm = crypto.hkdf(secret, epk + gateway_public, b"gatehouse-sealed-1|" + bound, 64)
    return okm[:16], okm[16:32], okm[32:]


def bound_text(topic, id, op, iat):
    """What sealed arguments are bound to, as bytes. `iat` None: the form of older clients, without place and time."""
    return ("%s|%s" % (id, op) if iat is None else "%s|%s|%s|%d" % (topic, id, op, iat)).encode()


def seal(args_json, gateway_public, id, op, topic=None, iat=None):
    """Bytes of a JSON object -> base64 text for `sealed`. For the host: it runs two X25519 in one go."""
    ephemeral = crypto.new_key(_KEY)
    epk = x25519.public_key(ephemeral)
    bound = bound_text(topic, id, op, iat)
    gateway_public = bytes(gateway_public)
    key, iv, mac_key = _keys(x25519.shared(ephemeral, gateway_public), epk, gateway_public, bound)
    body = bytes(crypto.ctr(key, iv, args_json))
    tag = crypto.hmac_sha256(mac_key, bound + b"|" + epk + body)
    return binascii.b2a_base64(epk + body + tag).decode().strip()


def unseal_steps(text, secret, public, id, op, topic=None, iat=None):
    """Generator form of `unseal` for the board: yields None many times, last of all the bytes.

    `secret` and `public` are the gateway's. Raises ProtocolError for text of the wrong form, AuthError when it was not
    sealed to this gateway for this topic, id, op and iat, or was altered. How old `iat` may be is for the caller.
    """
    raw = _decode(text)
    if len(raw) < _KEY + _TAG:
        raise ProtocolError("sealed arguments too short")
    epk = raw[:_KEY]
    body = raw[_KEY:-_TAG]
    secret_shared = None
    for secret_shared in x25519.steps(secret, epk):
        yield None
    bound = bound_text(topic, id, op, iat)
    key, iv, mac_key = _keys(secret_shared, epk, bytes(public), bound)
    if not crypto.equal(crypto.hmac_sha256(mac_key, bound + b"|" + epk + body), raw[-_TAG:]):
        raise AuthError("sealed arguments do not verify")
    yield bytes(crypto.ctr(key, iv, body))


def unseal(text, secret, public, id, op, topic=None, iat=None):
    """The bytes that were sealed; raises as `unseal_steps` does."""
    return x25519.last(unseal_steps(text, secret, public, id, op, topic, iat))


def _decode(text):
    """Strict base64; `a2b_base64` of either interpreter skips characters that do not belong."""
    raw = text.encode()
    if len(raw) > _MAX_TEXT or len(raw) % 4 or not raw:
        raise ProtocolError("not base64")
    for octet in raw.rstrip(b"="):
        if octet not in _BASE64:
            raise ProtocolError("not base64")
    if len(raw) - len(raw.rstrip(b"=")) > 2:
        raise ProtocolError("not base64")
    try:
        return binascii.a2b_base64(raw)
    except ValueError:
        raise ProtocolError("not base64")
