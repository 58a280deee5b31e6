"""What MicroPython has built in and CPython lacks, what its releases do differently, and how a module is let go of.
Owns nothing else.
"""

import gc
import json
import sys

from firmware.lib.errors import ProtocolError

try:
    from micropython import const
except ImportError:

    def const(value):  # type: ignore[misc]
        """CPython: the value itself. MicroPython folds the call away when compiling."""
        return value


_SMALL_HEAP = const(262144)  # bytes; main.py, which imports nothing of ours, has it too


def has_small_heap():
    """True for a board without PSRAM, whose firmware is frozen and whose heap is 104 KiB (docs/spec/budgets.md)."""
    return hasattr(gc, "mem_free") and gc.mem_free() + gc.mem_alloc() < _SMALL_HEAP


_MAX_BRACKETS = const(200)


def loads_object(text):
    """The JSON object in `text` (str), of at most 200 brackets. Raises ValueError for anything else.

    MicroPython 1.25 takes an object that ends too early, as `{"a":`, for a whole one; later releases refuse it. Hence
    the neighbour: inside an unfinished object it is out of place. MicroPython, 1.29 too, reads the two escapes of a
    character past U+FFFF, as an emoji's, as two characters that no UTF-8 has; so they are joined before.
    """
    if text.count("[") + text.count("{") > _MAX_BRACKETS:  # each may become 50 bytes of heap
        raise ValueError("too many brackets")
    at = text.find("\\u")
    while at >= 0:
        pair = text[at + 2 : at + 6] + text[at + 8 : at + 12]
        before = at
        while before and text[before - 1] == "\\":
            before -= 1
        if not (at - before) & 1 and len(pair) == 8 and text[at + 6 : at + 8] == "\\u":
            point = int(pair, 16) - 0xD800DC00  # ValueError, as for any other fault
            if not point & ~0x3FF03FF:
                text = text[:at] + chr(0x10000 + (point >> 6 & 0xFFC00 | point & 0x3FF)) + text[at + 12 :]
        at = text.find("\\u", at + 1)
    value, _ = json.loads("[%s,0]" % text)
    if not isinstance(value, dict):
        raise ValueError("not a JSON object")
    return value


def is_whole(value, low, high):
    """Whether `value` is a whole number from `low` to `high`; true and false are none."""
    return isinstance(value, int) and not isinstance(value, bool) and low <= value <= high


def is_shown(text):
    """Whether a text shows itself and nothing else: no control, bidi mark, end of a line or half of a surrogate pair.

    In place of `str.isprintable`, which MicroPython lacks; the host's rule for names (`host_tools.text`) is stricter.
    """
    for sign in text:
        at = ord(sign)
        if at < 0x20 or 0x7F <= at < 0xA0 or at in (0x61C, 0x200E, 0x200F, 0xFEFF) or 0xD800 <= at < 0xE000:
            return False
        if 0x2028 <= at < 0x202F or 0x2060 <= at < 0x2070:
            return False
    return True


def row(table, word):
    """What stands behind `word` in its line of a table that is text, or None: a constant text takes no RAM from a board
    whose firmware is frozen, a dict takes eight bytes for each row.
    """
    at = table.find("\n%s " % word)
    if at < 0 or " " in word or "\n" in word:
        return None
    at += len(word) + 2
    return table[at : table.find("\n", at)]


def unload(names):
    """Let go of modules that were needed for a moment; whoever needs them again imports them again.

    A module is held by `sys.modules` and by its package, which has it as an attribute.
    """
    for name in names:
        if name in sys.modules:
            parent, _, leaf = name.rpartition(".")
            del sys.modules[name]
            if hasattr(sys.modules[parent], leaf):
                delattr(sys.modules[parent], leaf)


def decode_utf8(buf):
    """Bytes -> str. Raises ProtocolError on anything that RFC 3629 forbids.

    MicroPython's own `decode` lets overlong forms and surrogates pass, CPython's does not.
    """
    if not buf or max(buf) < 0x80:  # nearly always, and a loop of ours takes twenty times as long
        return str(bytes(buf), "ascii")
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
