# bluetooth.UUID, as extmod/modbluetooth.c of MicroPython has it. Part of the `bluetooth` shim.


def buffer(value):
    # what the C modules read through the buffer protocol, which in MicroPython a str has too
    if isinstance(value, UUID):
        return value._raw
    return value.encode() if isinstance(value, str) else bytes(memoryview(value))


def _parse(text):
    raw = bytearray(16)
    at = 32
    for char in text:
        if char == 45:  # "-"
            continue
        if 48 <= char <= 57:
            digit = char - 48
        elif 97 <= char | 32 <= 102:
            digit = (char | 32) - 87
        else:
            raise ValueError("invalid char in UUID")
        at -= 1
        if at < 0:
            raise ValueError("UUID too long")
        raw[at // 2] |= digit if at % 2 == 0 else digit << 4
    if at:
        raise ValueError("UUID too short")
    return bytes(raw)


class UUID(bytes):
    # `bytes` underneath gives it the buffer protocol
    def __init__(self, value):
        if isinstance(value, int):
            if value > 65535:
                raise ValueError("invalid UUID")
            raw = bytes((value & 0xFF, value >> 8 & 0xFF))
        else:
            raw = buffer(value)
            if len(raw) not in (2, 4, 16):
                raw = _parse(raw)
        super().__init__(raw)
        self._raw = raw

    def _key(self):
        return len(self._raw), self._raw

    def __eq__(self, other):
        return isinstance(other, UUID) and self._raw == other._raw

    def __lt__(self, other):
        return self._key() < other._key()

    def __le__(self, other):
        return self._key() <= other._key()

    def __gt__(self, other):
        return self._key() > other._key()

    def __ge__(self, other):
        return self._key() >= other._key()

    def __hash__(self):
        return hash(self._raw)

    def __repr__(self):
        text = "".join("%02x" % each for each in reversed(self._raw))
        if len(text) <= 8:
            return "UUID(0x%s)" % text
        return "UUID('%s-%s-%s-%s-%s')" % (text[:8], text[8:12], text[12:16], text[16:20], text[20:])

    __str__ = __repr__
