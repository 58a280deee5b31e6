"""What MicroPython has built in and CPython lacks, and what its releases do differently. Owns nothing else."""

import json

try:
    from micropython import const
except ImportError:

    def const(value):  # type: ignore[misc]
        """CPython: the value itself. MicroPython folds the call away when compiling."""
        return value


def loads_object(text):
    """The JSON object in `text` (str). Raises ValueError for anything else.

    MicroPython 1.25 takes an object that ends too early, as `{"a":`, for a whole one; later releases refuse it. Hence
    the neighbour: inside an unfinished object it is out of place.
    """
    value, _ = json.loads("[%s,0]" % text)
    if not isinstance(value, dict):
        raise ValueError("not a JSON object")
    return value


def is_whole(value, low, high):
    """Whether `value` is a whole number from `low` to `high`; true and false are none."""
    return isinstance(value, int) and not isinstance(value, bool) and low <= value <= high
