"""Options of commands that limit a credential: from when until when, on which days, at which hours."""

import re
import time
from typing import Annotated

import typer

from host_tools.cli.moments import read_moment
from host_tools.errors import HostError

From = Annotated[str, typer.Option("--from", help="Valid from: 2026-05-01T15:00 or now")]
Until = Annotated[str, typer.Option("--until", help="Valid until: 2026-05-03T11:00 or +2d, +12h")]
Days = Annotated[str, typer.Option("--days", help="On these days only: mon-fri, sat,sun, daily")]
Hours = Annotated[str, typer.Option("--hours", help="At these hours of those days only: 08:00-18:00")]

_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


def limits(start: str, end: str, days: str = "", hours: str = "") -> dict:
    """The options as arguments of an operation; {} for always. Raises HostError."""
    found: dict = {}
    if start or end:
        begin = read_moment(start or "now")
        until = read_moment(end, begin) if end else None
        if until is None or until <= begin:
            raise HostError("bad_request", "the end must lie after the start", "give --until")
        if until <= time.time():
            raise HostError("bad_request", "the end has passed already", "give a later --until")
        found.update(start=begin, end=until)
    return found | on_days(days, hours)


def on_days(days: str, hours: str) -> dict:
    """--days and --hours as `days`, `from_min`, `to_min`; {} for neither; all day without hours. Raises HostError."""
    if hours and not days:
        raise HostError("bad_request", "hours of which days?", "give --days, such as --days daily")
    if not days:
        return {}
    first, last = read_hours(hours) if hours else (0, 1440)
    return {"days": read_days(days), "from_min": first, "to_min": last}


def read_days(text: str) -> list[int]:
    """`mon-fri`, `sat,sun`, `daily` -> weekdays, 1 Monday to 7 Sunday."""
    found: set[int] = set()
    for part in text.lower().replace(" ", "").split(","):
        first, dash, last = ("mon", "-", "sun") if part == "daily" else part.partition("-")
        last = last if dash else first
        if first not in _DAYS or last not in _DAYS:
            raise HostError("bad_request", "%r is no day" % part, "write mon-fri, sat,sun or daily")
        begin, end = _DAYS.index(first), _DAYS.index(last)
        found.update(range(begin + 1, end + 2) if begin <= end else [*range(begin + 1, 8), *range(1, end + 2)])
    return sorted(found)


def read_hours(text: str) -> tuple[int, int]:
    """`08:00-18:00` -> minutes since midnight; the end may be 24:00, and lies after the start."""
    given = re.fullmatch(r"(\d{1,2}):(\d{2})-(\d{1,2}):(\d{2})", text.replace(" ", ""))
    if given:
        first, last = (int(given[n]) * 60 + int(given[n + 1]) for n in (1, 3))
        if int(given[2]) < 60 and int(given[4]) < 60 and first < last <= 1440:
            return first, last
    raise HostError("bad_request", "%r are no hours" % text, "write 08:00-18:00; hours over midnight are not offered")


def in_words(item: dict) -> str:
    """The hours of a listed credential, for a table."""
    by_hours: dict[tuple[int, int], list[str]] = {}
    for kind, day, first, last in item.get("hours") or []:
        word = {1: _DAYS[(day - 1) % 7], 2: "daily"}.get(kind, "%d." % day)
        by_hours.setdefault((first, last), []).append(word)
    parts = [
        "%s %02d:%02d-%02d:%02d" % (",".join(days), *divmod(first, 60), *divmod(last, 60))
        for (first, last), days in by_hours.items()
    ]
    return "; ".join(parts)
