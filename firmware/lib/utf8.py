"""Strict UTF-8 (RFC 3629). MicroPython's own `decode` lets overlong forms and surrogates pass, CPython's does not."""

from firmware.lib.errors import ProtocolError


def decode_utf8(buf):
    """Bytes -> str. Raises ProtocolError on anything that RFC 3629 forbids."""
    at = 0
    end = len(buf)
    while at < end:
        lead = buf[at]
        at += 1
        if lead < 0x80:
            continue
        if 0xC2 <= lead <= 0xDF:
            more, low = 1, 0x80
        elif 0xE0 <= lead <= 0xEF:
            more, low = 2, 0x800
        elif 0xF0 <= lead <= 0xF4:
            more, low = 3, 0x10000
        else:
            raise ProtocolError("not UTF-8")
        if at + more > end:
            raise ProtocolError("UTF-8 cut short")
        point = lead & (0x3F >> more)
        for follower in buf[at : at + more]:
            if follower & 0xC0 != 0x80:
                raise ProtocolError("not UTF-8")
            point = point << 6 | follower & 0x3F
        if point < low or point > 0x10FFFF or 0xD800 <= point <= 0xDFFF:
            raise ProtocolError("not UTF-8")
        at += more
    return str(bytes(buf), "utf-8")
