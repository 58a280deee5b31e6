"""Lines of a board's log: taken apart, filtered, and cut out of bytes. Pure; where they come from is for others.

`  12.408 I link connected addr=aa:bb:cc:dd:ee:ff` (firmware/system/log.py); what follows with `    | ` is a traceback
and belongs to the line before. All else is what MicroPython, a boot loader or a program printed.
"""

import re
from dataclasses import dataclass

from host_tools.errors import HostError

LEVELS = {"debug": "D", "info": "I", "warning": "W", "error": "E"}
_ORDER = "DIWE"
_LINE = re.compile(r"\s*(\d{1,9}\.\d{3}) ([DIWE]) (\S+) (.*)")
_MAX_LINE = 4096
_CONTINUED = "    | "


@dataclass(frozen=True)
class Line:
    """One line. `up_s`, `level` and `area` are None for what is no line of our log; `text` is the whole of it."""

    text: str
    up_s: float | None = None
    level: str | None = None
    area: str | None = None

    def to_json(self) -> dict:
        return {"line": self.text, "up_s": self.up_s, "level": self.level, "source": self.area}


def parse(text: str) -> Line:
    """A line as it was printed."""
    found = _LINE.fullmatch(text)
    if found is None:
        return Line(text)
    return Line(text, float(found[1]), next(word for word in LEVELS if LEVELS[word] == found[2]), found[3])


class Filter:
    """`level`: the lowest that is shown, "" for all; `sources`: areas, none for all."""

    def __init__(self, level: str = "", sources: tuple[str, ...] = ()) -> None:
        if level and level not in LEVELS:
            raise HostError("bad_request", "no level %r" % level, "there are " + ", ".join(LEVELS))
        self._least = _ORDER.index(LEVELS[level]) if level else 0
        self._sources = sources
        self._was_shown = True

    def shows(self, line: Line) -> bool:
        """Whether to show it; a traceback goes with the line before, and what is no line of the log is shown."""
        if line.level is not None:
            is_loud = _ORDER.index(LEVELS[line.level]) >= self._least
            self._was_shown = is_loud and (not self._sources or line.area in self._sources)
            return self._was_shown
        return self._was_shown if line.text.startswith(_CONTINUED) else True


class Cutter:
    """Bytes -> lines; JSON, which answers somebody's question on the console, is left out."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, part: bytes) -> list[str]:
        """The lines that are whole now."""
        *whole, rest = re.split(rb"\r\n|\n|\r", self._rest + part)
        if len(rest) > _MAX_LINE:
            whole, rest = [*whole, rest], b""
        self._rest = rest
        return [text for text in map(_decoded, whole) if text]

    def end(self) -> list[str]:
        """What is left of a line that was cut off."""
        rest, self._rest = self._rest, b""
        return [text for text in [_decoded(rest)] if text]


def _decoded(line: bytes) -> str:
    return "" if line.startswith(b"{") else line.decode(errors="replace").rstrip()
