"""Runs first on every start: puts the active slot on sys.path, unless even minimal mode keeps crashing.

Imports nothing of ours, so that it works whatever state the slot is in. `main.py` counts each start of the application
in the RTC's memory, which survives resets but not a power cut, and the application clears the count when it has run for
a minute. After five quick resets `main.py` starts it in minimal mode; after ten the slot stays off the path, nothing of
ours runs, and the board can be repaired over its serial port. `main.py` tries again ten minutes later; so does
switching the power off and on.
"""

import sys

import machine

_MARK = b"GH2"  # RTC memory: mark, starts in a row that did not last; the rest belongs to firmware/system/restarts.py
_STARTS = 10


def _slot():
    """Folder of the active slot: the word in /slot, else /a."""
    try:
        with open("/slot") as file:
            name = file.read().strip()
    except OSError:
        name = ""
    return "/b" if name == "b" else "/a"


def _starts():
    """Quick resets in a row before this start."""
    try:
        note = machine.RTC().memory()
    except AttributeError:  # a port without RTC memory has no guard
        return 0
    return note[3] if len(note) >= 4 and note[:3] == _MARK else 0


if _starts() >= _STARTS:
    print("safe mode: the application ended %d times in a row within a minute" % _STARTS)
elif _slot() not in sys.path:
    sys.path.insert(0, _slot())
