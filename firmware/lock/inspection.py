"""Judging one frame without acting on it. Owns that a bad frame costs the same work whatever is bad about it.

The order of lock-ble-link.md 6.2 and security.md PAR-3 is `engine`'s; this is its first line (envelope) and its fifth
(length, padding, structure), which must not be told apart from outside (ORC-1, ORC-2).
"""

from firmware.lib import crypto, frame
from firmware.lib.errors import BadRequest, ProtocolError
from firmware.lock import authority

_PROTOCOL = 5
_VERSION = 3


def envelope(raw):
    """One whole frame -> Frame, or None: bad CRC, another version."""
    try:
        found = frame.decode(raw)
    except ProtocolError:
        return None
    return found if found.protocol == _PROTOCOL and found.version == _VERSION else None


def request(command, payload, key, standing, decode):
    """(is right, request, error byte, operation byte): all that can be wrong with a payload is looked at before it is
    decided.

    `decode` is the command's decoder. An error byte belongs to a request that is right but for a value; what `decode`
    made of bytes that are not right is thrown away here. The operation is the first byte, None for an empty request.
    """
    plain, is_right = crypto.try_decrypt(key, payload) if payload else (b"", True)
    is_right = authority.plain_length_allowed(command, len(plain), standing) and is_right
    try:
        found = decode(plain)
        return is_right, found if is_right else None, None, plain[0] if plain else None
    except BadRequest as err:
        return is_right, None, err.ble, None
    except ProtocolError:
        return False, None, None, None
