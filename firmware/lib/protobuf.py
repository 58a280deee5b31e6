"""Protocol Buffers, as much of them as Espressif's provisioning uses: whole numbers and octets, in either direction.

Owns the encoding of fields; what the fields of a message mean is `protocomm`'s. Stricter than the encoding's rules: a
member that comes twice is refused, since no encoder writes one. Source: protobuf.dev, "Encoding".
"""

from firmware.lib.compat import const
from firmware.lib.errors import ProtocolError

_VARINT = const(0)
_FIXED64 = const(1)
_OCTETS = const(2)
_FIXED32 = const(5)
_MAX_SHIFT = const(63)
_MASK = 0xFFFFFFFFFFFFFFFF


def varint(number):
    """A whole number, also a negative one, which takes ten bytes."""
    number &= _MASK
    made = bytearray()
    while number > 0x7F:
        made.append(number & 0x7F | 0x80)
        number >>= 7
    made.append(number)
    return bytes(made)


def whole(number, value):
    """The field `number` with a whole number."""
    return varint(number << 3 | _VARINT) + varint(value)


def octets(number, value):
    """The field `number` with octets, a text or a message."""
    return varint(number << 3 | _OCTETS) + varint(len(value)) + bytes(value)


def _read_varint(buf, at):
    value = shift = 0
    while True:
        if at >= len(buf) or shift > _MAX_SHIFT:
            raise ProtocolError("a number without an end")
        octet = buf[at]
        at += 1
        value |= (octet & 0x7F) << shift
        if octet < 0x80:
            if value > _MASK:
                raise ProtocolError("a number of more than 64 bits")
            return value, at
        shift += 7


def read(buf):
    """A message -> [(number of the field, whole number or bytes)], in order. Raises ProtocolError for what is none."""
    fields = []
    at = 0
    while at < len(buf):
        tag, at = _read_varint(buf, at)
        kind = tag & 7
        number = tag >> 3
        if not 0 < number < 1 << 29:
            raise ProtocolError("field %d" % number)
        value: object
        if kind == _VARINT:
            value, at = _read_varint(buf, at)
        else:
            if kind == _OCTETS:
                size, at = _read_varint(buf, at)
            elif kind in (_FIXED32, _FIXED64):
                size = 4 if kind == _FIXED32 else 8
            else:
                raise ProtocolError("wire type %d" % kind)
            if size > len(buf) - at:
                raise ProtocolError("a field is cut short")
            value = bytes(buf[at : at + size])
            at += size
        fields.append((number, value))
    return fields


def message(buf):
    """A message -> {number of the field: whole number or bytes}. Raises ProtocolError, also for a field that comes
    twice."""
    members: dict = {}
    for number, value in read(buf):
        if number in members:
            raise ProtocolError("field %d comes twice" % number)
        members[number] = value
    return members


def number_in(members, number):
    """The whole number of a field, 0 where it is missing. Raises ProtocolError when it is none."""
    value = members.get(number, 0)
    if not isinstance(value, int):
        raise ProtocolError("field %d is no number" % number)
    return value


def octets_in(members, number):
    """The octets of a field, none where it is missing. Raises ProtocolError when it has a number."""
    value = members.get(number, b"")
    if isinstance(value, int):
        raise ProtocolError("field %d is a number" % number)
    return value
