"""Runs first on every start: puts the active slot on sys.path, unless the application keeps crashing.

Imports nothing of ours, so that it works whatever state the slot is in. `main.py` notes each start of the application
in the RTC's memory, which survives resets but not a power cut; several short runs in a row mean a crash loop, and then
the slot stays off the path, `main.py` does not start the application and the board stays at its prompt, where it can be
repaired. Switching the power off and on, or a reset a minute later, tries again.
"""

import sys
import time

import machine

_MARK = b"GH1"  # RTC memory: mark, starts in a row, time of the last one (4 bytes)
_QUICK_S = 60
_STARTS = 6


def _slot():
    """Folder of the active slot: the word in /slot, else /a."""
    try:
        with open("/slot") as file:
            name = file.read().strip()
    except OSError:
        name = ""
    return "/b" if name == "b" else "/a"


def _starts():
    """Short runs in a row before this start."""
    try:
        note = machine.RTC().memory()
    except AttributeError:  # a port without RTC memory has no guard
        return 0
    if len(note) != 8 or note[:3] != _MARK:
        return 0
    since_s = (int(time.time()) - int.from_bytes(note[4:8], "big")) & 0xFFFFFFFF
    if since_s > _QUICK_S:
        machine.RTC().memory(b"")
        return 0
    return note[3]


if _starts() >= _STARTS:
    print("safe mode: the application ended %d times in a row within %d s" % (_STARTS, _QUICK_S))
elif _slot() not in sys.path:
    sys.path.insert(0, _slot())
