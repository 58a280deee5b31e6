"""Frames on the two streams between a simulated board and the radio; the board's half is `shims/_air_stream.py`.

frame = u16 length (big endian) + value
value = tag + body:   N None   T True   F False   i i32   b u16 length + bytes
                      s u16 length + UTF-8   l u8 count + values
"""

import asyncio
import struct

Value = None | bool | int | bytes | str | list


def encode(value: object, out: bytearray | None = None) -> bytearray:
    """Append the coding of `value` to `out` (a new buffer when absent) and return the buffer."""
    out = bytearray() if out is None else out
    if value is None:
        out += b"N"
    elif value is True:
        out += b"T"
    elif value is False:
        out += b"F"
    elif isinstance(value, int):
        out += b"i" + struct.pack(">i", value)
    elif isinstance(value, (bytes, bytearray, memoryview)):
        out += b"b" + struct.pack(">H", len(value)) + bytes(value)
    elif isinstance(value, str):
        text = value.encode()
        out += b"s" + struct.pack(">H", len(text)) + text
    elif isinstance(value, (list, tuple)):
        out += b"l" + bytes((len(value),))
        for item in value:
            encode(item, out)
    else:
        raise TypeError(f"no coding for {type(value).__name__}")
    return out


def decode(body: bytes) -> list:
    """One frame body -> its list. Raises ValueError on anything that is not exactly one list."""
    try:
        value, end = _decode(body, 0)
    except (IndexError, struct.error, UnicodeDecodeError) as err:
        raise ValueError(f"frame of {len(body)} bytes: {err}") from err
    if end != len(body) or not isinstance(value, list):
        raise ValueError(f"frame of {len(body)} bytes is not one list")
    return value


def _decode(body: bytes, at: int) -> tuple[Value, int]:
    tag = body[at : at + 1]
    at += 1
    if tag in _FIXED:
        return _FIXED[tag], at
    if tag == b"i":
        return struct.unpack_from(">i", body, at)[0], at + 4
    if tag in (b"b", b"s"):
        size = struct.unpack_from(">H", body, at)[0]
        at += 2
        raw = bytes(body[at : at + size])
        if len(raw) != size:
            raise IndexError("cut short")
        return (raw if tag == b"b" else raw.decode()), at + size
    if tag != b"l":
        raise ValueError(f"unknown tag {tag!r}")
    items = []
    count = body[at]
    at += 1
    for _ in range(count):
        item, at = _decode(body, at)
        items.append(item)
    return items, at


_FIXED: dict[bytes, Value] = {b"N": None, b"T": True, b"F": False}


def frame(value: list) -> bytes:
    """One list -> the bytes of its frame."""
    body = encode(value)
    return struct.pack(">H", len(body)) + body


async def read_frame(reader: asyncio.StreamReader) -> list:
    """The next frame of a stream. Raises IncompleteReadError at its end, ValueError when it is malformed."""
    size = struct.unpack(">H", await reader.readexactly(2))[0]
    return decode(await reader.readexactly(size))
