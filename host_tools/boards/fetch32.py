"""Fetches a true 32-bit MicroPython, Debian's i386 build, and unpacks it beside the system into `.cache/micropython32`.

An ESP32's objects are 32 bits wide and its small integers 31: sizes are measured on such a port (`bench/heap.py`) and
the firmware has to run on it. `debian` does the fetching. A machine without apt, without that archive or without 32-bit
programs goes on without: nothing here is fatal.
"""

import platform
import sys
from pathlib import Path

from host_tools import sources
from host_tools.boards import debian
from host_tools.boards.debian import Unavailable

HOME = sources.CACHE / "micropython32"
WRAPPER = HOME / "micropython"

_WRAPPER = """#!/bin/sh
# The 32-bit MicroPython in this folder, on the C library it came with
root=$(dirname "$(readlink -f "$0")")/root/usr
exec "$root/lib/i386-linux-gnu/ld-linux.so.2" --library-path "$root/lib/i386-linux-gnu" "$root/bin/micropython" "$@"
"""


def find32() -> Path | None:
    """The executable to start, when set-up could fetch it."""
    return WRAPPER if WRAPPER.is_file() else None


def check32(interpreter: Path) -> None:
    """Raise Unavailable unless it starts and has 32-bit objects."""
    try:
        widest = debian.run(str(interpreter), "-c", "import sys; print(sys.maxsize)").strip()
    except OSError as err:
        raise Unavailable(str(err)) from None
    if widest != str(2**31 - 1):
        raise Unavailable("what came is no 32-bit interpreter (sys.maxsize %s)" % widest)


def require_x86() -> None:
    """Raise Unavailable where i386 programs do not run."""
    if sys.platform != "linux" or platform.machine() not in ("x86_64", "i686"):
        raise Unavailable("i386 programs do not run on %s %s" % (sys.platform, platform.machine()))


def _unpack(state: Path, uri: str, home: Path) -> None:
    (home / "root").mkdir(parents=True, exist_ok=True)
    for package in debian.binaries(state, uri, "micropython"):
        debian.run("dpkg-deb", "-x", str(package), str(home / "root"))
    (home / "micropython").write_text(_WRAPPER)
    (home / "micropython").chmod(0o755)
    check32(home / "micropython")


def fetch32() -> Path:
    """Path of the interpreter, fetched unless it is there. Raises Unavailable."""
    if not WRAPPER.is_file():
        require_x86()
        debian.fetch(HOME, _unpack)
    return WRAPPER


def main() -> None:
    """Part of set-up; says what happened, never fails."""
    was_there = WRAPPER.is_file()
    try:
        path = fetch32()
    except Unavailable as err:
        print("32-bit MicroPython: not here (%s); the tests and figures that need it are left out" % err)
    else:
        if not was_there:
            print("fetched 32-bit MicroPython:", path)


if __name__ == "__main__":
    main()
