"""Bookings of a calendar: an iCalendar file -> who stays when, by the clock of a lock. Pure: bytes in, values out.

Owns what a file may be (its size, its rules of recurrence, its zones), and what of it is a booking: an event that is
not cancelled and has a length. Leaves parsing and the expansion of recurrence to the libraries `icalendar` and
`recurring_ical_events`, which get nothing that they could work on without end: a rule is cut at the end of the time
that is asked for before they see it. Source: RFC 5545.
"""

import contextlib
import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta, tzinfo
from itertools import islice
from typing import Any

from host_tools import text
from host_tools.errors import HostError

MAX_BYTES = 4 << 20
MAX_EVENTS = 4000
MAX_RULES = 200  # events with a rule of recurrence
MAX_BOOKINGS = 200  # a lock has 250 places for codes (domain.md 3.1)
MAX_NAME = 40  # characters
MAX_DEPTH = 4
MAX_YEARS = 20  # since when a recurring event may go on
_MAX_LINE = 20_000
_MAX_DATES = 2000  # added to an event or taken from it, each
_ANY = {"FREQ", "INTERVAL", "COUNT", "UNTIL", "WKST"}
# What else each may have: the expansion of a rule that never matches would run to the year 9999
_PARTS = {"DAILY": _ANY, "WEEKLY": _ANY | {"BYDAY"}, "MONTHLY": _ANY | {"BYDAY", "BYMONTHDAY"}, "YEARLY": _ANY}
_MINUTE = 60


@dataclass(frozen=True)
class Booking:
    """`key`: what stays the same when it is moved or renamed. Times are Unix seconds, whole minutes."""

    key: str
    name: str
    start: int
    end: int


@dataclass(frozen=True)
class Hours:
    """Minutes since midnight at which guests of all-day events come and go."""

    check_in: int = 15 * 60
    check_out: int = 11 * 60


def refused(what: str, todo: str = "nothing was changed") -> HostError:
    """The one error of a calendar that is not taken."""
    return HostError("bad_request", "the calendar %s" % what, todo)


def read(content: bytes, zone: tzinfo, now_s: float, ahead_days: int, hours: Hours) -> list[Booking]:
    """The bookings that are not over and begin within `ahead_days`, by their start. HostError `bad_request`."""
    source = _checked(content)
    first = datetime.fromtimestamp(now_s, UTC)
    last = first + timedelta(days=ahead_days)
    try:
        calendar = _parsed(source, first, last)
        found = list(islice(_bookings(calendar, zone, first, last, hours), MAX_BOOKINGS + 1))
    except HostError:
        raise
    except RecursionError:
        raise refused("is nested too deeply")
    except Exception as error:  # the libraries raise whatever a strange value leads to
        raise refused("cannot be read: %s" % text.printable("%s: %s" % (type(error).__name__, error), 200))
    if len(found) > MAX_BOOKINGS:
        raise refused(
            "has more than %d bookings in %d days" % (MAX_BOOKINGS, ahead_days), "look less far: --ahead DAYS"
        )
    return _without_twins(found)


def _checked(content: bytes) -> str:
    """The text of a calendar that is worth parsing."""
    if len(content) > MAX_BYTES:
        raise refused("is longer than %d MiB" % (MAX_BYTES >> 20))
    try:
        source = text.decoded(content)
    except ValueError:
        raise refused("is no text", "save it as UTF-8")
    lines = re.split(r"\r\n|\r|\n", source.strip("\ufeff \t\r\n"))
    if lines[0].strip().upper() != "BEGIN:VCALENDAR" or lines[-1].strip().upper() != "END:VCALENDAR":
        raise refused("is no whole iCalendar file: it has to begin with BEGIN:VCALENDAR and end with END:VCALENDAR")
    depth = events = 0
    for line in lines:
        if len(line) > _MAX_LINE:
            raise refused("has a line of %d characters" % len(line))
        if "\0" in line:
            raise refused("is no text", "save it as UTF-8")
        word = line[:40].strip().upper()
        depth += word.startswith("BEGIN:") - word.startswith("END:")
        events += word == "BEGIN:VEVENT"
        if depth > MAX_DEPTH:
            raise refused("is nested too deeply")
    if events > MAX_EVENTS:
        raise refused("has %d events; %d at most" % (events, MAX_EVENTS))
    return "\n".join(lines) + "\n"


