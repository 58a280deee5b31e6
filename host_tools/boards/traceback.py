"""Finds the source lines of a traceback that a frozen build has printed.

`python -m host_tools.boards.traceback MAP < log`: MAP is the `image.map` of that build's tree (boards/README.md). Other
lines pass through unchanged.
"""

import argparse
import bisect
import re
import sys
from pathlib import Path

from host_tools import json_text
from host_tools.boards import bundle

_FRAME = re.compile(r'(File ")%s\.py(", line )(\d+)' % bundle.IMAGE)


def resolve(line: str, starts: list[tuple[int, str]]) -> str:
    """A line of a log with the source file and line in place of those of the merged module.

    `starts`: (first line in the merged module, source file), in order.
    """

    def source(found: re.Match) -> str:
        number = int(found[3])
        at = bisect.bisect_right([start for start, _ in starts], number) - 1
        if at < 0:
            return found[0]
        start, path = starts[at]
        return "%s%s%s%d" % (found[1], path, found[2], number - start + 1)

    return _FRAME.sub(source, line)


def load(path: Path) -> list[tuple[int, str]]:
    """A map as `bundle.write` has written it."""
    return [(start, name) for start, name in json_text.load(path)]


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(description="Source lines of a frozen build's traceback, from standard input")
    parser.add_argument("map", type=Path, help="image.map of the build's tree")
    starts = load(parser.parse_args().map)
    for line in sys.stdin:
        sys.stdout.write(resolve(line, starts))


if __name__ == "__main__":
    main()
