"""JSON from outside, under hard limits. Owns grammar (RFC 8259) and bounds; what the members mean is for others.

Not `json.loads`: MicroPython's takes `01`, raw control characters, `1e999` and the last of two equal keys, and leaves
surrogate pairs apart; and no limit could be kept while it builds its objects.
"""

from firmware.lib.compat import const, decode_utf8
from firmware.lib.errors import ProtocolError

_MAX_BYTES = const(1024)
_MAX_DEPTH = const(4)
_MAX_KEYS = const(24)
_MAX_NUMBER = const(24)  # characters
_MAX_INT_DIGITS = const(16)  # of 2^53
_SPACE = b" \t\r\n"
_DIGITS = b"0123456789"
_ESCAPES = b'"\\/bfnrt'
_ESCAPED = '"\\/\b\f\n\r\t'
_WORDS = ((b"true", True), (b"false", False), (b"null", None))


class Reader:
    """Reads one JSON object. `top` holds the finished members of the outermost object, also after a ProtocolError, so
    that a reply can carry the id of a request that is broken further on.

    Limits, source security.md CMD-8: 1024 bytes, containers nested 4 deep, 24 keys in all, strict UTF-8, no duplicate
    keys, no NaN or Infinity, integers up to 2^53.
    """

    def __init__(self, text):
        self.top = {}
        self._text = text
        self._at = 0
        self._keys = 0

    def read(self):
        """The object. Raises ProtocolError for all that is not one JSON object within the limits."""
        if len(self._text) > _MAX_BYTES:
            raise ProtocolError("JSON of %d bytes" % len(self._text))
        if self._peek() != 0x7B:
            raise ProtocolError("JSON is not an object")
        self._object(1, self.top)
        if self._peek() is not None:
            raise ProtocolError("text after the JSON object")
        return self.top

    def _peek(self):
        """The next octet that is not white space, not consumed; None at the end."""
        text = self._text
        at = self._at
        while at < len(text) and text[at] in _SPACE:
            at += 1
        self._at = at
        return text[at] if at < len(text) else None

    def _expect(self, octet):
        if self._peek() != octet:
            raise ProtocolError("JSON broken at %d" % self._at)
        self._at += 1

    def _value(self, depth):
        octet = self._peek()
        if octet == 0x22:
            return self._string()
        if octet == 0x7B or octet == 0x5B:
            if depth >= _MAX_DEPTH:
                raise ProtocolError("JSON nested too deep")
            return self._object(depth + 1, {}) if octet == 0x7B else self._array(depth + 1)
        if octet is not None and (octet == 0x2D or octet in _DIGITS):
            return self._number()
        for word, value in _WORDS:
            if bytes(self._text[self._at : self._at + len(word)]) == word:
                self._at += len(word)
                return value
        raise ProtocolError("JSON broken at %d" % self._at)

    def _object(self, depth, into):
        self._at += 1
        if self._peek() == 0x7D:
            self._at += 1
            return into
        while True:
            self._keys += 1
            if self._keys > _MAX_KEYS:
                raise ProtocolError("too many JSON keys")
            if self._peek() != 0x22:
                raise ProtocolError("JSON broken at %d" % self._at)
            key = self._string()
            if key in into:
                raise ProtocolError("duplicate JSON key")
            self._expect(0x3A)
            into[key] = self._value(depth)
            if self._peek() == 0x7D:
                self._at += 1
                return into
            self._expect(0x2C)

    def _array(self, depth):
        self._at += 1
        items: list = []
        if self._peek() == 0x5D:
            self._at += 1
            return items
        while True:
            items.append(self._value(depth))
            if self._peek() == 0x5D:
                self._at += 1
                return items
            self._expect(0x2C)

    def _string(self):
        text = self._text
        start = at = self._at + 1
        parts = []
        while True:
            if at >= len(text) or text[at] < 0x20:
                raise ProtocolError("JSON string broken")
            octet = text[at]
            if octet == 0x22:
                break
            at += 1
            if octet == 0x5C:
                parts.append(decode_utf8(text[start : at - 1]))
                self._at = at
                parts.append(self._escape())
                start = at = self._at
        parts.append(decode_utf8(text[start:at]))
        self._at = at + 1
        return "".join(parts)

    def _escape(self):
        """What follows a backslash. A surrogate must have its other half, as RFC 8259 7 describes."""
        code = self._text[self._at] if self._at < len(self._text) else 0
        self._at += 1
        if code != 0x75:
            at = _ESCAPES.find(bytes((code,)))
            if at < 0:
                raise ProtocolError("JSON escape broken")
            return _ESCAPED[at]
        point = self._hex4()
        if 0xD800 <= point < 0xDC00 and bytes(self._text[self._at : self._at + 2]) == b"\\u":
            self._at += 2
            low = self._hex4()
            if not 0xDC00 <= low < 0xE000:
                raise ProtocolError("JSON escape broken")
            point = 0x10000 + ((point & 0x3FF) << 10 | low & 0x3FF)
        if 0xD800 <= point < 0xE000:
            raise ProtocolError("JSON escape broken")
        return chr(point)

    def _hex4(self):
        digits = bytes(self._text[self._at : self._at + 4])
        self._at += 4
        point = 0
        for digit in digits:
            place = b"0123456789abcdef".find(bytes([digit | 0x20 if digit >= 0x41 else digit]))
            if place < 0:
                raise ProtocolError("JSON escape broken")
            point = point << 4 | place
        if len(digits) != 4:
            raise ProtocolError("JSON escape broken")
        return point

    def _digits(self):
        start = self._at
        while self._at < len(self._text) and self._text[self._at] in _DIGITS:
            self._at += 1
        if self._at == start:
            raise ProtocolError("JSON number broken")
        return self._at - start

    def _number(self):
        text = self._text
        start = self._at
        if text[start] == 0x2D:
            self._at += 1
        first = self._at
        count = self._digits()
        if count > 1 and text[first] == 0x30 or count > _MAX_INT_DIGITS:
            raise ProtocolError("JSON number out of range")
        whole = True
        if bytes(text[self._at : self._at + 1]) == b".":
            whole = False
            self._at += 1
            self._digits()
        if bytes(text[self._at : self._at + 1]) in (b"e", b"E"):
            whole = False
            self._at += 1
            if bytes(text[self._at : self._at + 1]) in (b"+", b"-"):
                self._at += 1
            self._digits()
        if self._at - start > _MAX_NUMBER:
            raise ProtocolError("JSON number out of range")
        literal = str(bytes(text[start : self._at]), "ascii")
        value = int(literal) if whole else float(literal)
        if not -9007199254740992 <= value <= 9007199254740992:
            raise ProtocolError("JSON number out of range")
        return value
