"""Ctrl-C for a process of MicroPython's unix port: delivered where a board would take it, never where it would kill.

The port takes SIGINT only while a program runs; between a program and the prompt it dies of it. Steps of the shims
that are C code on a board must not be torn (`shims/_whole.py`). So the process is stopped, looked at, and interrupted
only if this is a moment for it; whoever asks tries again later. Owns that look; `pty_end` owns what is typed. Needs
Linux's /proc: elsewhere the terminal sends its signal unlooked at.
"""

import ctypes
import os
import signal
import time
from contextlib import suppress
from enum import Enum
from pathlib import Path

_tgkill = getattr(ctypes.CDLL(None), "tgkill", None)
CAN_LOOK = _tgkill is not None and Path("/proc/self/syscall").exists()
_STOP_S = 0.05
_LOOK_S = 0.0002
_READS = ("0", "3", "63")  # read(2), by the numbers of x86-64, i386 and arm64
_STDIN = "0x0"
_INT_BIT = 1 << signal.SIGINT - 1


class Moment(Enum):
    """What the process was doing: it was interrupted; its REPL reads; nothing was done, try again."""

    INTERRUPTED = 1
    PROMPT = 2
    LATER = 3


def _takes_interrupts(pid: int) -> bool:
    for line in Path("/proc/%d/status" % pid).read_text().splitlines():
        if line.startswith("SigCgt:"):
            return bool(int(line.split()[1], 16) & _INT_BIT)
    return False


def _syscall(pid: int) -> list[str]:
    """Number and arguments of its main thread's system call; ["-1"] outside of one, [] where that is not told."""
    try:
        words = Path("/proc/%d/syscall" % pid).read_text().split()
    except PermissionError:
        return []
    return ["-1"] if words[:1] == ["running"] else words


def _reads_stdin(pid: int) -> bool:
    words = _syscall(pid)
    return not words or (words[0] in _READS and words[1] == _STDIN)


def is_at_prompt(pid: int) -> bool:
    """The REPL waits for somebody to type."""
    try:
        return not _takes_interrupts(pid) and _reads_stdin(pid)
    except OSError:  # it has ended
        return False


def _is_stopped(pid: int) -> bool:
    return Path("/proc/%d/stat" % pid).read_text().rpartition(")")[2].split()[0] == "T"


def _is_inside_a_step(pid: int, depth_at: int) -> bool:
    try:
        with open("/proc/%d/mem" % pid, "rb", buffering=0) as memory:
            memory.seek(depth_at)
            return memory.read(1) != b"\0"
    except OSError:
        return False


def interrupt(pid: int, depth_at: int, is_urgent: bool, is_forced: bool) -> Moment:
    """Send SIGINT if the process can take it now. `depth_at`: where `_whole.depth` is in its memory.

    Interpreters up to 1.26 leave the C function that they are in at once, wherever it is; so a moment in a system call
    is preferred unless `is_urgent`. `is_forced`: also in the middle of a step, for one that does not end.
    """
    try:
        os.kill(pid, signal.SIGSTOP)
        try:
            until_s = time.monotonic() + _STOP_S
            while not _is_stopped(pid):
                if time.monotonic() > until_s:
                    return Moment.LATER
                time.sleep(_LOOK_S)
            if not _takes_interrupts(pid):
                return Moment.PROMPT if _reads_stdin(pid) else Moment.LATER
            if _is_inside_a_step(pid, depth_at) and not is_forced:
                return Moment.LATER
            if _syscall(pid) == ["-1"] and not is_urgent:
                return Moment.LATER
            assert _tgkill
            _tgkill(pid, pid, signal.SIGINT)  # to the main thread: in another one the port runs what is not its own
            return Moment.INTERRUPTED
        finally:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)
    except OSError:
        return Moment.LATER
