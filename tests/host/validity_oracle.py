"""Who may open when, said once more: straight from the tables of domain.md 3, in `datetime`, without a line of the
firmware's.

Every function returns the set of reasons for which something does not open, by the words of `firmware.lib.validity`;
the empty set means that it opens. Several reasons may hold at once; which of them the lock names is not judged here.
Written before the firmware's own answer.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)

EVERY_DAY = frozenset(["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"])
WEEKEND = frozenset(["Saturday", "Sunday"])
WORKDAYS = EVERY_DAY - WEEKEND

# domain.md 3.1, recurring types of the API
RECURRING = {
    5: WEEKEND,
    6: EVERY_DAY,
    7: WORKDAYS,
    8: frozenset(["Monday"]),
    9: frozenset(["Tuesday"]),
    10: frozenset(["Wednesday"]),
    11: frozenset(["Thursday"]),
    12: frozenset(["Friday"]),
    13: frozenset(["Saturday"]),
    14: frozenset(["Sunday"]),
}

# lock-ble-commands.md 3.1: the first schedule code of each row
SCHEDULES = {
    1000: WEEKEND,
    1024: EVERY_DAY,
    1048: WORKDAYS,
    1072: frozenset(["Monday"]),
    1096: frozenset(["Tuesday"]),
    1120: frozenset(["Wednesday"]),
    1144: frozenset(["Thursday"]),
    1168: frozenset(["Friday"]),
    1192: frozenset(["Saturday"]),
    1216: frozenset(["Sunday"]),
}

WEEKDAYS = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"]  # 1 to 7 of cards, passage


def on_the_hour(moment: datetime) -> datetime:
    """A start of 19:20 counts from 19:00."""
    return moment.replace(minute=0, second=0, microsecond=0)


def schedule_of(code: int) -> tuple[frozenset[str], timedelta]:
    """Days and duration of a schedule code."""
    base = max(first for first in SCHEDULES if first <= code)
    return SCHEDULES[base], (code - base + 1) * HOUR


@dataclass
class Daily:
    """A window of the day: from `opens`, for `lasts`, on the dates for which `falls_on` says so."""

    opens: time
    lasts: timedelta
    days: frozenset[str] = frozenset()
    month_day: int = 0
    month: int = 0

    def falls_on(self, day: date) -> bool:
        if self.days:
            return day.strftime("%A") in self.days
        return day.day == self.month_day and self.month in (0, day.month)

    def is_open(self, now: datetime) -> bool:
        """A window over midnight belongs to the day on which it starts."""
        candidates = [now.date()]
        if now.date() > date(2000, 1, 1):
            candidates.append(now.date() - DAY)
        return any(
            datetime.combine(day, self.opens) <= now < datetime.combine(day, self.opens) + self.lasts
            for day in candidates
            if self.falls_on(day)
        )


def span(opens: time, closes: time) -> timedelta:
    """Length of a card's window: an end before the start is on the next day; nothing between equal times but 00:00."""
    length = datetime.combine(date(2001, 1, 1), closes) - datetime.combine(date(2001, 1, 1), opens)
    if length < timedelta(0):
        return length + DAY
    if length == timedelta(0) and opens == time(0, 0):
        return DAY
    return length


def bounds(start: datetime | None, end: datetime | None, now: datetime) -> set[str]:
    """[start, end): valid from the start minute on, no more in the end minute."""
    why = set()
    if start is not None and now < start:
        why.add("not_yet_valid")
    if end is not None and not now < end:
        why.add("expired")
    return why


def offline(kind: int, start: datetime, end: datetime | None, used: bool, now: datetime) -> set[str]:
    """A code of the algorithm, API types 1 to 14 (domain.md 3.1); `used`: it has opened (or erased) before."""
    start = on_the_hour(start)
    if kind == 1:
        return bounds(start, start + 6 * HOUR, now) | ({"used_up"} if used else set())
    if kind == 2:
        return bounds(start, None, now) | unused(used, start + 24 * HOUR, now)
    assert kind == 4 or end is not None
    if kind == 3:
        return bounds(start, on_the_hour(end), now) | unused(used, start + 24 * HOUR, now)
    if kind == 4:
        return bounds(start, start + 24 * HOUR, now)
    daily = Daily(start.time(), on_the_hour(end) - start, RECURRING[kind])
    first = start
    while not daily.falls_on(first.date()):
        first += DAY
    why = bounds(start, None, now) | unused(used, first + 24 * HOUR, now)
    return why if daily.is_open(now) else why | {"outside_hours"}


