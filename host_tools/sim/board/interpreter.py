"""Which MicroPython simulated boards run on, and how it is called."""

import os
import sys
from pathlib import Path

SHIMS = Path(__file__).resolve().parent.parent / "shims"


class SimError(Exception):
    """The simulator cannot do what was asked; the text says what to do about it."""


def interpreter() -> str:
    """Path of the MicroPython unix port: GATEHOUSE_MICROPYTHON, else the one beside this Python."""
    given = os.environ.get("GATEHOUSE_MICROPYTHON")
    path = Path(given) if given else Path(sys.executable).parent / "micropython"
    if not path.is_file():
        raise SimError("no MicroPython at %s; run `make setup`, or set GATEHOUSE_MICROPYTHON" % path)
    return str(path.absolute())


def command(heapsize: str | None, *arguments: str) -> list[str]:
    """Argument list of a MicroPython process; `heapsize` as its -X option takes it (64k, 2M)."""
    return [interpreter(), *(["-X", "heapsize=" + heapsize] if heapsize else []), *arguments]
