"""SNTP (RFC 4330): one request, one reply. Pure; times are whole milliseconds, as a board's floats have 24 bits."""

from firmware.lib.compat import const
from firmware.lib.errors import ProtocolError

_LEN = const(48)
_UNIX_1900 = const(2208988800)


def encode_request(token):
    """Version 4, client. `token`: 8 random bytes in the transmit time's place, so that only who saw them can answer."""
    if len(token) != 8:
        raise ValueError("token has 8 bytes")
    return b"\x23" + bytes(39) + token


def decode_reply(reply, token):
    """Reply bytes -> Unix milliseconds of the server's transmit time.

    Era 0 or 1 by the top bit (RFC 4330 3), so it is right until 2104. Raises ProtocolError for a reply that is cut off,
    not to our request, not from a server (mode 4, version 3 or 4), or from one that is not synchronised itself.
    """
    if len(reply) < _LEN:
        raise ProtocolError("NTP reply of %d bytes" % len(reply))
    if bytes(reply[24:32]) != token:
        raise ProtocolError("NTP reply to another request")
    if reply[0] & 7 != 4 or reply[0] >> 3 & 7 not in (3, 4):
        raise ProtocolError("not an NTP server's reply")
    if reply[0] >> 6 == 3 or not 1 <= reply[1] <= 15:
        raise ProtocolError("NTP server is not synchronised")
    seconds = int.from_bytes(bytes(reply[40:44]), "big")
    fraction = int.from_bytes(bytes(reply[44:48]), "big")
    if seconds == 0 and fraction == 0:  # which is also the first instant of era 1, in 2036
        raise ProtocolError("NTP reply without a time")
    if seconds < 0x80000000:
        seconds += 1 << 32
    return (seconds - _UNIX_1900) * 1000 + (fraction * 1000 >> 32)