def unused(used: bool, until: datetime, now: datetime) -> set[str]:
    """Must be used once within 24 h of the start."""
    return set() if used or now < until else {"suspended"}


def stored(kind: int, start: datetime | None, end: datetime | None, code: int, used: bool, now: datetime) -> set[str]:
    """A passcode written into the lock, BLE types 1 to 4: minute precision, no 24-hour rule."""
    if kind == 1:
        return bounds(start, None, now)
    if kind == 2:
        return bounds(start, end, now) | ({"used_up"} if used else set())
    if kind == 3:
        return bounds(start, end, now)
    days, lasts = schedule_of(code)
    opens = start.time() if start is not None else time(0, 0)
    # An occurrence that would have begun before the start date is none; one day at most reaches into another.
    why = bounds(start if start is not None and start.year > 2000 else None, None, now)
    return why if Daily(opens, lasts, days).is_open(now) else why | {"outside_hours"}


def dated(start: datetime | None, end: datetime | None, windows: list[Daily], now: datetime) -> set[str]:
    """Cards, fingerprints, fobs: the period, and in it any of the windows; no window, no restriction."""
    why = bounds(start, end, now)
    if windows and not any(window.is_open(now) for window in windows):
        why.add("outside_hours")
    return why


@dataclass
class Door:
    """What of the lock itself decides (domain.md 3.4, 3.7, 3.8, 3.11; security.md REM-2, DEL-3)."""

    frozen: bool = False
    double_locked: bool = False
    locked_out: bool = False
    flat: bool = False
    trusted: bool = True
    remote_unlock: bool = False
    passage: list[Daily] = field(default_factory=list)


TIMELY = {"not_yet_valid", "expired", "suspended", "outside_hours"}


def at_the_door(
    door: Door, own: set[str], *, admin: bool = False, limited: bool = True, remote: bool = False
) -> set[str]:
    """All reasons, those of the credential (`own`) and those of the door.

    `limited`: the credential has an end, hours, one use, or a first use still to come. Without a trusted clock only
    permanent ones open; the clock then shows a time that has certainly been reached, so it can prove a start.
    """
    why = set(own)
    if not door.trusted:
        early = "not_yet_valid" in why
        why -= TIMELY
        if limited or early:
            why.add("untrusted_clock")
    if door.frozen:
        why.add("frozen")
    if door.locked_out:
        why.add("lockout")
    if door.double_locked and not admin:
        why.add("double_locked")
    if door.flat:
        why.add("low_battery")
    if remote and not door.remote_unlock:
        why.add("remote_unlock_disabled")
    return why


def passage_minutes(windows: list[Daily], begin: datetime, minutes: int) -> list[bool]:
    """For each minute from `begin` on: does a passage window hold? By painting every window on a strip of minutes."""
    strip = [False] * minutes
    day = begin.date() - DAY if begin.date() > date(2000, 1, 1) else begin.date()
    while day <= (begin + timedelta(minutes=minutes)).date():
        for window in windows:
            if window.falls_on(day):
                opens = datetime.combine(day, window.opens)
                first = int((opens - begin).total_seconds()) // 60
                last = first + int(window.lasts.total_seconds()) // 60
                for minute in range(max(first, 0), min(last, minutes)):
                    strip[minute] = True
        day += DAY
    return strip


def european_offset(utc: datetime, standard: timedelta) -> timedelta:
    """Central European rules: an hour more from the last Sunday of March to that of October, changing at 01:00 UTC."""

    def last_sunday(month: int) -> datetime:
        day = date(utc.year, month, 31)
        while day.strftime("%A") != "Sunday":
            day -= DAY
        return datetime.combine(day, time(1, 0))

    return standard + (HOUR if last_sunday(3) <= utc < last_sunday(10) else timedelta(0))
