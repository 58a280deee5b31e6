"""One record of a journal as bytes: written once, and found again among damaged bytes.

Little-endian: magic 0xA5, u16 length, u32 number, payload, u32 CRC-32 over all before it, commit byte 0x5A
(security.md 4.3 rule 1). Used by `journal` alone, which says where the bytes go.
"""

import binascii
import struct

from firmware.lib.compat import const

_MAGIC = const(0xA5)
_MAGIC_BYTE = b"\xa5"
_COMMIT = b"\x5a"
_HEAD = "<BHI"
_HEAD_LEN = const(7)
_TAIL_LEN = const(5)
_MAX_LEN = const(1024)


def encode(seq, *parts):
    """The bytes of record `seq`, whose payload is given in parts, each of which is copied once. Raises ValueError for
    more than 1024 bytes."""
    length = sum([len(part) for part in parts])
    if length > _MAX_LEN:
        raise ValueError("journal record of %d bytes" % length)
    parts = (struct.pack(_HEAD, _MAGIC, length, seq),) + parts
    crc = 0
    for part in parts:
        crc = binascii.crc32(part, crc)
    return b"".join(parts + (struct.pack("<I", crc & 0xFFFFFFFF), _COMMIT))


def following(stream):
    """The next valid record: (number, payload, where it starts), or None at the end."""
    start = stream.tell()
    while True:
        head = stream.read(_HEAD_LEN)
        if len(head) < _HEAD_LEN:
            return None
        magic, length, number = struct.unpack(_HEAD, head)
        if magic == _MAGIC and length <= _MAX_LEN:
            body = stream.read(length + _TAIL_LEN)
            if len(body) == length + _TAIL_LEN and body[-1:] == _COMMIT:
                sum_ = struct.unpack("<I", body[length : length + 4])[0]
                if sum_ == binascii.crc32(head + body[:length]) & 0xFFFFFFFF:
                    return number, body[:length], start
        start += 1
        stream.seek(start)
        while True:  # damaged: the next magic byte may begin a record
            part = stream.read(64)
            if not part:
                return None
            at = part.find(_MAGIC_BYTE)
            if at >= 0:
                start += at
                break
            start += len(part)
        stream.seek(start)
