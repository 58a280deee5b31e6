"""Names and addresses of hosts as people write them; DNS (RFC 1035): a question for one address, and the answer.
Pure. Serves multicast DNS (RFC 6762 6.7), too. IPv6: RFC 3596.
"""

import sys

from firmware.lib.compat import const
from firmware.lib.errors import ProtocolError

_HEAD_LEN = const(12)
_MAX_NAME = const(253)
_TYPE_A = const(1)
_TYPE_AAAA = const(28)
_CLASS_IN = const(1)

# What a board can use: MicroPython's `connect` on an ESP32 looks addresses up as AF_INET (1.25 to 1.28)
KINDS = (_TYPE_A,) if sys.platform == "esp32" else (_TYPE_A, _TYPE_AAAA)


def bare(host):
    """A host without what only writing needs: the brackets of an IPv6 address, the dot at the end of a whole name."""
    if host[:1] == "[" and host[-1:] == "]":
        host = host[1:-1]
    return host[:-1] if host[-1:] == "." else host


def is_address(host):
    """True for four decimal numbers with dots, and for what can only be an IPv6 address, zone included."""
    if ":" in host:
        return all(sign in "0123456789abcdefABCDEF:." for sign in host.split("%")[0])
    parts = host.split(".")
    return len(parts) == 4 and all(part.isdigit() and int(part) < 256 for part in parts)


def encode_query(host, number, kind=_TYPE_A):
    """Question number `number` (0 to 65535) for the address of `host`, of a kind of KINDS.

    Raises ProtocolError for no host name."""
    if not 0 < len(host) <= _MAX_NAME:
        raise ProtocolError("host name of %d characters" % len(host))
    out = bytearray(bytes((number >> 8, number & 0xFF, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0)))
    for label in host.rstrip(".").split("."):
        raw = label.encode()
        if not 0 < len(raw) < 64:
            raise ProtocolError("host name with a part of %d bytes" % len(raw))
        out.append(len(raw))
        out.extend(raw)
    out.extend(bytes((0, 0, kind, 0, _CLASS_IN)))
    return bytes(out)


def _u16(raw, at):
    if at + 2 > len(raw):
        raise ProtocolError("DNS answer cut off")
    return raw[at] << 8 | raw[at + 1]


def _skip_name(raw, at):
    """Index behind the name at `at`: labels up to an empty one or a pointer, which is not followed."""
    while True:
        if at >= len(raw):
            raise ProtocolError("DNS answer cut off")
        size = raw[at]
        if size >= 0xC0:
            return at + 2
        if size >= 0x40:
            raise ProtocolError("DNS label of unknown kind")
        at += 1 + size
        if size == 0:
            return at


def decode_answer(raw, number, wanted=_TYPE_A):
    """Answer to question `number` -> the first address of a kind of KINDS as text, at whatever name a chain of aliases
    ends; a link-local one of IPv6, which says no network, is none.

    Raises ProtocolError for an answer that is cut off, to another question, an error, or without an address.
    """
    if len(raw) < _HEAD_LEN or _u16(raw, 0) != number or not raw[2] & 0x80:
        raise ProtocolError("no DNS answer to this question")
    if raw[3] & 0x0F:
        raise ProtocolError("DNS error %d" % (raw[3] & 0x0F))
    at = _HEAD_LEN
    for _ in range(_u16(raw, 4)):
        at = _skip_name(raw, at) + 4
    for _ in range(_u16(raw, 6)):
        at = _skip_name(raw, at)
        kind, size = _u16(raw, at), _u16(raw, at + 8)
        at += 10
        if at + size > len(raw):
            raise ProtocolError("DNS answer cut off")
        if kind == wanted == _TYPE_A and size == 4:
            return ".".join(str(octet) for octet in raw[at : at + 4])
        if kind == wanted == _TYPE_AAAA and size == 16 and not (raw[at] == 0xFE and raw[at + 1] & 0xC0 == 0x80):
            return ":".join("%x" % _u16(raw, at + place) for place in range(0, 16, 2))
        at += size
    raise ProtocolError("DNS answer without an IPv%d address" % (4 if wanted == _TYPE_A else 6))
