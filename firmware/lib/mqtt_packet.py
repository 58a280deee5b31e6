"""MQTT 3.1.1 control packets: bytes <-> values. Owns the encoding and the limits on what arrives; sockets, time and
retries belong to `net/mqtt.py`. "MQTT 3.8" is a section of the OASIS standard.
"""

from firmware.lib.compat import const, decode_utf8
from firmware.lib.errors import ProtocolError

CONNACK = const(2)
PUBLISH = const(3)
PUBACK = const(4)
PUBREL = const(6)
SUBACK = const(9)
PINGRESP = const(13)

PINGREQ = b"\xc0\x00"
DISCONNECT = b"\xe0\x00"

_MAX_TOPIC = const(128)  # security.md CMD-8
_MAX_PAYLOAD = const(1024)
_MAX_SUBSCRIPTIONS = const(16)
_MAX_PUBLISH = const(2 + _MAX_TOPIC + 2 + _MAX_PAYLOAD)
_MAX_REMAINING = const(268435455)  # what four length bytes can say (MQTT 2.2.3)


class Packet:
    """One packet from the broker. For PUBLISH: topic (str), payload (bytes), retain, qos, dup, pid. For PUBACK and
    PUBREL: pid. For SUBACK: pid and codes (bytes). For CONNACK: session_present and codes (one byte).

    A PUBLISH whose topic is None was skipped: it is over the limits, or its topic is none that we could mean. It is
    acknowledged like any other.
    """

    __slots__ = ("type", "topic", "payload", "retain", "qos", "dup", "pid", "codes", "session_present")

    def __init__(self, type):
        self.type = type
        self.topic = None
        self.payload = b""
        self.retain = False
        self.qos = 0
        self.dup = False
        self.pid = 0
        self.codes = b""
        self.session_present = False


def _max_len(type):
    """The longest body that a packet type from a broker may have; other types are a breach of the protocol, None. A
    longer PUBLISH than we take is no breach: its bytes are skipped."""
    if type == PUBLISH:
        return _MAX_REMAINING
    if type == SUBACK:
        return 2 + _MAX_SUBSCRIPTIONS
    if type == PINGRESP:
        return 0
    return 2 if type in (CONNACK, PUBACK, PUBREL) else None


class Parser:
    """Cuts what arrives into packets. Holds one buffer of fixed size: of a PUBLISH that declares more than it takes, no
    more is stored than its acknowledgement needs; any other packet that declares too much is refused when its last
    length byte arrives, before any of the body is stored (security.md CMD-8, T-MEM-2).
    """

    def __init__(self):
        self._body = bytearray(_MAX_PUBLISH)
        self.reset()

    def reset(self):
        """Forget a half-read packet: a new connection begins."""
        self._first = 0  # no packet begins with it
        self._shift = 0
        self._length = 0
        self._in_body = False
        self._used = 0
        self._pid_at = 0  # in a body that is skipped

    def feed(self, part):
        """Bytes as they came from the stream -> list of complete packets.

        Raises ProtocolError; after that the connection must be closed, as there is no way back into step (MQTT 4.8).
        """
        packets = []
        at = 0
        part = memoryview(part)
        while at < len(part):
            if not self._in_body:
                self._header(part[at])
                at += 1
            if self._in_body:
                take = min(self._length - self._used, len(part) - at)
                is_skipped = self._length > _MAX_PUBLISH
                if is_skipped:
                    self._skip(part[at : at + take])
                else:
                    self._body[self._used : self._used + take] = part[at : at + take]
                self._used += take
                at += take
                if self._used == self._length:
                    body = memoryview(self._body)[: 4 if is_skipped else self._length]
                    packets.append(_skipped(self._first, body) if is_skipped else _decode(self._first, body))
                    self.reset()
        return packets

    def _skip(self, part):
        """Of a body that is not kept, keep the length of the topic (bytes 0, 1) and the packet id behind it (2, 3)."""
        if self._pid_at and self._used >= self._pid_at + 2:  # both are known: a long message costs by its reading
            return
        for place in range(4):
            if place == 2:
                if self._used + len(part) < 2:
                    return
                self._pid_at = 2 + _u16(self._body, 0)
                _need(self._pid_at + (2 if self._first & 6 else 0) <= self._length)
            at = (place if place < 2 else self._pid_at + place - 2) - self._used
            if 0 <= at < len(part):
                self._body[place] = part[at]

    def _header(self, octet):
        if not self._first:
            if _max_len(octet >> 4) is None or (octet >> 4 == PUBLISH and octet & 6 == 6):  # there is no QoS 3
                raise ProtocolError("unexpected MQTT packet type %d" % (octet >> 4))
            self._first = octet
            return
        self._length |= (octet & 0x7F) << self._shift
        self._shift += 7
        if self._length > _max_len(self._first >> 4):
            raise ProtocolError("MQTT packet too long")
        if octet & 0x80:
            if self._shift >= 28:
                raise ProtocolError("MQTT length of more than four bytes")
        else:
            self._in_body = True


