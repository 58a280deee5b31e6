"""Which MicroPython simulated boards run on, and how it is called.

`GATEHOUSE_BUILD=frozen` chooses the 32-bit one that has the firmware frozen in (`make frozen`); such boards have no
firmware on their flash.
"""

import os
import sys
from pathlib import Path

from host_tools.boards import frozen

SHIMS = Path(__file__).resolve().parent.parent / "shims"


class SimError(Exception):
    """The simulator cannot do what was asked; the text says what to do about it."""


def is_frozen() -> bool:
    """The interpreter has the firmware in it."""
    return os.environ.get("GATEHOUSE_BUILD") == "frozen"


def interpreter(role: str = "gateway") -> str:
    """Path of the MicroPython unix port: frozen for `role`, GATEHOUSE_MICROPYTHON, or the one beside this Python."""
    if is_frozen():
        made = frozen.interpreter(role)
        if not made.is_file():
            raise SimError("no frozen build at %s; run `make frozen`" % made)
        return str(made)
    given = os.environ.get("GATEHOUSE_MICROPYTHON")
    path = Path(given) if given else Path(sys.executable).parent / "micropython"
    if not path.is_file():
        raise SimError("no MicroPython at %s; run `make setup`, or set GATEHOUSE_MICROPYTHON" % path)
    return str(path.absolute())


def command(heapsize: str | None, *arguments: str, role: str = "gateway") -> list[str]:
    """Argument list of a MicroPython process; `heapsize` as its -X option takes it (64k, 2M)."""
    return [interpreter(role), *(["-X", "heapsize=" + heapsize] if heapsize else []), *arguments]
