"""Runs first on every start: puts the active slot on sys.path, unless even minimal mode keeps crashing.

Imports nothing of ours, so that it works whatever state the slot is in. `main.py` counts each start of the application
in the RTC's memory, which survives resets but not a power cut, and the application clears the count when it has run for
a minute. After five quick resets `main.py` starts it in minimal mode; after ten the slot stays off the path, nothing of
ours runs, and the board can be repaired over its serial port. `main.py` tries again ten minutes later; so does
switching the power off and on.

Firmware that an update has put into the other slot is started once on trial; if it does not say within that one start
that it works (firmware/system/slots.py has the words of /slot), the next start takes the slot of before.
"""

import os
import sys

import machine

_MARK = b"GH2"  # RTC memory: mark, starts in a row that did not last; the rest belongs to firmware/system/restarts.py
_STARTS = 10


def _word(name):
    """Replace the word in /slot, in one step. False when the flash refuses."""
    try:
        with open("/slot.new", "w") as file:
            file.write(name)
        os.rename("/slot.new", "/slot")
    except OSError:
        return False
    return True


def _count_anew():
    """What another firmware did does not count against the one that is about to start."""
    try:
        note = machine.RTC().memory()
        if note[:3] == _MARK and len(note) >= 4:
            machine.RTC().memory(note[:3] + b"\x00" + note[4:])
    except AttributeError:
        pass


def _slot():
    """Folder of the slot to start: that of the word in /slot, else /a."""
    try:
        with open("/slot") as file:
            word = file.read().strip()
    except OSError:
        word = ""
    name, before = ("b", "a") if word[:1] == "b" else ("a", "b")
    if word[1:]:
        _count_anew()
    if word[1:] == "??":  # on trial from here, if this start is certain to be the only one
        name = name if _word(name + "?") else before
    elif word[1:] == "?":
        name = before
        _word(name)
    return "/" + name


def _starts():
    """Quick resets in a row before this start."""
    try:
        note = machine.RTC().memory()
    except AttributeError:  # a port without RTC memory has no guard
        return 0
    return note[3] if len(note) >= 4 and note[:3] == _MARK else 0


if _starts() >= _STARTS:
    print("safe mode: the application ended %d times in a row within a minute" % _STARTS)
elif "/a" not in sys.path and "/b" not in sys.path:
    sys.path.insert(0, _slot())
