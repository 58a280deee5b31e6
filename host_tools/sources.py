"""Where the firmware's sources, and what is fetched or made beside them, lie: in a checkout, or in a package.

Owns these places, and whether this is a checkout. In a package what a checkout has at its top (`boot.py`, `main.py`,
`boards/`) lies in host_tools/image (pyproject.toml), and what a checkout keeps in `.cache` lies in the user's cache.
"""

import os
import re
from pathlib import Path

from firmware.version import BUILT

ROOT = Path(__file__).resolve().parent.parent  # of `firmware/` and `host_tools/`
IS_CHECKOUT = (ROOT / "pyproject.toml").is_file() and (ROOT / "boot.py").is_file()
_TOP = ROOT if IS_CHECKOUT else ROOT / "host_tools" / "image"
CACHE = ROOT / ".cache"
if not IS_CHECKOUT:
    CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "gatehouse"
LIBRARY = CACHE / "micropython-lib"  # of MicroPython's libraries, what `boards/fetch` has pinned


def top(name: str) -> Path:
    """A file at the top of the repository, such as `boot.py`."""
    return _TOP / name


def text_of(module: Path) -> str:
    """A module of the firmware as it is built: the version has the moment of SOURCE_DATE_EPOCH, where that is set and
    later, so that the same sources and the same moment give the same image (reproducible-builds.org)."""
    text = module.read_text()
    if module == ROOT / "firmware" / "version.py":
        epoch = os.environ.get("SOURCE_DATE_EPOCH", "")
        built = max(BUILT, int(epoch) if epoch.isdecimal() else 0)
        text = re.sub(r"^BUILT = \d+$", "BUILT = %d" % built, text, flags=re.MULTILINE)
    return text
