"""What of others may be put on a board: packages that `boards/aioble.pins` names by version and digest.

Owns the file's format, the digest of a package, and the refusal of one that is not named. A package index gives no
hashes, so that nothing comes from one (security.md SUP-1); whoever has checked a copy adds its line:

    python -m host_tools.boards.pins DIR VERSION

The digest is the SHA-256 over the lines `SHA-256  path` of all .py and .mpy files, sorted by path.
"""

import argparse
import hashlib
import re
from pathlib import Path

from host_tools import sources

PINS = sources.top("boards/aioble.pins")
_LINE = re.compile(r"(?P<version>[0-9][0-9A-Za-z.+-]*) sha256:(?P<digest>[0-9a-f]{64})")


class NotPinned(Exception):
    """The text says what it is, and how to pin it."""


def digest(package: Path) -> str:
    """Of a directory with a package."""
    files = sorted(path for path in package.rglob("*") if path.suffix in (".py", ".mpy") and path.is_file())
    lines = [
        "%s  %s\n" % (hashlib.sha256(path.read_bytes()).hexdigest(), path.relative_to(package).as_posix())
        for path in files
    ]
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def read(path: Path = PINS) -> dict[str, str]:
    """Digest -> version. NotPinned for a line that is neither a pin nor a comment: nothing is skipped."""
    found = {}
    for number, line in enumerate(path.read_text().splitlines(), 1):
        line = line.partition("#")[0].strip()
        pin = _LINE.fullmatch(line)
        if pin:
            found[pin["digest"]] = pin["version"]
        elif line:
            raise NotPinned("line %d of %s is no `VERSION sha256:DIGEST`" % (number, path))
    return found


def checked(package: Path, path: Path = PINS) -> str:
    """The version of a package that is pinned. NotPinned else."""
    made = digest(package)
    version = read(path).get(made)
    if version is None:
        raise NotPinned(
            "%s is not the copy of a pinned version: compare it with micropython-lib, then add a line to %s: "
            "VERSION sha256:%s"
            % (package, path.relative_to(sources.ROOT) if path.is_relative_to(sources.ROOT) else path, made)
        )
    return version


def main() -> None:
    """Prints the line for a copy."""
    parser = argparse.ArgumentParser(prog="python -m host_tools.boards.pins", description="The pin of an aioble.")
    parser.add_argument("package", type=Path, metavar="DIR", help="the directory `aioble` itself")
    parser.add_argument("version")
    given = parser.parse_args()
    print("%s sha256:%s" % (given.version, digest(given.package)))


if __name__ == "__main__":
    main()
