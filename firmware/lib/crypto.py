"""Ciphers, hashes and randomness, the same on MicroPython and CPython.

Owns the link's AES-128-CBC with the key as IV, and what sealing and storage build on: HMAC, HKDF, CTR. Knows no key but
the public default one. Source: lock-ble-link.md 5; RFC 2104, RFC 5869, NIST SP 800-38A.
"""

import hashlib
import os

from firmware.lib.compat import const
from firmware.lib.errors import EntropyError, ProtocolError

try:
    import cryptolib
except ImportError:  # CPython: the host tools have the PyPI package `cryptography` instead
    cryptolib = None  # type: ignore[assignment]

DEFAULT_KEY = b"\x98\x76\x23\xe8\xa9\x23\xa1\xbb\x3d\x9e\x7d\x03\x78\x12\x45\x88"  # public; until 0x19 has answered

_BLOCK = const(16)
_HMAC_BLOCK = const(64)
_PIECE = const(256)  # of key stream
_MAX_COUNT = (1 << 128) - 1
_ECB = const(1)
_CBC = const(2)
_WINDOW = const(512)
_MAX_EQUAL = const(20)
_MAX_RUN = const(6)
_MIN_DRAW = const(16)  # fewer bytes at a time would not show that the generator repeats itself


def _cipher(key, mode, iv, encrypting, buf):
    if cryptolib is not None:
        cipher = cryptolib.aes(key, mode) if iv is None else cryptolib.aes(key, mode, iv)
        return cipher.encrypt(buf) if encrypting else cipher.decrypt(buf)
    from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

    cipher = Cipher(algorithms.AES(bytes(key)), modes.ECB() if iv is None else modes.CBC(bytes(iv)))
    run = cipher.encryptor() if encrypting else cipher.decryptor()
    return run.update(bytes(buf)) + run.finalize()


def encrypt(key, plain):
    """AES-128-CBC with IV = key and PKCS#7 padding; an empty `plain` gives one block."""
    pad = _BLOCK - len(plain) % _BLOCK
    return _cipher(key, _CBC, key, True, bytes(plain) + bytes((pad,)) * pad)


def try_decrypt(key, cipher):
    """(plain text, True), or (bytes that mean nothing, False) for a bad length or any bad padding byte.

    Does the same work whichever it is: the whole is deciphered, filled up to blocks where the length is wrong, and
    every padding byte is looked at whatever the first ones say (security.md ORC-2).
    """
    short = -len(cipher) % _BLOCK if len(cipher) else _BLOCK
    plain = _cipher(key, _CBC, key, False, bytes(cipher) + bytes(short))
    size = len(plain)
    pad = plain[size - 1]
    wrong = short
    if not 1 <= pad <= _BLOCK:
        wrong |= 1
        pad = 1
    for place in range(1, _BLOCK + 1):
        differs = plain[size - place] ^ pad
        wrong |= differs if place <= pad else 0
    return plain[: size - pad], wrong == 0


def decrypt(key, cipher):
    """The inverse of `encrypt`. Raises ProtocolError for a bad length or any bad padding byte."""
    plain, is_right = try_decrypt(key, cipher)
    if not is_right:
        raise ProtocolError("%d bytes cannot be decrypted" % len(cipher))
    return plain


def equal(a, b):
    """True if the byte strings are equal; the time taken depends on their lengths only."""
    if len(a) != len(b):
        return False
    differ = 0
    for place in range(len(a)):
        differ |= a[place] ^ b[place]
    return differ == 0


def hmac_sha256(key, *parts):
    """HMAC-SHA-256 (RFC 2104) of the message that `parts` make together, 32 bytes."""
    if len(key) > _HMAC_BLOCK:
        key = hashlib.sha256(key).digest()
    padded = int.from_bytes(key + bytes(_HMAC_BLOCK - len(key)), "big")
    hashed = _pad(padded, b"\x36")
    for part in parts:
        hashed.update(part)
    outer = _pad(padded, b"\x5c")
    outer.update(hashed.digest())
    return outer.digest()


