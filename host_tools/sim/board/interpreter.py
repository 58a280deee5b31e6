"""Which MicroPython simulated boards run on, and how it is called.

`GATEHOUSE_BUILD=frozen` chooses the 32-bit one that has the firmware frozen in (`make frozen`); such boards have no
firmware on their flash.
"""

import functools
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from host_tools import extras
from host_tools.boards import frozen

OLDEST = (1, 25)
# Prints its name, its version, and whether it has littlefs
_ASK = """
import sys
try:
    from vfs import VfsLfs2
    ok = 1
except ImportError:
    ok = 0
print(sys.implementation[0], sys.implementation[1][0], sys.implementation[1][1], ok)
"""
SHIMS = Path(__file__).resolve().parent.parent / "shims"


class SimError(Exception):
    """The simulator cannot do what was asked; the text says what to do about it. `code`: as a HostError's."""

    code = "config"


class NoInterpreter(SimError):
    """There is no MicroPython here that the firmware runs on."""

    code = extras.CODE


def is_frozen() -> bool:
    """The interpreter has the firmware in it."""
    return os.environ.get("GATEHOUSE_BUILD") == "frozen"


def interpreter(role: str = "gateway") -> str:
    """Path of the MicroPython unix port: frozen for `role`, GATEHOUSE_MICROPYTHON, the one of the wheel beside this
    Python, or the system's (Debian's package `micropython`), unless that is too old. Raises SimError."""
    if is_frozen():
        made = frozen.interpreter(role)
        if not made.is_file():
            raise SimError("no frozen build at %s; run `make frozen`" % made)
        return str(made)
    given = os.environ.get("GATEHOUSE_MICROPYTHON")
    path = Path(given) if given else Path(sys.executable).parent / "micropython"
    if path.is_file():
        return str(path.absolute())
    if given:
        raise NoInterpreter("no MicroPython at %s, which GATEHOUSE_MICROPYTHON names" % path)
    system = shutil.which("micropython")
    if system is None:
        todo = "run: %s; or, where no wheel brings it, install your system's package `micropython`" % extras.command(
            "sim"
        )
        raise NoInterpreter("there is no MicroPython for simulated boards; " + todo)
    _check(system)
    return system


@functools.cache
def _check(path: str) -> None:
    """NoInterpreter unless it is a MicroPython that the firmware runs on."""
    try:
        done = subprocess.run(
            [path, "-c", _ASK], stdin=subprocess.DEVNULL, capture_output=True, timeout=60, check=False
        )
        told = done.stdout.decode("utf-8", "replace")
    except (OSError, subprocess.TimeoutExpired):
        told = ""
    version = re.fullmatch(r"micropython (\d+) (\d+) (\d)\s*", told)
    todo = "set GATEHOUSE_MICROPYTHON to one of %d.%d or newer (a Debian from 13 on has one)" % OLDEST
    if version is None:
        raise NoInterpreter("%s is no MicroPython that starts; %s" % (path, todo))
    if (int(version[1]), int(version[2])) < OLDEST:
        raise NoInterpreter(
            "%s is MicroPython %s.%s, too old for the firmware; %s" % (path, version[1], version[2], todo)
        )
    if version[3] == "0":
        raise NoInterpreter("%s was built without littlefs, which a board's flash needs; %s" % (path, todo))


def command(heapsize: str | None, *arguments: str, role: str = "gateway") -> list[str]:
    """Argument list of a MicroPython process; `heapsize` as its -X option takes it (64k, 2M)."""
    return [interpreter(role), *(["-X", "heapsize=" + heapsize] if heapsize else []), *arguments]
