"""JSON from outside, within limits. Owns the one call of the host tools that parses it; a test sees to that.

A file, a broker, a board or a lock may send megabytes, or ten thousand brackets. What is longer or deeper than asked
for is refused before anything else looks at it, and always as ValueError: the `json` module alone also raises
RecursionError, at a depth that differs between versions of Python.
"""

import json
import os
from pathlib import Path
from typing import Any

MAX_BYTES = 16 << 20
MAX_DEPTH = 32


class TooMuch(ValueError):
    """Longer or deeper than the limits; the text says which."""


def loads(source: str | bytes, max_bytes: int = MAX_BYTES, max_depth: int = MAX_DEPTH) -> Any:
    """One JSON value; NaN and Infinity are none. `max_bytes` counts characters of a str.

    Raises ValueError: TooMuch, or json.JSONDecodeError, which has the line.
    """
    if len(source) > max_bytes:
        raise TooMuch("longer than %d bytes" % max_bytes)
    deep = "nested more than %d deep" % max_depth
    try:
        value = json.loads(source, parse_constant=_no_number)
    except RecursionError:
        raise TooMuch(deep) from None
    level = [value]
    for _ in range(max_depth):
        level = [each for outer in level for each in _inside(outer) if isinstance(each, dict | list)]
        if not level:
            return value
    raise TooMuch(deep)


def load(path: Path, max_bytes: int = MAX_BYTES) -> Any:
    """The JSON value in a file. Raises ValueError as `loads`, OSError."""
    with open(path, "rb") as file:
        if os.fstat(file.fileno()).st_size > max_bytes:
            raise TooMuch("longer than %d bytes" % max_bytes)
        return loads(file.read(max_bytes + 1), max_bytes)


def _inside(value: Any) -> Any:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()


def _no_number(word: str) -> float:
    raise ValueError(word)
