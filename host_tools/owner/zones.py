"""Time zones of locks, on the host: from the name of a place to the rule that a gateway gets, and to aware datetimes.

Owns where rules come from (the IANA data of this computer or of the package tzdata, whichever is newer), the check that
a rule gives the place's own changes for two years, and how a time is written for people. Dates are converted by
`firmware.lib.zone` alone, here as in the gateway. Source: mqtt.md 3.
"""

import difflib
import importlib.resources
import io
import re
import time
import zoneinfo
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, tzinfo
from functools import lru_cache
from pathlib import Path

import tzdata  # type: ignore[import-untyped]
import tzlocal

from firmware.lib import dates, zone
from firmware.lib.errors import FirmwareError
from host_tools.errors import HostError
from host_tools.owner.keybook import Entry, offset_name

HERE = "here"

_CHECKED_S = 2 * 366 * 86400  # for so long a rule must tell the place's own changes
_LISTED_S = 10 * 366 * 86400  # changes that are given one by one, if they fit the text
_STEP_S = 6 * 3600
_OFFSET = re.compile(r"(?:UTC|GMT)?([+-])(\d{1,2})(?::?([0-5]\d))?", re.IGNORECASE)
_NAMES = re.compile(r"(?:<([^>]+)>|([A-Za-z]+))[^<A-Za-z,]*")
_ASK = "say where the lock is: gatehouse time zone '%s' --zone Europe/Berlin"


@dataclass(frozen=True)
class Place:
    """A zone as the owner names it, and its rule. `missed`: changes of the next two years that the place's own rule
    does not tell, or tells otherwise, and today if it is wrong already; `fixed` then has them one by one, and is good
    until `fixed_until` (Unix seconds, None: as far as is known)."""

    name: str
    rule: str
    missed: list[int] = field(default_factory=list)
    fixed: str = ""
    fixed_until: int | None = None


# --- from names to rules


def find(text: str, now_s: float | None = None) -> Place:
    """`Europe/Berlin`, `here`, `UTC+2`, `+05:30`, or a rule (`CET-1CEST,M3.5.0,M10.5.0/3`). HostError for others."""
    text = text.strip()
    if text.lower() == HERE:
        return here(now_s)
    offset = _OFFSET.fullmatch(text)
    if offset:
        minutes = 60 * int(offset[2]) + int(offset[3] or 0)
        if minutes <= 16 * 60:
            return plain(-minutes if offset[1] == "-" else minutes)
    name = {each.lower(): each for each in _known()}.get(text.lower())
    if name is not None:
        return _place(name, int(time.time() if now_s is None else now_s))
    try:
        zone.parse(text)
    except FirmwareError:
        ends = [each for each in _known() if each.lower().endswith("/" + text.lower().replace(" ", "_"))]
        near = ends or difflib.get_close_matches(text, _known(), 3)
        todo = "did you mean %s?" % " or ".join(near) if near else "write Europe/Berlin, UTC+2, or here"
        raise HostError("bad_request", "%r is no time zone" % text, todo)
    return Place(text, text)


def plain(offset_min: int) -> Place:
    """An offset from UTC that never changes."""
    return Place(offset_name(offset_min), zone.plain(offset_min))


def here(now_s: float | None = None) -> Place:
    """Where this computer stands, by its own settings; where those name no place, its offset from UTC today."""
    now = time.time() if now_s is None else now_s
    try:
        name = tzlocal.get_localzone_name()
        if name in _known():
            return _place(name, int(now))
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        pass
    return plain(round(time.localtime(now).tm_gmtoff / 60))


@lru_cache(maxsize=1)
def _known() -> list[str]:
    return sorted(zoneinfo.available_timezones())


def _system_version(root: Path) -> str:
    """`2026b` of the time zones of this computer, "" where they do not say it."""
    try:
        with open(root / "tzdata.zi", encoding="ascii") as file:
            found = re.match(r"# version (\d{4}[a-z]+)", file.readline())
    except (OSError, UnicodeError):
        return ""
    return found[1] if found else ""


