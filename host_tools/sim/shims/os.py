# MicroPython's `os` for simulated boards: files have the times of the board's own clock, since 2000. littlefs is given
# the host's by the interpreter; which time it was on the board the site knows, which keeps its clock.
import _board
import uos
from uos import *  # noqa: F403

_MTIME = 8


def stat(path):
    found = uos.stat(path)
    if _board.stream() is None:
        return found
    when = _board.ask("time_of", found[_MTIME])
    return found[:7] + (when, when, when)
