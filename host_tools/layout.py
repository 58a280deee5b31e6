"""How wide the columns of a table are, so that it fits the terminal. Pure: texts in, numbers out; `screen` draws.

Addresses and times are never cut: their columns keep their width. Names are shortened first, then other words wrap;
where even that is too wide, the table is written row by row, as lines of `heading  value`.
"""

import re
from collections.abc import Sequence

MIN_NAME = 8  # to which a name is shortened
_MIN_WORDS = 10  # to which other columns wrap
_NAMES = ("lock", "name", "whose", "who", "person", "gateway", "what", "locks")
_FIXED = re.compile(r"(?:[0-9a-f]{2}:){5}[0-9a-f]{2}|\b[0-9a-f]{12}\b|\d{4}-\d\d-\d\d|\d\d:\d\d", re.IGNORECASE)


def is_fixed(cells: Sequence[str]) -> bool:
    """Whether a column holds what must not be cut or broken: an address, an id, a time."""
    return any(_FIXED.search(each) for each in cells)


def is_name(heading: str, cells: Sequence[str]) -> bool:
    """Whether a column's texts are shortened with `…`, where others wrap."""
    return heading.lower() in _NAMES and not is_fixed(cells)


def fit(headings: Sequence[str], lengths: Sequence[Sequence[int]], kinds: Sequence[str], room: int) -> list[int] | None:
    """Width of each column; None if they do not fit into `room`. `lengths`: of the cells of each column; `kinds`: of
    each column "fixed", "name" or "words"."""
    widths = [max([len(heading), *cells]) for heading, cells in zip(headings, lengths, strict=True)]
    least = {"fixed": widths, "name": [MIN_NAME] * len(widths), "words": [_MIN_WORDS] * len(widths)}
    for kind in ("name", "words"):
        while sum(widths) > room:
            open_ones = [at for at, each in enumerate(kinds) if each == kind and widths[at] > least[kind][at]]
            if not open_ones:
                break
            widths[max(open_ones, key=lambda at: widths[at])] -= 1
    return widths if sum(widths) <= room else None