def _pad(key, octet):
    """A hash that has begun with the block `key` (a number) under a pad. Numbers, because a loop over the octets took
    longer than both hashes: whoever sends false macs costs a gateway that much (mqtt.md 2, "Separate budgets")."""
    return hashlib.sha256((key ^ int.from_bytes(octet * _HMAC_BLOCK, "big")).to_bytes(_HMAC_BLOCK, "big"))


class Hmac:
    """HMAC-SHA-256 of many short messages under one key of at most 64 bytes."""

    def __init__(self, key):
        self._inner = bytes(octet ^ 0x36 for octet in key) + b"\x36" * (_HMAC_BLOCK - len(key))
        self._outer = bytes(octet ^ 0x5C for octet in key) + b"\x5c" * (_HMAC_BLOCK - len(key))

    def of(self, message):
        """32 bytes."""
        inner = hashlib.sha256(self._inner)
        inner.update(message)
        outer = hashlib.sha256(self._outer)
        outer.update(inner.digest())
        return outer.digest()


def hkdf(ikm, salt, info, n):
    """`n` bytes (at most 8160) of HKDF-SHA-256 (RFC 5869)."""
    if not 0 < n <= 255 * 32:
        raise ValueError("HKDF of %d bytes" % n)
    prk = hmac_sha256(salt, ikm)
    out = b""
    block = b""
    count = 0
    while len(out) < n:
        count += 1
        block = hmac_sha256(prk, block + info + bytes((count,)))
        out += block
    return out[:n]


def ctr(key16, iv16, buf):
    """AES-128-CTR of `buf`, both directions, as a new bytearray; `iv16` is the first counter block, counted up as a
    128-bit number. Takes no more room than the result: the key stream is made a piece at a time.
    """
    count = int.from_bytes(iv16, "big")
    made = bytearray(buf)
    counters = bytearray(min(_PIECE, (len(made) + _BLOCK - 1) // _BLOCK * _BLOCK))
    for start in range(0, len(made), _PIECE):
        for place in range(0, len(counters), _BLOCK):
            counters[place : place + _BLOCK] = (count & _MAX_COUNT).to_bytes(_BLOCK, "big")
            count += 1
        stream = _cipher(key16, _ECB, None, True, counters)
        for place in range(min(_PIECE, len(made) - start)):
            made[start + place] ^= stream[place]
    return made


def _draw(n):
    try:
        octets = os.urandom(n)
    except (OSError, NotImplementedError):
        raise EntropyError("no random numbers")
    if len(octets) != n:
        raise EntropyError("too few random numbers")
    _check_repetition(octets)
    return octets


def _check_repetition(octets):
    """Six equal bytes in a row: once in 2^40 places, if the generator is what it should be."""
    run = 1
    before = -1
    for octet in octets:
        run = run + 1 if octet == before else 1
        if run >= _MAX_RUN:
            raise EntropyError("the random generator repeats itself")
        before = octet


def _check_proportion(octets):
    """How often the first byte comes again among so many: twice is usual, twenty times happens once in 2^40."""
    if octets[1:].count(octets[:1]) >= _MAX_EQUAL or octets[:16] == octets[16:32]:
        raise EntropyError("the random generator prefers a value")


def new_key(n):
    """`n` random bytes to be a key: made only when a window of the generator's output looks right before
    (security.md T-RNG-2).

    Repetition count and adaptive proportion as in NIST SP 800-90B 4.4, for 8 bits per byte. Raises EntropyError.
    """
    sample = _draw(_WINDOW)
    _check_proportion(sample)
    key = _draw(n)
    if key[:16] == sample[:16]:
        raise EntropyError("the random generator begins anew")
    return key


def random_bytes(n):
    """`n` bytes from the platform's generator, for what is no key. Raises EntropyError when it is visibly broken."""
    return _draw(max(n, _MIN_DRAW))[:n]


def random_below(n):
    """A uniform number in 0 .. n - 1. Raises EntropyError as `random_bytes`."""
    if n < 1:
        raise ValueError("nothing below %d" % n)
    bits = 0
    while (1 << bits) < n:
        bits += 1
    size = (bits + 7) // 8
    while True:  # draws beyond n are thrown away: a remainder would favour low numbers
        value = int.from_bytes(random_bytes(size), "big") & ((1 << bits) - 1)
        if value < n:
            return value
