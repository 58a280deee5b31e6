"""X25519 (RFC 7748) on Python's integers. Owns the curve; what the shared secret is used for is in `sealed`.

A Montgomery ladder whose sequence of operations does not depend on the secret; the time of each long multiplication
may, so this hides a key from the network but not from someone who measures the board.
"""

from firmware.lib.compat import const
from firmware.lib.errors import ProtocolError

_A24 = const(121665)
_BITS = const(255)
BASE = b"\x09" + bytes(31)


def _prime():
    return (1 << 255) - 19


def steps(secret, peer):
    """Generator of the shared secret: yields None after each of 255 ladder steps, last of all the 32 bytes.

    An ESP32 needs about a second for it, so the caller gives the loop a turn at each None. Raises ProtocolError (at the
    first step) unless both are 32 bytes.
    """
    if len(secret) != 32 or len(peer) != 32:
        raise ProtocolError("X25519 keys have 32 bytes")
    p = _prime()
    scalar = int.from_bytes(secret, "little")
    scalar = (scalar & ~7 & ((1 << 254) - 1)) | 1 << 254
    x1 = int.from_bytes(peer, "little") & ((1 << 255) - 1)
    x2, z2, x3, z3 = 1, 0, x1, 1
    swap = 0
    for t in range(_BITS - 1, -1, -1):
        bit = scalar >> t & 1
        pairs = ((x2, z2), (x3, z3))
        swap ^= bit
        x2, z2 = pairs[swap]
        x3, z3 = pairs[1 - swap]
        swap = bit
        a = x2 + z2
        b = x2 - z2
        da = (x3 - z3) * a % p
        cb = (x3 + z3) * b % p
        aa = a * a % p
        bb = b * b % p
        e = aa - bb
        x3 = (da + cb) * (da + cb) % p
        z3 = x1 * ((da - cb) * (da - cb) % p) % p
        x2 = aa * bb % p
        z2 = e * (aa + _A24 * e) % p
        yield None
    x2, z2 = ((x2, z2), (x3, z3))[swap]
    yield (x2 * _inverse(z2, p) % p).to_bytes(32, "little")


def _inverse(z, p):
    """z^(p-2), by squaring; 0 for 0, as RFC 7748 5 wants. MicroPython's three-argument pow is not in every build."""
    result = 1
    exponent = p - 2
    while exponent:
        if exponent & 1:
            result = result * z % p
        z = z * z % p
        exponent >>= 1
    return result


def last(generator):
    """Run a stepping generator to its end and return what it yielded last."""
    value = None
    for value in generator:
        pass
    return value


def shared(secret, peer):
    """The 32 bytes of X25519(secret, peer); all zero for a peer of small order, which the caller must refuse."""
    return last(steps(secret, peer))


def public_key(secret):
    """The public key of a 32-byte secret."""
    return shared(secret, BASE)
