"""What a board prints, followed over its resets and over a cable that is pulled and put in again.

Owns the port while it is open: it is opened with both control lines as the system sets them, and never touched, since a
board takes a change of one of them for its reset button; at the end they stay as they are (no hang-up on close). What
the lines say is `log_lines`'.
"""

import contextlib
import time
from collections.abc import Callable, Iterator

import serial

from host_tools.doctor.log_lines import Cutter
from host_tools.errors import HostError

_BAUD = 115200
_AGAIN_S = 0.3


def _open(port: str) -> serial.Serial:
    made = serial.Serial(port, _BAUD, timeout=0.2, exclusive=True)
    with contextlib.suppress(ImportError, OSError, ValueError):
        import termios

        modes = termios.tcgetattr(made.fileno())
        modes[2] &= ~termios.HUPCL
        termios.tcsetattr(made.fileno(), termios.TCSANOW, modes)
    return made


def follow(port: str, tell: Callable[[str], None], until_s: float | None = None) -> Iterator[str]:
    """Lines as they come, for ever or until `until_s` (monotonic). `tell` hears that the port is gone, or back.
    HostError `link` where it cannot be opened the first time."""
    cutter = Cutter()
    try:
        line = _open(port)
    except (OSError, serial.SerialException, ValueError) as error:
        raise HostError("link", "cannot open %s (%s)" % (port, error), "is the board plugged in, and the port free?")
    try:
        while until_s is None or time.monotonic() < until_s:
            try:
                yield from cutter.feed(line.read(max(1, line.in_waiting)))
            except (OSError, serial.SerialException):
                yield from cutter.end()
                _close(line)
                tell("%s is gone; waiting for it" % port)
                back = _reopened(port, until_s)
                if back is None:
                    return
                line = back
                tell("%s is back" % port)
    finally:
        _close(line)


def _close(line: serial.Serial) -> None:
    with contextlib.suppress(OSError, serial.SerialException):
        line.close()


def _reopened(port: str, until_s: float | None) -> serial.Serial | None:
    while until_s is None or time.monotonic() < until_s:
        with contextlib.suppress(OSError, serial.SerialException):
            return _open(port)
        time.sleep(_AGAIN_S)
    return None
