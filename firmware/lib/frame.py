"""The V3 envelope around every message: header, command, payload, CRC, trailer.

Owns building and checking one whole frame and cutting it into chunks. Finding frames in a stream of chunks is
`reassembler`'s, encryption `crypto`'s. Source: lock-ble-link.md 3.2, 3.3, 4.1, 4.3.
"""

from firmware.lib import crc
from firmware.lib.compat import const
from firmware.lib.errors import ProtocolError

MAX_FRAME = 270  # 12 + 255 + 3
MAX_PAYLOAD = 255

CRC_EITHER = 0  # both tables give the byte that was received
CRC_STANDARD = 1
CRC_VENDOR = 2

_HEADER_LEN = const(12)
_TAIL_LEN = const(3)
_ENCRYPT = const(0xAA)
_FIRST_TYPE = const(5)  # lower protocol types use the legacy envelope (lock-ble-link.md 4.2)


class Frame:
    """A frame whose CRC was good; `payload` is as transmitted, encrypted."""

    __slots__ = ("command", "crc_kind", "group", "org", "payload", "protocol", "scene", "version")

    def __init__(self, command, payload, protocol, version, scene, group, org, crc_kind):
        self.command = command
        self.payload = payload
        self.protocol = protocol
        self.version = version
        self.scene = scene
        self.group = group
        self.org = org
        self.crc_kind = crc_kind


def encode(command, payload, scene=1, group=1, org=1, vendor=True, protocol=5, version=3):
    """The whole frame around the (encrypted) `payload`; the CRC by the vendor table unless `vendor` is false."""
    if len(payload) > MAX_PAYLOAD:
        raise ProtocolError("payload of %d bytes" % len(payload))
    raw = bytearray(_HEADER_LEN + len(payload) + _TAIL_LEN)
    raw[0] = 0x7F
    raw[1] = 0x5A
    raw[2] = protocol & 0xFF
    raw[3] = version & 0xFF
    raw[4] = scene & 0xFF
    raw[5:7] = (group & 0xFFFF).to_bytes(2, "big")
    raw[7:9] = (org & 0xFFFF).to_bytes(2, "big")
    raw[9] = command
    raw[10] = _ENCRYPT
    raw[11] = len(payload)
    end = _HEADER_LEN + len(payload)
    raw[_HEADER_LEN:end] = payload
    summed = memoryview(raw)[:end]
    raw[end] = crc.vendor(summed) if vendor else crc.standard(summed)
    raw[end + 1] = 0x0D
    raw[end + 2] = 0x0A
    return bytes(raw)


def decode(raw):
    """One whole frame -> Frame. Raises ProtocolError unless length, envelope, trailer and CRC are right.

    The CRC is right if either table gives it; `crc_kind` tells which. The encryption byte is not interpreted
    (lock-ble-link.md 4.1).
    """
    size = len(raw)
    if size < _HEADER_LEN + _TAIL_LEN or size != _HEADER_LEN + raw[11] + _TAIL_LEN:
        raise ProtocolError("frame of %d bytes" % size)
    end = size - _TAIL_LEN
    if raw[0] != 0x7F or raw[1] != 0x5A or raw[end + 1] != 0x0D or raw[end + 2] != 0x0A:
        raise ProtocolError("frame without header or trailer")
    if raw[2] < _FIRST_TYPE:
        raise ProtocolError("protocol type %d" % raw[2])
    summed = memoryview(raw)[:end]
    is_standard = crc.standard(summed) == raw[end]
    is_vendor = crc.vendor(summed) == raw[end]
    if is_standard:
        kind = CRC_EITHER if is_vendor else CRC_STANDARD
    elif is_vendor:
        kind = CRC_VENDOR
    else:
        raise ProtocolError("frame with bad CRC")
    payload = bytes(summed[_HEADER_LEN:])
    return Frame(raw[9], payload, raw[2], raw[3], raw[4], raw[5] << 8 | raw[6], raw[7] << 8 | raw[8], kind)


def tables_differ(raw):
    """True if the two CRC tables disagree about the whole frame `raw`."""
    summed = memoryview(raw)[: len(raw) - _TAIL_LEN]
    return crc.standard(summed) != crc.vendor(summed)


def chunks(raw, size=20, shaped=False):
    """Yield the frame `raw` in slices of at most `size` bytes (at least 2), in order.

    `shaped`, for a lock's notifications: no slice but the last ends in 0D 0A, because public clients take that for the
    end of the frame (lock-ble-link.md 3.3).
    """
    at = 0
    while at < len(raw):
        end = min(at + size, len(raw))
        if shaped and end < len(raw) and end - at > 1 and raw[end - 1] == 0x0A and raw[end - 2] == 0x0D:
            end -= 1
        yield raw[at:end]
        at = end
