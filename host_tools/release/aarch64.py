"""`make aarch64`: whether a Raspberry Pi gets by with wheels, for the command line alone and for its extra `flash`.

Owns the question to the package index, for each CPython of PYTHONS on 64-bit ARM Linux. Where the index has a source
archive only, it is built here, and has to come out as a wheel for any machine.
"""

import re
import subprocess
import sys
import tempfile
from pathlib import Path

from host_tools import extras

PYTHONS = ("3.11", "3.13")
_PLATFORMS = ("manylinux2014_aarch64", "manylinux_2_17_aarch64", "manylinux_2_28_aarch64")
PARTS = ("", "flash")
_NO_WHEEL = re.compile(r"No matching distribution found for ([A-Za-z0-9._-]+)")


def download(names: list[str], python: str, folder: Path) -> str | None:
    """Fetch the wheels of `names` and of all that they need -> None, or what pip said."""
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--only-binary=:all:", "--python-version", python]
    for each in _PLATFORMS:
        command += ["--platform", each]
    command += ["--find-links", str(folder), "--dest", str(folder), *names]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stderr if done.returncode else None


def pure(name: str, folder: Path) -> bool:
    """Build a source archive of the index -> whether the wheel is for any machine."""
    with tempfile.TemporaryDirectory() as made:
        command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", made, name]
        if subprocess.run(command, check=False).returncode:
            return False
        for wheel in Path(made).iterdir():
            if not wheel.name.endswith("-none-any.whl"):
                return False
            wheel.rename(folder / wheel.name)
    return True


def missing(part: str, python: str, folder: Path) -> str | None:
    """What of a part has no wheel there; None if all has."""
    names = [name for extra, name in extras.requirements() if extra in ("", part)]
    built: set[str] = set()
    while True:
        said = download(names, python, folder)
        if said is None:
            return None
        named = _NO_WHEEL.search(said)
        if named is None or named[1] in built or not pure(named[1], folder):
            return said
        built.add(named[1])


def main() -> None:
    """Entry point of `make aarch64`: one line for each part and Python."""
    lacking = False
    for python in PYTHONS:
        for part in PARTS:
            with tempfile.TemporaryDirectory() as name:
                folder = Path(name)
                said = missing(part, python, folder)
                count = len(list(folder.iterdir()))
            what = "%s[%s]" % (extras.NAME, part) if part else extras.NAME
            print(
                "aarch64, CPython %s, %s: %s" % (python, what, said.strip() if said else "%d wheels" % count),
                flush=True,
            )
            lacking = lacking or said is not None
    sys.exit(1 if lacking else 0)


if __name__ == "__main__":
    main()
