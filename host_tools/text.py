"""Text from outside: names that people, files, topics and radios bring. Owns what a name may be, when two names are the
same, how a string is made safe to show or to name a file, and how a name picks one of several things.

Names are checked once, where they come in (`name`, `tidy`), and escaped once, where they go out (`printable`, which
only `screen` calls).
"""

import codecs
import re
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from typing import Generic, TypeVar

from host_tools.errors import HostError

MAX_NAME = 64  # characters
MAX_LINE = 2000  # characters of one line or cell on the screen
_MAX_NEAR = 8  # suggestions in an error
_JOINERS = "\u200c\u200d"  # between the parts of an emoji, and in Persian and Indic words
_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # begins with the mark of UTF-16
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_UNSAFE = ("Cc", "Cf", "Cs", "Zl", "Zp")  # control, format (bidi marks), lone surrogates, line and paragraph ends

T = TypeVar("T")


def is_safe(sign: str) -> bool:
    """Whether a character only shows itself: no control, no bidi mark, no half of a surrogate pair."""
    return sign in _JOINERS or unicodedata.category(sign) not in _UNSAFE


def printable(value: object, limit: int = MAX_LINE) -> str:
    """Anything as one line that a terminal cannot misread: unsafe ones as `\\x1b` or `\\u202e`.

    What is longer than `limit` characters is cut, with `…`.
    """
    text = value if isinstance(value, str) else str(value)
    if len(text) > limit:
        text = text[: limit - 1] + "…"
    if text.isascii() and text.isprintable():
        return text
    return "".join(sign if is_safe(sign) else _escaped(sign) for sign in text)


def _escaped(sign: str) -> str:
    point = ord(sign)
    return "\\x%02x" % point if point < 0x100 else "\\u%04x" % point if point < 0x10000 else "\\U%08x" % point


def name(value: str, what: str = "name", limit: int = MAX_NAME) -> str:
    """A name that somebody gives to something: NFC, blanks joined, 1 to `limit` characters, nothing unsafe.

    Raises HostError `bad_request` that names the character and its place.
    """
    text = " ".join(unicodedata.normalize("NFC", _paired(value)).split(" ")).strip()
    for place, sign in enumerate(text):
        if not is_safe(sign):
            fault = "the %s has the character %s at place %d" % (what, _escaped(sign), place + 1)
            raise HostError("bad_request", fault, "leave out what cannot be seen")
    text = " ".join(text.split())
    if not text:
        raise HostError("bad_request", "the %s is empty" % what)
    if len(text) > limit:
        raise HostError("bad_request", "the %s has %d characters; %d at most" % (what, len(text), limit))
    return text


def tidy(value: object, limit: int = MAX_NAME) -> str:
    """A name as a file, a radio or a topic has it, made one that `name` takes; "" for what is no text or empty."""
    if not isinstance(value, str):
        return ""
    text = unicodedata.normalize("NFC", _paired(value[: 8 * limit]))
    text = "".join(sign if is_safe(sign) else " " for sign in text)
    return " ".join(text.split())[:limit].rstrip()


def clipped(value: str, limit: int) -> str:
    """The beginning of a text that has at most `limit` bytes as UTF-8, whole characters only."""
    return value.encode()[:limit].decode(errors="ignore").rstrip()


def _paired(text: str) -> str:
    """Surrogate pairs as the characters that they mean; a lone half stays."""
    try:
        return text.encode("utf-16", "surrogatepass").decode("utf-16")
    except UnicodeDecodeError:
        return text


def key(text: str) -> str:
    """What two names have in common that people take for the same: case, ß and ss, composed and decomposed letters,
    blanks."""
    folded = unicodedata.normalize("NFD", text).casefold()
    return " ".join(unicodedata.normalize("NFC", folded).split())


def file_part(text: str) -> str:
    """A name as a part of a file's name: letters, digits, `-` and `_`, so that it can leave no folder; never empty."""
    part = re.sub(r"[^\w-]+", "-", unicodedata.normalize("NFC", tidy(text))).strip("-")
    return part[:60] or "unnamed"


def decoded(raw: bytes) -> str:
    """A text file of any program: UTF-8, UTF-16 and UTF-32 with or without their mark. Raises ValueError."""
    for mark, encoding in _MARKS:
        if raw.startswith(mark):
            return raw.decode(encoding)
    if len(raw) >= 2 and 0 in raw[:2]:  # text in UTF-16 begins with a character below 256
        return raw.decode("utf-16-be" if raw[0] == 0 else "utf-16-le")
    return raw.decode("utf-8")


class NoSuchName(HostError, Generic[T]):
    """Nothing has this name; `near` is what it might be the beginning or a part of."""

    def __init__(self, code: str, text: str, todo: str, near: Sequence[T]) -> None:
        super().__init__(code, text, todo)
        self.near = near


def pick(
    wanted: str,
    things: Iterable[T],
    names_of: Callable[[T], Iterable[str]],
    shown: Callable[[T], str],
    what: str,
    code: str = "unknown_name",
    todo: str = "",
) -> T:
    """The one thing of which one of `names_of` is `wanted`; never by a part of a name, never by an empty one.

    Raises HostError `bad_request` when the name is empty or several things have it, `NoSuchName` when none has it:
    both list the choices as `shown` names them. `what` is the word for such a thing, with its article ("a lock").
    """
    sought = key(wanted)
    if not sought:
        raise HostError("bad_request", "an empty name is not the name of %s" % what, todo)
    known = list(things)
    fitting = [each for each in known if sought in map(key, names_of(each))]
    if len(fitting) == 1:
        return fitting[0]
    if fitting:
        listed = _listed(fitting, shown)
        raise HostError("bad_request", "%r is the name of several: %s" % (_short(wanted), listed), "give the address")
    near = [each for each in known if any(sought in key(name) for name in names_of(each))]
    near.sort(key=lambda each: not any(key(name).startswith(sought) for name in names_of(each)))
    hint = "did you mean %s?" % _listed(near, shown) if near else todo
    raise NoSuchName(code, "%r is not the name of %s" % (_short(wanted), what), hint, near)


def _short(text: str) -> str:
    return text if len(text) <= MAX_NAME else text[:MAX_NAME] + "…"


def _listed(things: Sequence[T], shown: Callable[[T], str]) -> str:
    more = ["and %d more" % (len(things) - _MAX_NEAR)] if len(things) > _MAX_NEAR else []
    return ", ".join([shown(each) for each in things[:_MAX_NEAR]] + more)
