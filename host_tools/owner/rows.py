"""Lists inside a key book's entry as dataclasses: every row is checked against the class's own annotations.

A key book may come from another computer, or from an editor; a row that is not what its class says is named.
"""

import dataclasses
import types
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

from host_tools.errors import HostError

T = TypeVar("T")


def fits(value: Any, hint: Any) -> bool:
    """Whether a value of JSON is of an annotated type: `int | None`, `list[int]`, `dict`. True is no number."""
    if isinstance(hint, types.UnionType):
        return any(fits(value, part) for part in get_args(hint))
    kind = get_origin(hint) or hint
    if kind is Any or kind is types.NoneType:
        return kind is Any or value is None
    if not isinstance(value, kind) or isinstance(value, bool) and kind is not bool:
        return False
    parts = get_args(hint)
    return not (kind is list and parts) or all(fits(each, parts[0]) for each in value)


def fault_in(row: Any, cls: type) -> str:
    """What keeps `row` from being one of `cls`, as the name of a member, or ""."""
    if not isinstance(row, dict):
        return "an object"
    hints = get_type_hints(cls)
    for each in dataclasses.fields(cls):
        is_needed = each.default is dataclasses.MISSING and each.default_factory is dataclasses.MISSING
        if each.name in row and not fits(row[each.name], hints[each.name]) or each.name not in row and is_needed:
            return each.name
    return ""


def read(rows: list, cls: type[T], where: str) -> list[T]:
    """Rows -> objects of the dataclass `cls`. HostError `keys` names the first row that is none."""
    found = []
    names = {each.name for each in dataclasses.fields(cls)}  # type: ignore[arg-type]
    for place, row in enumerate(rows):
        fault = fault_in(row, cls)
        if fault:
            raise HostError(
                "keys", "%s %d of %s is damaged" % (cls.__name__.lower(), place, where), "see its %s" % fault
            )
        found.append(cls(**{name: row[name] for name in row if name in names}))
    return found
