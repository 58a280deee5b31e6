"""The V3 envelope around every message: header, command, payload, CRC, trailer.

Owns building and checking one whole frame, cutting it into chunks, finding frames in a stream of chunks, and both CRC
tables: the correct one and the one that real locks carry. Which of the two a sender uses is decided by `ble.link` and
the lock's session; encryption is `crypto`'s. Source: lock-ble-link.md 3.2, 3.3, 4.1, 4.3; vectors of kind "crc".
"""

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
_PARTIAL_MS = const(2000)
_VENDOR_INDEX = const(33)  # the entry that differs in the vendor's library, 0x07 for 0x7D
_VENDOR_ENTRY = const(0x07)

# CRC-8/MAXIM: polynomial x^8+x^5+x^4+1, reflected (0x8C shifting right), init 0, no final XOR
CRC_TABLE = (
    b"\x00\x5e\xbc\xe2\x61\x3f\xdd\x83\xc2\x9c\x7e\x20\xa3\xfd\x1f\x41"
    b"\x9d\xc3\x21\x7f\xfc\xa2\x40\x1e\x5f\x01\xe3\xbd\x3e\x60\x82\xdc"
    b"\x23\x7d\x9f\xc1\x42\x1c\xfe\xa0\xe1\xbf\x5d\x03\x80\xde\x3c\x62"
    b"\xbe\xe0\x02\x5c\xdf\x81\x63\x3d\x7c\x22\xc0\x9e\x1d\x43\xa1\xff"
    b"\x46\x18\xfa\xa4\x27\x79\x9b\xc5\x84\xda\x38\x66\xe5\xbb\x59\x07"
    b"\xdb\x85\x67\x39\xba\xe4\x06\x58\x19\x47\xa5\xfb\x78\x26\xc4\x9a"
    b"\x65\x3b\xd9\x87\x04\x5a\xb8\xe6\xa7\xf9\x1b\x45\xc6\x98\x7a\x24"
    b"\xf8\xa6\x44\x1a\x99\xc7\x25\x7b\x3a\x64\x86\xd8\x5b\x05\xe7\xb9"
    b"\x8c\xd2\x30\x6e\xed\xb3\x51\x0f\x4e\x10\xf2\xac\x2f\x71\x93\xcd"
    b"\x11\x4f\xad\xf3\x70\x2e\xcc\x92\xd3\x8d\x6f\x31\xb2\xec\x0e\x50"
    b"\xaf\xf1\x13\x4d\xce\x90\x72\x2c\x6d\x33\xd1\x8f\x0c\x52\xb0\xee"
    b"\x32\x6c\x8e\xd0\x53\x0d\xef\xb1\xf0\xae\x4c\x12\x91\xcf\x2d\x73"
    b"\xca\x94\x76\x28\xab\xf5\x17\x49\x08\x56\xb4\xea\x69\x37\xd5\x8b"
    b"\x57\x09\xeb\xb5\x36\x68\x8a\xd4\x95\xcb\x29\x77\xf4\xaa\x48\x16"
    b"\xe9\xb7\x55\x0b\x88\xd6\x34\x6a\x2b\x75\x97\xc9\x4a\x14\xf6\xa8"
    b"\x74\x2a\xc8\x96\x15\x4b\xa9\xf7\xb6\xe8\x0a\x54\xd7\x89\x6b\x35"
)


def crc_standard(buf, crc=0):
    """CRC of the bytes `buf` by the correct table, continuing from `crc` (lock-ble-link.md 4.3)."""
    table = CRC_TABLE
    for byte in buf:
        crc = table[crc ^ byte]
    return crc


def crc_vendor(buf, crc=0):
    """CRC of the bytes `buf` by the table of real locks, continuing from `crc`."""
    table = CRC_TABLE
    for byte in buf:
        crc ^= byte
        crc = _VENDOR_ENTRY if crc == _VENDOR_INDEX else table[crc]
    return crc


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
    raw[end] = crc_vendor(summed) if vendor else crc_standard(summed)
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
    is_standard = crc_standard(summed) == raw[end]
    is_vendor = crc_vendor(summed) == raw[end]
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
    return crc_standard(summed) != crc_vendor(summed)


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


class Reassembler:
    """`feed` it every chunk in order. `dropped` counts bytes thrown away, `pending` those that wait for the rest.

    `damaged` counts what began and was no frame: a header that led to none, or a run of bytes before one. A caller who
    gives the time (milliseconds of any clock, wrapping or not) never waits longer than 2 s for the rest of a frame.
    """

    def __init__(self):
        self._buf = bytearray(MAX_FRAME)
        self._view = memoryview(self._buf)
        self._used = 0
        self._in_noise = False
        self._began_ms = 0
        self.dropped = 0
        self.damaged = 0

    @property
    def pending(self):
        """Bytes held of a frame that is not complete."""
        return self._used

    def reset(self):
        """Forget what is held (link gone, or the part grew too old)."""
        self.dropped += self._used
        self._used = 0
        self._in_noise = False

    def expire(self, now_ms):
        """Forget a part of a frame whose first byte came too long ago (security.md PAR-1)."""
        if self._used and not 0 <= now_ms - self._began_ms < _PARTIAL_MS:
            self.reset()

    def feed(self, part, now_ms=None):
        """Take one chunk; return the complete raw frames it finished, as a list of bytes."""
        frames: list = []
        if now_ms is not None:
            self.expire(now_ms)
        was_empty = self._used == 0
        part = memoryview(part)
        at = 0
        while at < len(part):
            taken = min(len(part) - at, MAX_FRAME - self._used)
            end = self._used + taken
            self._buf[self._used : end] = part[at : at + taken]
            self._used = end
            at += taken
            self._collect(frames)  # leaves less than one frame, so there is room again
        if (frames or was_empty) and now_ms is not None:
            self._began_ms = now_ms
        return frames

    def _collect(self, frames):
        start = 0
        while True:
            start = self._find_header(start)
            held = self._used - start
            if held > 2 and self._buf[start + 2] < _FIRST_TYPE:
                start = self._skip(start)
                continue
            if held < _HEADER_LEN:
                break
            total = _HEADER_LEN + self._buf[start + 11] + _TAIL_LEN
            if held < total:
                break
            end = start + total
            if self._buf[end - 2] != 0x0D or self._buf[end - 1] != 0x0A:
                start = self._skip(start)
                continue
            frames.append(bytes(self._view[start:end]))
            self._in_noise = False
            start = end
        if start:
            rest = self._used - start
            self._buf[:rest] = bytes(self._view[start : self._used])
            self._used = rest

    def _skip(self, start):
        self.dropped += 2
        self.damaged += 1
        self._in_noise = True
        return start + 2

    def _find_header(self, start):
        """Index of the next 7F 5A at or after `start`, or of a lone trailing 7F, or the end."""
        buf = self._buf
        last = self._used - 1
        at = start
        while at <= last and not (buf[at] == 0x7F and (at == last or buf[at + 1] == 0x5A)):
            at += 1
        if at > start:
            self.dropped += at - start
            if not self._in_noise:
                self.damaged += 1
                self._in_noise = True
        return at