def _decode(first, body):
    packet = Packet(first >> 4)
    if packet.type == PUBLISH:
        _decode_publish(packet, first & 0x0F, body)
        return packet
    if first & 0x0F != (2 if packet.type == PUBREL else 0):
        raise ProtocolError("MQTT flags are wrong")
    if packet.type == CONNACK:
        _need(len(body) == 2 and body[0] <= 1)
        packet.session_present = body[0] == 1
        packet.codes = bytes(body[1:])
    elif packet.type == PUBACK or packet.type == PUBREL:
        _need(len(body) == 2)
        packet.pid = _u16(body, 0)
    elif packet.type == SUBACK:
        _need(len(body) >= 3)
        packet.pid = _u16(body, 0)
        packet.codes = bytes(body[2:])
    return packet


def _decode_publish(packet, flags, body):
    """MQTT 3.3. A topic with a wildcard or a NUL, or that is no text, is skipped, not refused: some brokers pass on
    what others should not have sent, and a message must not take the gateway off line (decisions.md DEC-15).
    """
    packet.dup = bool(flags & 8)
    packet.qos = flags >> 1 & 3
    packet.retain = bool(flags & 1)
    _need(len(body) >= 2)
    size = _u16(body, 0)
    at = 2 + size
    _need(at <= len(body))
    if packet.qos:
        _need(at + 2 <= len(body))
        packet.pid = _u16(body, at)
        _need(packet.pid > 0)
        at += 2
    if not 0 < size <= _MAX_TOPIC or len(body) - at > _MAX_PAYLOAD:
        return
    try:
        topic = decode_utf8(body[2 : 2 + size])
    except ProtocolError:
        return
    if not ("#" in topic or "+" in topic or "\0" in topic):
        packet.topic = topic
        packet.payload = bytes(body[at:])


def _skipped(first, kept):
    """The Packet of a PUBLISH whose body was not kept but for `kept`: the length of its topic, its packet id."""
    packet = Packet(PUBLISH)
    packet.dup = bool(first & 8)
    packet.qos = first >> 1 & 3
    packet.retain = bool(first & 1)
    if packet.qos:
        packet.pid = _u16(kept, 2)
        _need(packet.pid > 0)
    return packet


def _need(condition):
    if not condition:
        raise ProtocolError("MQTT packet broken")


def _u16(buf, at):
    return buf[at] << 8 | buf[at + 1]


def _packet(first, *parts, more=0):
    """The packet in one piece, each part of its body copied once; `more` octets of the body follow."""
    size = more + sum([len(part) for part in parts])
    head = bytearray([first])
    while size > 0x7F:
        head.append(size & 0x7F | 0x80)
        size >>= 7
    head.append(size)
    return b"".join((bytes(head),) + parts)


def _number(value):
    if not 0 <= value <= 0xFFFF:
        raise ValueError("not a 16-bit number")
    return bytes([value >> 8, value & 0xFF])


def _text(value):
    raw = value.encode() if isinstance(value, str) else bytes(value)
    return _number(len(raw)) + raw


def encode_connect(client_id, keepalive_s, user=None, password=None, will=None):
    """CONNECT (MQTT 3.1), clean session always on (security.md CMD-6). `will` is (topic, payload, retain, qos) or
    None."""
    flags = 0x02
    tail = _text(client_id)
    if will:
        topic, payload, retain, qos = will
        flags |= 0x04 | qos << 3 | (0x20 if retain else 0)
        tail += _text(topic) + _text(payload)
    if user is not None:
        flags |= 0x80
        tail += _text(user)
        if password is not None:
            flags |= 0x40
            tail += _text(password)
    return _packet(0x10, b"\x00\x04MQTT\x04" + bytes([flags]) + _number(keepalive_s) + tail)


def encode_subscribe(pid, topics, qos=1):
    """SUBSCRIBE (MQTT 3.8) to a list of filters, at most 16 so that the answer fits its limit."""
    if not 0 < len(topics) <= _MAX_SUBSCRIPTIONS:
        raise ValueError("1 to %d filters" % _MAX_SUBSCRIPTIONS)
    return _packet(0x82, _number(pid), *[_text(topic) + bytes([qos]) for topic in topics])


def encode_publish(topic, payload, retain=False, qos=0, pid=0, dup=False):
    """PUBLISH (MQTT 3.3); `pid` counts for QoS 1 only."""
    if qos not in (0, 1) or (qos and not pid):
        raise ValueError("QoS 0, or QoS 1 with a packet id")
    raw = payload.encode() if isinstance(payload, str) else payload
    first = 0x30 | (8 if dup else 0) | qos << 1 | (1 if retain else 0)
    return _packet(first, _text(topic), _number(pid) if qos else b"", raw)


def encode_publish_head(topic, size, retain, pid):
    """PUBLISH of QoS 1 up to its payload, of which `size` octets follow."""
    return _packet(0x33 if retain else 0x32, _text(topic), _number(pid), more=size)


def encode_ack(pid, first=0x40):
    """PUBACK (MQTT 3.4); PUBREC (MQTT 3.5) and PUBCOMP (MQTT 3.7) with the first byte 0x50, 0x70."""
    return _packet(first, _number(pid))