def _parsed(source: str, first: datetime, last: datetime) -> Any:
    """The calendar with one event for each (UID, RECURRENCE-ID), and rules that end with `last`."""
    import icalendar

    calendar = icalendar.Calendar.from_ical(source)
    kept: dict[tuple[str, str], tuple[Any, Any]] = {}
    others, rules = [], 0
    for place, each in enumerate(calendar.subcomponents):
        if each.name != "VEVENT":
            others.append(each)
            continue
        if each.get("DTSTART") is None:
            raise refused("has an event without a start (%s)" % _named(each))
        start = each.decoded("DTSTART")
        _check_zones(each)
        end = each.decoded("DTEND", None)
        if end is not None and isinstance(end, datetime) == isinstance(start, datetime) and end < start:
            continue  # the library would exchange the two
        if not str(each.get("UID", "")).strip():
            each["UID"] = "none-" + hashlib.sha256(("%s\0%s" % (each.get("SUMMARY"), start)).encode()).hexdigest()[:24]
        if "RRULE" in each:
            rules += 1
            _bound(each, start, first, last)
        if sum(len(_dates(each, name)) for name in ("RDATE", "EXDATE")) > _MAX_DATES:
            raise refused("has an event with more than %d dates (%s)" % (_MAX_DATES, _named(each)))
        moved = each.get("RECURRENCE-ID")
        key = (str(each["UID"]), moved.to_ical().decode() if moved is not None else "")
        rank = (_sequence(each), place)
        if key not in kept or kept[key][0] < rank:
            kept[key] = rank, each
    if rules > MAX_RULES:
        raise refused("has %d recurring events; %d at most" % (rules, MAX_RULES))
    calendar.subcomponents = others + [each for _, each in kept.values()]
    return calendar


def _named(event: Any) -> str:
    return text.printable(text.tidy(str(event.get("SUMMARY", ""))) or "without a name", MAX_NAME)


def _sequence(event: Any) -> int:
    with contextlib.suppress(TypeError, ValueError):
        return int(event.get("SEQUENCE", 0))
    return 0


def _as_list(value: Any) -> list:
    return value if isinstance(value, list) else [] if value is None else [value]


def _dates(event: Any, name: str) -> list:
    return [each for part in _as_list(event.get(name)) for each in getattr(part, "dts", ())]


def _check_zones(event: Any) -> None:
    """A time with a zone that nobody knows is no floating time."""
    for name in ("DTSTART", "DTEND", "RECURRENCE-ID"):
        value = event.get(name)
        if isinstance(value, list):
            raise refused("has an event with several %s (%s)" % (name, _named(event)))
        zone = getattr(value, "params", {}).get("TZID")
        moment = getattr(value, "dt", None)
        if zone and isinstance(moment, datetime) and moment.tzinfo is None:
            shown = text.printable(str(zone), 60)
            raise refused("has a time zone that is not known: %s (%s)" % (shown, _named(event)))
        if isinstance(moment, date) and not 1970 <= moment.year < 2100:
            raise refused("has an event in the year %d (%s)" % (moment.year, _named(event)))


def _bound(event: Any, start: Any, first: datetime, last: datetime) -> None:
    """Have a rule end with `last`, so that whoever expands it comes to an end; COUNT becomes the date it means."""
    from dateutil.rrule import rrulestr

    if isinstance(event["RRULE"], list):
        raise refused("has an event with several rules (%s)" % _named(event))
    rule = event["RRULE"]
    frequency = str(_as_list(rule.get("FREQ", ""))[0]).upper()
    if frequency == "YEARLY":
        for name, own in (("BYMONTH", start.month), ("BYMONTHDAY", start.day)):  # says again what the start says
            if [str(each) for each in _as_list(rule.get(name))] == [str(own)]:
                del rule[name]
    strange = {str(name).upper() for name in rule} - _PARTS.get(frequency, set())
    if strange or frequency not in _PARTS:
        shown = text.printable("FREQ=%s %s" % (frequency, " ".join(sorted(strange - _ANY))), 60).strip()
        raise refused("has a rule of recurrence that no booking needs: %s (%s)" % (shown, _named(event)))
    if start.year < first.year - MAX_YEARS:
        raise refused("has an event that recurs since %d (%s)" % (start.year, _named(event)))
    interval = int(_as_list(rule.get("INTERVAL", 1))[0])
    if not 1 <= interval <= 1000:
        raise refused("has a rule with the interval %d (%s)" % (interval, _named(event)))
    is_timed = isinstance(start, datetime)
    wall = (start if is_timed else datetime(start.year, start.month, start.day)).replace(tzinfo=None)
    end: Any = (last + timedelta(days=2)).replace(tzinfo=None)
    until: Any = _as_list(rule.get("UNTIL"))[0] if "UNTIL" in rule else None
    if until is not None:
        latest = until if isinstance(until, datetime) else datetime(until.year, until.month, until.day, 23, 59, 59)
        if latest.tzinfo is not None and is_timed and start.tzinfo is not None:
            latest = latest.astimezone(start.tzinfo)
        end = min(end, latest.replace(tzinfo=None))
    count = int(_as_list(rule["COUNT"])[0]) if "COUNT" in rule else None
    bare = {name: value for name, value in rule.items() if str(name).upper() not in ("COUNT", "UNTIL")}
    if count is not None:
        bounded = type(rule)(bare).to_ical().decode() + ";UNTIL=" + end.strftime("%Y%m%dT%H%M%S")
        shown_starts = list(islice(rrulestr(bounded, dtstart=wall), max(0, count)))
        end = shown_starts[-1] if shown_starts else wall
    end = max(end, wall)
    value: Any = end.date() if not is_timed else end
    if is_timed and start.tzinfo is not None:
        value = end.replace(tzinfo=start.tzinfo).astimezone(UTC)
    event["RRULE"] = type(rule)({**bare, "UNTIL": [value]})