def raw(name: str) -> bytes:
    """The zone's TZif file. HostError when there is none."""
    for root in map(Path, zoneinfo.TZPATH):
        path = root / name
        if path.is_file() and _system_version(root) > tzdata.IANA_VERSION:
            return path.read_bytes()
    try:
        return importlib.resources.files("tzdata").joinpath("zoneinfo", *name.split("/")).read_bytes()
    except OSError:
        pass
    for root in map(Path, zoneinfo.TZPATH):
        if (root / name).is_file():
            return (root / name).read_bytes()
    raise HostError("bad_request", "no data of the time zone %s" % name, "install tzdata")


def footer(content: bytes) -> str:
    """The rule in the last line of a TZif file (RFC 9636 3.3); "" where it has none."""
    return content.rstrip(b"\n").rpartition(b"\n")[2].decode("ascii", "replace") if content[4:5] >= b"2" else ""


def changes(zone_of: tzinfo, first_s: int, last_s: int) -> Iterator[tuple[int, int]]:
    """(moment, minutes ahead of UTC from then on) of each change of offset after `first_s`, to `last_s`."""

    def offset(at_s: int) -> int:
        found = datetime.fromtimestamp(at_s, zone_of).utcoffset()
        assert found is not None
        return round(found.total_seconds() / 60)

    before = offset(first_s)
    for at_s in range(first_s, last_s, _STEP_S):
        after = offset(min(at_s + _STEP_S, last_s))
        if after != before:
            low, high = at_s, at_s + _STEP_S
            while high - low > 1:
                middle = (low + high) // 2
                low, high = (middle, high) if offset(middle) == before else (low, middle)
            yield high, after
            before = after


def told(rule: str, first_s: int, last_s: int) -> Iterator[tuple[int, int]]:
    """`changes`, as a rule tells them."""
    at_s = zone.next_change(rule, first_s)
    while at_s is not None and at_s <= last_s:
        yield at_s, zone.offset_at(rule, at_s)
        at_s = zone.next_change(rule, at_s)


