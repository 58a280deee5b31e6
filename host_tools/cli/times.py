"""Times, periods, days and hours as people write them on a command line: one grammar for every option (`GRAMMAR`).

Owns that grammar and the options that limit a credential. Leaves the zone of a lock to `owner.zones`.
"""

import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo
from typing import Annotated

import typer

from firmware.lib import dates
from host_tools.cli.options import OptionGroup
from host_tools.errors import HostError
from host_tools.owner import zones

Where = Callable[[], tzinfo | None]


def computers() -> None:
    """The zone of dates that are about no lock: this computer's."""


From = Annotated[str, typer.Option("--from", help="Valid from: 2026-05-01T15:00, tomorrow 15:00, fri, now, 2h")]
Until = Annotated[str, typer.Option("--until", help="Valid until: 2026-05-03T11:00, sun 11:00, 2d, 12h")]
Days = Annotated[str, typer.Option("--days", help="On these days only: mon-fri, sat,sun, workday, weekend, daily")]
Hours = Annotated[str, typer.Option("--hours", help="At these hours of those days only: 08:00-18:00")]

GRAMMAR = {
    "date and time": "`2026-05-01T15:00` or `2026-05-01 15:00`, with seconds or without, by the lock's clock; with an "
    "offset (`+02:00`, `Z`) at that offset",
    "date": "`2026-05-01`: its first moment",
    "day": "`today`, `yesterday`, `tomorrow`, `mon` or `monday` to `sunday`, alone (its first moment) or with a time: "
    "`tomorrow 11:00`. A weekday is the next one, for what has happened the last one; today counts",
    "time of day": "`15:00`: today",
    "`now`": "this moment",
    "span": "`30s`, `90m`, `2h`, `3d`, `1w`, `1d12h`: later, after --from where there is one; for what has happened, "
    "ago. `+2h` is always later, `-2h` and `2h ago` always earlier",
    "days": "`mon-fri`, `sat,sun`, `fri-mon`, `daily`, `workday`, `weekend`, full names too",
    "hours": "`08:00-18:00`; to `24:00`; `22:00-06:00` goes over midnight",
    "day of the year": "`12-25` or `25.12`; `25` alone is that day of each month",
}
_MOMENTS = "write 2026-05-01T15:00, 2026-05-01, 15:00, now, today, yesterday, tomorrow or fri 15:00, 2h, 3d"
_NAMED = {"yesterday": -1, "today": 0, "tomorrow": 1}
DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_FULL = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_SETS = {"daily": "mon-sun", "workday": "mon-fri", "workdays": "mon-fri", "weekend": "sat-sun", "weekends": "sat-sun"}
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}


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


def read_moment(text: str, base_s: float | None = None, where: Where = computers, is_past: bool = False) -> int:
    """A moment as `GRAMMAR` has it -> Unix seconds; a span counts from `base_s`, else from now. What names no offset
    itself is the time of the zone that `where()` gives: a lock's, or for None this computer's. `is_past` is for options
    about what has happened. HostError `bad_request` that says what is accepted."""
    words = " ".join(text.lower().split())
    if words == "now":
        return int(time.time())
    later = _span(words, is_past)
    try:
        if later is not None:
            found = int(time.time() if base_s is None else base_s) + later
        else:
            iso = _iso(words, where, is_past)
            datetime.fromisoformat(iso)
            found = zones.read_local(iso, where())
        if found >= dates.UNIX_2100 or (later is None and found < dates.UNIX_2000):
            raise ValueError
        return found
    except (ValueError, OverflowError, OSError):
        raise HostError("bad_request", "%r is no date" % text, _MOMENTS)


def _span(words: str, is_past: bool) -> int | None:
    """Seconds from now of `2h`, `+1d12h`, `-3d`, `2h ago`; None for what is no span."""
    found = re.fullmatch(r"([+-]?)((?:\d{1,5}[smhdw])+)( ago)?", words)
    if not found or (found[1] and found[3]):
        return None
    length_s = sum(int(count) * _UNITS[unit] for count, unit in re.findall(r"(\d+)([smhdw])", found[2]))
    is_earlier = found[1] == "-" or bool(found[3]) or (is_past and not found[1])
    return -length_s if is_earlier else length_s


def _iso(words: str, where: Where, is_past: bool) -> str:
    """A named day, or a time of today, as ISO 8601; anything else as it is, in capitals. ValueError, HostError."""
    day, _, at = words.partition(" ")
    if re.fullmatch(r"\d{1,2}:\d{2}(:\d{2})?", words):
        day, at = "today", words
    weekday = _weekday(day)
    if day not in _NAMED and weekday is None:
        return words.upper()
    today = zones.local(time.time(), where()).date()
    if weekday is None:
        shift = _NAMED[day]
    else:
        shift = -((today.weekday() - weekday) % 7) if is_past else (weekday - today.weekday()) % 7
    found = re.fullmatch(r"(\d{1,2})(:\d{2}(?::\d{2})?)", at or "00:00")
    if not found:
        raise ValueError
    return "%sT%02d%s" % (today + timedelta(days=shift), int(found[1]), found[2])


def _weekday(word: str) -> int | None:
    """0 for Monday, by its short or its full name."""
    return DAYS.index(word) if word in DAYS else _FULL.index(word) if word in _FULL else None


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
        first, dash, last = _SETS.get(part, part).partition("-")
        begin, end = _weekday(first), _weekday(last if dash else first)
        if begin is None or end is None:
            raise HostError("bad_request", "%r is no day" % part, "write mon-fri, sat,sun, workday, weekend or daily")
        days.update(range(begin + 1, end + 2) if begin <= end else [*range(begin + 1, 8), *range(1, end + 2)])
    return sorted(days)


def read_day_of_year(text: str) -> tuple[int, int]:
    """`12-25`, `25.12` or `25` (of each month: 0) -> (day, month). HostError."""
    found = re.fullmatch(r"(?P<day>\d\d?)(?:\.(?P<month>\d\d?)\.?)?", text)
    found = found or re.fullmatch(r"(?P<month>\d\d)-(?P<day>\d\d)", text)
    day, month = (int(found["day"]), int(found["month"] or 0)) if found else (0, 0)
    try:
        datetime(2024, month or 1, day)
    except ValueError:
        raise HostError("bad_request", "%r is no day of the year" % text, "write 12-25 or 25.12, or 25 for each month")
    return day, month


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