def _bookings(calendar: Any, zone: tzinfo, first: datetime, last: datetime, hours: Hours) -> Iterator[Booking]:
    import recurring_ical_events

    recurring = {str(each.get("UID")) for each in calendar.walk("VEVENT") if "RRULE" in each or "RDATE" in each}
    query = recurring_ical_events.of(calendar)
    found = []
    for count, each in enumerate(query.between(first - timedelta(days=2), last + timedelta(days=2))):
        if count >= 4 * MAX_EVENTS:
            raise refused("recurs more often than can be looked at")
        if str(each.get("STATUS", "")).upper() == "CANCELLED":
            continue
        start, end = _stay(each, zone, hours)
        if end > start and end > first.timestamp() and start < last.timestamp():
            key = str(each["UID"])
            moved = each.get("RECURRENCE-ID")
            if key in recurring and moved is not None:
                key += "\0" + moved.to_ical().decode()
            digest = hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()[:24]
            found.append(Booking(digest, _name(each, start, zone), start, end))
    yield from sorted(found, key=lambda each: (each.start, each.end, each.key))


def _stay(event: Any, zone: tzinfo, hours: Hours) -> tuple[int, int]:
    """Unix seconds of its begin and end; whole minutes, none of which lies outside."""
    start = event.decoded("DTSTART")
    end = event.decoded("DTEND", None)
    if end is None and event.get("DURATION") is not None:
        end = start + event.decoded("DURATION")
    if not isinstance(start, datetime):  # nights: the day on which it ends is that of the departure
        if isinstance(end, datetime):
            end = end.date()
        end = start + timedelta(days=1) if end is None or end <= start else end
        return _at(start, hours.check_in, zone), _at(end, hours.check_out, zone)
    if end is None:
        end = start
    if not isinstance(end, datetime):
        return _unix(start, zone), _at(end, hours.check_out, zone)
    begin, ending = _unix(start, zone), _unix(end, zone)
    return begin - begin % _MINUTE, ending - ending % _MINUTE


def _at(day: date, minutes: int, zone: tzinfo) -> int:
    return _unix(datetime(day.year, day.month, day.day) + timedelta(minutes=minutes), zone)


def _unix(moment: datetime, zone: tzinfo) -> int:
    """A floating time is one of the lock's clock."""
    return int((moment if moment.tzinfo is not None else moment.replace(tzinfo=zone)).timestamp())


def _name(event: Any, start: int, zone: tzinfo) -> str:
    name = text.tidy(str(event.get("SUMMARY", "")), MAX_NAME)
    return name or "Booking of %s" % datetime.fromtimestamp(start, zone).strftime("%Y-%m-%d")


def _without_twins(found: list[Booking]) -> list[Booking]:
    """One guest and one stay are one booking, however often a calendar has it; every other has a key of its own."""
    kept: dict[tuple[str, int, int], Booking] = {}
    for each in sorted(found, key=lambda each: each.key):
        kept.setdefault((text.key(each.name), each.start, each.end), each)
    unique: dict[str, Booking] = {}
    for each in sorted(kept.values(), key=lambda each: (each.start, each.end, each.key)):
        key, count = each.key, 1
        while key in unique:
            count += 1
            key = "%s-%d" % (each.key, count)
        unique[key] = replace(each, key=key)
    return list(unique.values())