def _place(name: str, now_s: int) -> Place:
    content = raw(name)
    real = zoneinfo.ZoneInfo.from_file(io.BytesIO(content), name)
    own = list(changes(real, now_s, now_s + _CHECKED_S))
    rule = footer(content)
    offset = datetime.fromtimestamp(now_s, real).utcoffset()
    assert offset is not None
    by_rule: list = []
    is_now = False
    try:
        is_now = zone.offset_at(rule, now_s) * 60 == offset.total_seconds()
        by_rule = list(told(rule, now_s, now_s + _CHECKED_S))
    except FirmwareError:  # none, as some places have
        rule = zone.plain(round(offset.total_seconds() / 60))
    missed = ([] if is_now else [now_s]) + sorted({at_s for at_s, _ in set(own) ^ set(by_rule)})
    if not missed:
        return Place(name, rule)
    fixed, until = "@%d" % (offset.total_seconds() // 60), None
    for at_s, minutes in changes(real, now_s, now_s + _LISTED_S):
        more = ",%d=%d" % (at_s, minutes)
        if len(fixed) + len(more) > zone.MAX_TEXT:
            until = at_s
            break
        fixed += more
    return Place(name, rule, missed, fixed, until)


def explain(place: Place) -> str:
    """What is wrong with the rule of a place, with the dates, and what its changes one by one are good for."""
    days = ", ".join(str(local(at_s, RuleZone(place.fixed)).date()) for at_s in place.missed)
    until = "" if place.fixed_until is None else ", until %s" % local(place.fixed_until).date()
    return "the rule of %s does not tell the time of %s; its changes one by one do%s" % (
        place.name,
        days,
        until,
    )


def choose(place: Place, takes_fixed: bool) -> str:
    """The rule for a lock. HostError where the place's own rule does not tell its changes, unless `takes_fixed`."""
    if place.missed and not takes_fixed:
        raise HostError("refused", explain(place), "add --fixed to give the lock these, or choose an offset: UTC+1")
    return place.fixed if place.missed else place.rule


def is_outdated(entry: Entry, now_s: float | None = None) -> bool:
    """Whether the rule of a lock tells other changes than its place has by today's data: laws change, lists end."""
    now = int(time.time() if now_s is None else now_s)
    if not entry.zone_rule or entry.zone not in _known():
        return False
    rule = choose(_place(entry.zone, now), True)
    rules = [(zone.offset_at(each, now), *told(each, now, now + _CHECKED_S)) for each in (rule, entry.zone_rule)]
    return rules[0] != rules[1]


# --- from rules to datetimes


class RuleZone(tzinfo):
    """The zone of a rule, for datetimes."""

    def __init__(self, rule: str) -> None:
        self._rule = rule
        parsed = zone.parse(rule)
        names = [] if rule.startswith("@") else [quoted or bare for quoted, bare in _NAMES.findall(rule.split(",")[0])]
        self._names = dict(zip(parsed[:2], names, strict=False)) if names else {}

    def __repr__(self) -> str:
        return "RuleZone(%r)" % self._rule

    def _minutes(self, dt: datetime) -> int:
        local_s = int((dt.replace(tzinfo=UTC) - datetime.fromtimestamp(0, UTC)).total_seconds())
        if not dates.UNIX_2000 <= local_s < dates.UNIX_2100:
            return zone.offset_at(self._rule, min(max(local_s, dates.UNIX_2000), dates.UNIX_2100 - 1))
        at_s = zone.from_wall(self._rule, tuple(dt.timetuple()[:6]), bool(dt.fold))
        return (local_s - at_s) // 60

    def utcoffset(self, dt: datetime | None) -> timedelta | None:
        return None if dt is None else timedelta(minutes=self._minutes(dt))

    def dst(self, dt: datetime | None) -> timedelta | None:
        return None if dt is None else timedelta(0)

    def tzname(self, dt: datetime | None) -> str | None:
        if dt is None:
            return None
        minutes = self._minutes(dt)
        name = self._names.get(minutes, "")
        return name if name.isalpha() else plain(minutes).name

    def fromutc(self, dt: datetime) -> datetime:
        at_s = int((dt.replace(tzinfo=UTC) - datetime.fromtimestamp(0, UTC)).total_seconds())
        found = dt + timedelta(minutes=zone.offset_at(self._rule, at_s))
        if self._minutes(found) * 60 != round((found - dt).total_seconds()):
            found = found.replace(fold=1)
        return found


def of(entry: Entry | None) -> tzinfo | None:
    """The zone of a lock, None where it is not known."""
    return RuleZone(entry.zone_rule) if entry is not None and entry.zone_rule else None


def rule_of(entry: Entry) -> str:
    """The rule of a lock. HostError `no_zone` where it is not known."""
    if not entry.zone_rule:
        raise HostError("no_zone", "the time zone of %s is not known" % entry.name, _ASK % entry.name)
    return entry.zone_rule


def local(unix_s: float, where: tzinfo | None = None) -> datetime:
    """Unix seconds as an aware datetime in a lock's zone (`of`), or in this computer's."""
    return datetime.fromtimestamp(unix_s, where) if where else datetime.fromtimestamp(unix_s).astimezone()


def when(unix_s: float, where: tzinfo | None = None, form: str = "%Y-%m-%d %H:%M:%S") -> str:
    """Date, time and zone for people: `2027-03-29 11:00:00 CEST`. `where`: as `local`."""
    found = local(unix_s, where)
    return "%s %s" % (found.strftime(form), found.tzname())


def shown(text: str, where: tzinfo | None = None) -> str:
    """ISO 8601 in UTC, as gateways publish it, as `when`; anything else as it is."""
    try:
        return when(datetime.fromisoformat(text).timestamp(), where)
    except (ValueError, OverflowError):
        return text


def read_local(text: str, where: tzinfo | None = None) -> int:
    """ISO 8601, by the clock of the zone (as `local`) where it names no offset itself -> Unix seconds. ValueError."""
    found = datetime.fromisoformat(text)
    if found.tzinfo is None and where is not None:
        found = found.replace(tzinfo=where)
    return int(found.timestamp())
