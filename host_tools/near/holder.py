"""A person with an ekey: opens and locks with its bundle, over the local link.

Owns what the lock cannot judge: days and hours of a recurring ekey (domain.md, key feature 1). Everything else
the lock judges itself, and this client lets it.
"""

import time
from dataclasses import dataclass
from datetime import date

from firmware.lib import opcodes, zone
from firmware.lib.messages import session_client
from host_tools.errors import HostError
from host_tools.near import sightings
from host_tools.near.local_link import host_errors
from host_tools.near.lock_link import connect
from host_tools.owner import key_files

_RECURRING = 4


@dataclass
class Held:
    """A bundle, as far as opening needs it. Times are Unix seconds, 0: no limit. `rule` is the lock's zone, or ""."""

    mac: str
    name: str
    aes: bytes
    unlock_key: int
    uid: int
    flag_pos: int
    start: int
    end: int
    rule: str
    hours: tuple | None = None

    def __repr__(self) -> str:  # tracebacks must not show keys
        return "Held(%s, %r)" % (self.mac, self.name)


def read(bundle: object) -> Held:
    """A key file with one lock -> Held. HostError for anything else, which names what is wrong with it."""
    report = key_files.read(bundle)
    if len(report.locks) != 1:
        why = "; ".join(fault.line() for fault in report.faults) or "it has %d locks" % len(report.locks)
        raise HostError("bad_request", "that is no ekey's bundle (%s)" % why, "ask for a new one")
    found = report.locks[0]
    entry, more = found.entry, found.more
    held = Held(
        entry.mac,
        entry.name,
        bytes.fromhex(entry.aes),
        entry.unlock_key,
        more["uid"],
        entry.flag_pos,
        max(0, more["start_ms"]) // 1000,
        max(0, more["end_ms"]) // 1000,
        entry.zone_rule,
    )
    if found.raw.get("keyType") == _RECURRING:
        try:
            days = tuple(key_files.whole(day, 1, 7) for day in found.raw["weekDays"])
            first, last = (key_files.whole(found.raw[name], 0, 1440) for name in ("dayStart", "dayEnd"))
        except (KeyError, TypeError, ValueError):
            raise HostError("bad_request", "the bundle's days and hours cannot be read", "ask for a new one")
        held.hours = days, first, last
    return held


def judge(held: Held, now_s: float) -> None:
    """Days and hours of a recurring ekey, by the lock's local time; the wall clock of this computer. HostError."""
    if held.hours is None:
        return
    days, opens, closes = held.hours
    year, month, day, hour, minutes, _ = zone.to_wall(_rule(held), int(now_s))
    weekday = date(year, month, day).isoweekday() % 7 + 1  # 1 = Sunday
    minute = 60 * hour + minutes
    is_open = weekday in days and opens <= minute < closes
    if closes <= opens:  # over midnight; the hours belong to the day on which they begin
        day_before = (weekday - 2) % 7 + 1
        is_open = (weekday in days and minute >= opens) or (day_before in days and minute < closes)
    if not is_open:
        raise HostError("refused", "the ekey does not open on this day or at this hour", "see its days and hours")


def _rule(held: Held) -> str:
    if not held.rule:
        raise HostError("no_zone", "the ekey does not say in which time zone its lock is", "ask for a new one")
    return held.rule


def _date(held: Held, unix_s: int):
    return zone.to_wall(_rule(held), unix_s)[:5]


async def operate(held: Held, command: int = opcodes.UNLOCK, now_s: float | None = None, timeout_s: float = 20) -> int:
    """Unlock (or lock) -> battery level. HostError with the lock's reason."""
    now_s = time.time() if now_s is None else now_s
    judge(held, now_s)
    sighting = await sightings.find(held.mac, held.name, timeout_s)
    start = end = None  # what a lock of ours itself knows of a person may have changed since the bundle was written
    if not held.uid and held.start and held.end > held.start:
        start, end = _date(held, held.start), _date(held, held.end)
    check_user = session_client.check_user(start, end, held.flag_pos, held.uid)
    with host_errors():
        async with connect(sighting, held.aes) as link:
            return await link.operate(command, check_user, held.unlock_key, now_s)
