"""What is worth a message, and that one event is one message whatever is told of it, in whatever order.

Owns the rules: pure, without clock and database. `alerting` applies them, under the lock of their subject.

An *episode* is one event of one kind at one subject, from `since` to `ended` (None while it lasts). There are two
sources. An *incident* happened at a moment (a record, an alarm): it belongs to the episode that was there, give or take
the kind's quiet time, else it begins one. A *level* lasts (a battery is low, a lock is away): what was told last of it
is kept with the moment since when. It begins an episode once it is bad for long enough, and ends it once it is good for
long enough. What is older than what is known says nothing of a level.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from host_tools.gateway.record_words import is_alarm

KINDS = ("battery", "tamper", "door", "lock_away", "gateway_away", "wrong_codes", "impostor", "alarm")
GOOD, BAD = "good", "bad"

_TAMPER, _FORCE, _LOCKED_OUT, _LEFT_OPEN = 44, 29, 48, 64
_DOORS = {30: GOOD, 31: BAD}
_KIND_OF = {_TAMPER: "tamper", _FORCE: "tamper", _LOCKED_OUT: "wrong_codes", _LEFT_OPEN: "door"}
_OF_EVENTS = {"unknown": "impostor", "still_open": "door", "pin_shut": "wrong_codes", "retained_command": "alarm"}

# Kind -> what people are told; %s is the name of the lock or gateway
WORDS = {
    "battery": ("%s: battery low", "The battery of %s is at %s %%. Change it before the lock stops working."),
    "tamper": ("%s: TAMPERED WITH", "Somebody opens or breaks the case of %s%s."),
    "door": ("%s: left open", "The door of %s stands open%s."),
    "lock_away": ("%s: away", "No gateway hears %s any more%s. Is its battery flat, or the gateway moved?"),
    "gateway_away": ("%s: away", "Gateway %s is not at the broker any more%s. Look at its power and its Wi-Fi."),
    "wrong_codes": ("%s: wrong codes", "Wrong codes, cards or fingers were tried again and again at %s%s."),
    "impostor": ("%s: IMPOSTOR", "Somebody may pass for %s%s: what comes in its name cannot be its own."),
    "alarm": ("%s: ALARM", "%s tells an alarm%s."),
}


@dataclass(frozen=True)
class Rules:
    """Seconds but for percents and a count. `max_age_s`: what happened longer ago is history, and told to nobody."""

    battery_low_pct: int = 20
    battery_ok_pct: int = 30
    lock_away_s: float = 1800
    gateway_away_s: float = 300
    back_s: float = 60
    door_open_s: float = 600
    wrong_codes: int = 5
    wrong_codes_s: float = 600
    quiet_s: float = 600
    max_age_s: float = 86400

    def delay_s(self, kind: str) -> float:
        """How long a level must be bad before it is told."""
        waits = {"lock_away": self.lock_away_s, "gateway_away": self.gateway_away_s, "door": self.door_open_s}
        return waits.get(kind, 0)

    def good_s(self, kind: str) -> float:
        """How long it must be good before the next time is another event."""
        return self.back_s if kind in ("lock_away", "gateway_away") else 0

    def apart_s(self, kind: str) -> float:
        """Incidents so close to each other are one event."""
        return 0 if kind in ("battery", "lock_away", "gateway_away") else self.quiet_s


@dataclass(frozen=True)
class Incident:
    """Something happened at the moment `at` (Unix seconds); `why` is added to the message."""

    kind: str
    subject: str
    at: float
    why: str = ""


@dataclass(frozen=True)
class Reading:
    """A level was told: `value` is GOOD or BAD, or None for neither (a battery between its two limits)."""

    kind: str
    subject: str
    at: float
    value: str | None
    why: str = ""


@dataclass(frozen=True)
class Level:
    """What is known of a level: `value` since the moment `since`, told last at `at`."""

    value: str
    since: float
    at: float


@dataclass
class Episode:
    """One event; `id` None before it is stored."""

    since: float
    ended: float | None
    id: int | None = None

    def holds(self, at: float, apart_s: float) -> bool:
        """Whether what happened at `at` is of this event."""
        return self.since - apart_s <= at and (self.ended is None or at <= self.ended + apart_s)


def of_record(item: dict, lock: str, at: float, rules: Rules) -> list[Incident | Reading]:
    """What a record tells beside that it happened."""
    told: list[Incident | Reading] = []
    type = item.get("type")
    if type in _DOORS:
        told.append(Reading("door", lock, at, _DOORS[type]))
    kind = _KIND_OF.get(type) if type is not None else None
    if kind or is_alarm(type):
        told.append(Incident(kind or "alarm", lock, at))
    if item.get("battery") is not None:
        told.append(of_battery(lock, at, item["battery"], rules))
    return told


def of_battery(lock: str, at: float, percent: int, rules: Rules) -> Reading:
    """Between the limits it stays what it was."""
    value = BAD if percent <= rules.battery_low_pct else GOOD if percent >= rules.battery_ok_pct else None
    return Reading("battery", lock, at, value, str(percent))


def of_event(event: dict, lock: str, at: float) -> list[Incident | Reading]:
    """Of an alarm on `…/event` that is no record (mqtt.md 1.1); what is a record comes as one, and proven."""
    kind = _OF_EVENTS.get(str(event.get("method")))
    return [Incident(kind, lock, at)] if kind and event.get("rec") is None and event.get("type") is None else []


def is_cluster(times: Iterable[float], at: float, rules: Rules) -> bool:
    """Whether refusals at these moments, that at `at` among them, are enough of them within the time."""
    order = sorted(each for each in times if abs(each - at) <= rules.wrong_codes_s)
    last = len(order) - rules.wrong_codes + 1
    return any(
        order[first] <= at <= order[first + rules.wrong_codes - 1]
        and order[first + rules.wrong_codes - 1] - order[first] <= rules.wrong_codes_s
        for first in range(max(0, last))
    )


def updated(level: Level | None, reading: Reading) -> Level | None:
    """The level after a reading; the same object when that says nothing new."""
    if level is not None and reading.at < level.at:
        return level
    if reading.value is None:
        return level
    if level is None or level.value != reading.value:
        return Level(reading.value, reading.at, reading.at)
    return Level(level.value, level.since, reading.at)


def belongs(incident_at: float, episodes: Iterable[Episode], apart_s: float) -> Episode | None:
    """The episode that an incident is of, or None: it begins one."""
    return next((each for each in episodes if each.holds(incident_at, apart_s)), None)


def settle(kind: str, level: Level, is_open: bool, now: float, rules: Rules) -> str:
    """ "begin" or "end" where a level has been so for long enough, else ""."""
    lasting = now - level.since
    if level.value == BAD and not is_open and lasting >= rules.delay_s(kind):
        return "begin"
    if level.value == GOOD and is_open and lasting >= rules.good_s(kind):
        return "end"
    return ""


def reach(gateways: dict[str, tuple[bool | None, bool | None]]) -> str | None:
    """Whether a lock can be reached, from `status` and its `availability` of each gateway (mqtt.md 1.1): GOOD by one of
    them; BAD where those that are there do not hear it; None where none of its gateways is there to say."""
    if any(status and there for status, there in gateways.values()):
        return GOOD
    return BAD if any(status and there is False for status, there in gateways.values()) else None
