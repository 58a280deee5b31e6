"""One line per event: `  12.408 I link connected addr=aa:bb:cc:dd:ee:ff rssi_dbm=-61` (CONTRIBUTING.md, "Logging and
settings").

Owns the line's form, the level, and how many lines there may be: 20 a second, a hundred at once (security.md LOG-4);
lines beyond that are counted, and the count is printed later. Only this module and command lines print. A silent level
costs one comparison: the values arrive as arguments and are turned into text only for a line that is written.
"""

import io
import sys

from firmware.lib.compat import const
from firmware.system.timing import ticks_diff, ticks_ms

DEBUG = const(10)
INFO = const(20)
WARN = const(30)
ERROR = const(40)

_LINE_MS = const(50)
_BURST_MS = const(5000)


def address_text(address):
    """Six bytes in printed order -> `aa:bb:cc:dd:ee:ff`."""
    return ":".join("%02x" % octet for octet in address)


def _text(value):
    if isinstance(value, (bytes, bytearray, memoryview)):
        return address_text(value) if len(value) == 6 else "".join("%02x" % octet for octet in value)
    if isinstance(value, Exception):
        value = "%s: %s" % (type(value).__name__, value)
    text = str(value)
    for char in text:
        if char <= " " or char == "\x7f":
            return '"%s"' % _plain(text).replace('"', "'")
    return text or '""'


def _plain(text):
    """`text` without control characters, which could pass for lines of their own."""
    return "".join(char if " " <= char != "\x7f" else " " for char in text)


class Area:
    """A named part of the firmware that logs. Get one from `Log.area`."""

    def __init__(self, log, name):
        self._log = log
        self._name = name

    def debug(self, word, **values):
        """Frames, as lengths and opcodes."""
        if self._log.level <= DEBUG:
            self._log.write("D", self._name, word, values)

    def info(self, word, **values):
        """A change someone would ask about."""
        if self._log.level <= INFO:
            self._log.write("I", self._name, word, values)

    def warn(self, word, **values):
        """Handled, but should be rare."""
        if self._log.level <= WARN:
            self._log.write("W", self._name, word, values)

    def error(self, word, **values):
        """Something was lost."""
        if self._log.level <= ERROR:
            self._log.write("E", self._name, word, values)

    def crash(self, word, err, **values):
        """An error nobody expected, with its traceback on the lines that follow."""
        values["err"] = err
        self.error(word, **values)
        self._log.write_traceback(err)


class Log:
    """Where lines go: to `sink`, which may be replaced. `clock_ms` may wrap; the printed time does not, as long as
    `pass_time` is called now and then."""

    def __init__(self, clock_ms=None, sink=print, level=INFO):
        self.level = level
        self._clock_ms = clock_ms or ticks_ms
        self.sink = sink
        self._last_ms = self._clock_ms()
        self._up_ms = 0
        self._credit_ms = _BURST_MS
        self._suppressed = 0
        self.dropped = 0

    def area(self, name):
        """A logger whose lines carry `name`."""
        return Area(self, name)

    def write(self, letter, name, word, values):
        """Write one line; `values` is a dict, printed in the order of its sorted keys."""
        self.pass_time()
        if self._suppressed and self._credit_ms >= 2 * _LINE_MS:
            lines, self._suppressed = self._suppressed, 0
            self.write("W", "log", "suppressed", {"lines": lines})
        if not self._may_write():
            return
        line = "%4d.%03d %s %s %s" % (self._up_ms // 1000, self._up_ms % 1000, letter, name, word)
        for key in sorted(values):
            line += " %s=%s" % (key, _text(values[key]))
        self.sink(line)

    def pass_time(self):
        """Read the clock; at least every six days, as ticks wrap."""
        now_ms = self._clock_ms()
        passed_ms = ticks_diff(now_ms, self._last_ms)
        self._up_ms += passed_ms
        self._last_ms = now_ms
        self._credit_ms = min(_BURST_MS, self._credit_ms + max(0, passed_ms))

    def _may_write(self):
        if self._credit_ms < _LINE_MS:
            self._suppressed += 1
            self.dropped += 1
            return False
        self._credit_ms -= _LINE_MS
        return True

    def write_traceback(self, err):
        """Write the traceback of `err`, each line indented so that it cannot be taken for an event or a reply."""
        try:
            out = io.StringIO()
            sys.print_exception(err, out)
            text = out.getvalue()
        except AttributeError:  # CPython
            import traceback

            text = "".join(traceback.format_exception(type(err), err, err.__traceback__))
        for line in text.split("\n"):
            if line and self._may_write():
                self.sink("    | " + _plain(line))
