"""Times, periods, days and hours as people write them on a command line. Owns the options that limit a credential."""

import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, tzinfo
from typing import Annotated

import typer

from firmware.lib import dates
from host_tools.cli.options import OptionGroup
from host_tools.errors import HostError
from host_tools.owner import zones

Where = Callable[[], tzinfo | None]


def computers() -> None:
    """The zone of dates that are about no lock: this computer's."""


From = Annotated[str, typer.Option("--from", help="Valid from: 2026-05-01T15:00 or now")]
Until = Annotated[str, typer.Option("--until", help="Valid until: 2026-05-03T11:00 or +2d, +12h")]
Days = Annotated[str, typer.Option("--days", help="On these days only: mon-fri, sat,sun, daily")]
Hours = Annotated[str, typer.Option("--hours", help="At these hours of those days only: 08:00-18:00")]

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_UNITS = {"m": 60, "h": 3600, "d": 86400, "w": 604800}


@dataclass
class Limits(OptionGroup):
    """Options that say when a credential opens."""

    start: From = ""
    end: Until = ""
    days: Days = ""
    hours: Hours = ""

    def args(self, where: Where = computers) -> dict:
        """As arguments of an operation. Raises HostError."""
        return limits(self.start, self.end, self.days, self.hours, where)


def read_moment(text: str, base_s: float | None = None, where: Where = computers) -> int:
    """`now`, `+90m` `+12h` `+2d` `+1w` (after `base_s`, else after now), or ISO 8601 -> Unix seconds. What names no
    offset itself is the time of the zone that `where()` gives: a lock's, or for None this computer's. HostError."""
    if text == "now":
        return int(time.time())
    later = re.fullmatch(r"\+(\d{1,5})([mhdw])", text)
    if later:
        return int(time.time() if base_s is None else base_s) + int(later[1]) * _UNITS[later[2]]
    try:
        datetime.fromisoformat(text)
        found = zones.read_local(text, where())
        if not dates.UNIX_2000 <= found < dates.UNIX_2100:
            raise ValueError
        return found
    except (ValueError, OverflowError, OSError):
        raise HostError("bad_request", "%r is no date" % text, "write 2026-05-01T15:00, now, or +2d")


def read_period(start: str, end: str, where: Where = computers) -> tuple[int, int]:
    """--from (else now) and --until, which must come after it. Raises HostError."""
    begin = read_moment(start or "now", None, where)
    until = read_moment(end, begin, where) if end else None
    if until is None or until <= begin:
        raise HostError("bad_request", "the end must lie after the start", "give --until")
    return begin, until


def limits(start: str, end: str, days: str = "", hours: str = "", where: Where = computers) -> dict:
    """The options as arguments of an operation; {} for always. Raises HostError."""
    args: dict = {}
    if start or end:
        begin, until = read_period(start, end, where)
        if until <= time.time():
            raise HostError("bad_request", "the end has passed already", "give a later --until")
        args.update(start=begin, end=until)
    return args | on_days(days, hours)


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
    days: set[int] = set()
    for part in text.lower().replace(" ", "").split(","):
        first, dash, last = ("mon", "-", "sun") if part == "daily" else part.partition("-")
        last = last if dash else first
        if first not in DAYS or last not in DAYS:
            raise HostError("bad_request", "%r is no day" % part, "write mon-fri, sat,sun or daily")
        begin, end = DAYS.index(first), DAYS.index(last)
        days.update(range(begin + 1, end + 2) if begin <= end else [*range(begin + 1, 8), *range(1, end + 2)])
    return sorted(days)


def read_time_of_day(text: str) -> int | None:
    """`08:00` -> minutes since midnight, to 24:00; None for anything else."""
    given = re.fullmatch(r"(\d{1,2}):(\d{2})", text)
    minutes = int(given[1]) * 60 + int(given[2]) if given and int(given[2]) < 60 else None
    return minutes if minutes is not None and minutes <= 1440 else None


def read_hours(text: str) -> tuple[int, int]:
    """`08:00-18:00` -> minutes since midnight; the end may be 24:00. `22:00-06:00` ends on the next day."""
    first, last = (read_time_of_day(part) for part in text.replace(" ", "").partition("-")[::2])
    if first is None or last is None or first == last or first == 1440:
        raise HostError("bad_request", "%r are no hours" % text, "write 08:00-18:00, or 22:00-06:00 over midnight")
    return first, last or 1440


def clock(minute: int) -> str:
    """Minutes since midnight as 08:00."""
    return "%02d:%02d" % divmod(minute, 60)


def in_words(item: dict) -> str:
    """The hours of a listed credential, for a table."""
    by_hours: dict[tuple[int, int], list[str]] = {}
    for kind, day, first, last in item.get("hours") or []:
        word = {1: DAYS[(day - 1) % 7], 2: "daily"}.get(kind, "%d." % day)
        by_hours.setdefault((first, last), []).append(word)
    parts = ["%s %s-%s" % (",".join(days), *map(clock, hours)) for hours, days in by_hours.items()]
    if not parts and (item.get("schedule") == "unknown" or item.get("unknown")):
        return "schedule unknown"
    return "; ".join(parts)
