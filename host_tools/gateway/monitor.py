"""The live view of `gatehouse monitor`: one row per lock, one line per event.

Owns what is shown; messages come from `client`.
"""

import asyncio
import time
from collections.abc import Callable
from datetime import tzinfo

from host_tools.gateway import payloads
from host_tools.gateway.client import Gateways
from host_tools.gateway.record_words import is_alarm, words
from host_tools.gateway.room import Room
from host_tools.owner import zones
from host_tools.owner.names import Names
from host_tools.screen import Screen, Table, styled

_REFRESH_S = 0.25
_MAX_LINES = 1000  # of events in one refresh
_MAX_ROWS = 1024  # of locks that the key book does not have
_SHOWN = ("lock", "assumed", "door", "battery", "rssi", "last", "ts")  # of a state
# Events that are no record, by their method
_EVENTS = {
    "retained_command": "ALARM: a command was left at the broker",
    "unknown": "ALARM: somebody may pass for this lock",
    "wrong_pin": "ALARM: a wrong PIN was sent through the broker",
    "pin_shut": "ALARM: wrong PINs were sent through the broker; no PIN unlocks for a while",
    "still_open": "ALARM: open for longer than its auto-lock allows",
    "clock_moved": "its clock was moved by %(moved)s",
    "clock_drift": "its clock goes wrong by more than 20 s a day: look at its batteries",
}
_REACH = {True: ("online", "green"), False: ("offline", "red"), None: ("unknown", "yellow")}


class Monitor:
    """`receive` gets messages, `show` draws until cancelled or until a time. `whose`: names of credentials, by lock;
    `zones_of` the locks' zones; `on_message` gets what arrives, for programs."""

    def __init__(
        self,
        gateways: Gateways,
        names: dict[str, str],
        whose: dict[str, Names] | None = None,
        zones_of: dict[str, tzinfo | None] | None = None,
        on_message: Callable[[dict], None] | None = None,
    ) -> None:
        self._zones = zones_of or {}
        self._on_message = on_message
        self._gateways = gateways
        self._names = dict(names)
        self._whose = whose or {}
        self._locks: dict[tuple[str, str], dict] = {}
        self._online: dict[tuple[str, str], bool] = {}
        self._lines: list[tuple[str, str | None]] = []
        self._told: tuple[int, dict[str, str]] = (-1, {})
        self._room = Room(_MAX_ROWS, self._is_ours)

    def receive(self, gateway: str, lock: str, leaf: str, text: str) -> None:
        """One message of a lock's availability, state or event topic; anything unreadable is passed over."""
        if not self._room.has("%s/%s" % (gateway, lock)):
            self._gateways.reader.dropped += 1
            return
        if leaf == "availability":
            self._online[gateway, lock] = text == "online"
            self._pass_on(gateway, lock, leaf, {"availability": text})
            return
        value = self._gateways.reader.message(text, payloads.STATE if leaf == "state" else payloads.EVENT)
        if value is None:
            return
        self._pass_on(gateway, lock, leaf, value)
        if leaf == "state":
            last = value.get("last") or {}
            kept = {member: value.get(member) for member in _SHOWN}
            self._locks[gateway, lock] = kept | {"last": {part: last.get(part) for part in ("method", "who")}}
        elif len(self._lines) < _MAX_LINES:
            self._lines.append(event_line(self._name(lock), value, self._whose.get(lock), self._zones.get(lock)))

    def _is_ours(self, key: str) -> bool:
        gateway, lock = key.split("/")
        return lock in self._names and gateway in self._gateways.info

    def _pass_on(self, gateway: str, lock: str, leaf: str, value: dict) -> None:
        if self._on_message:
            self._on_message({"gateway": gateway, "lock": lock, "name": self._name(lock), "kind": leaf, **value})

    def _name(self, lock: str) -> str:
        return self._names.get(lock) or self._told_names().get(lock, lock)

    def _told_names(self) -> dict[str, str]:
        """What gateways call their locks, looked through once for each `info`: anybody may list very many."""
        if self._told[0] != self._gateways.told:
            told: dict[str, str] = {}
            for info in self._gateways.info.values():
                for each in info.get("locks") or []:
                    if each.get("name"):
                        told.setdefault(each["mac"].replace(":", ""), str(each["name"]))
            self._told = (self._gateways.told, told)
        return self._told[1]

    def table(self) -> Table:
        """The present picture."""
        table = Table("lock", "gateway", "", "bolt", "door", "battery", "RSSI", "last", "as of")
        for key in sorted(set(self._locks) | set(self._online), key=lambda each: (self._name(each[1]), each)):
            gateway, lock = key
            state = self._locks.get(key, {})
            online = is_reachable(self._gateways.online.get(gateway), self._online.get(key))
            last = state.get("last") or {}
            table.add_row(
                self._name(lock),
                self._gateways.name(gateway) or gateway,
                styled(_REACH[online]),
                bolt(state, online),
                _word(state.get("door")) if online else "",
                _word(state.get("battery"), "%s %%"),
                _word(state.get("rssi"), "%s dBm"),
                " ".join(str(last[part]) for part in ("method", "who") if last.get(part) is not None),
                _moment(state.get("ts"), self._zones.get(lock)),
            )
        return table

    async def show(self, console: Screen, until_s: float | None = None) -> None:
        """Draw until `until_s` (monotonic); without a terminal only the events, then the table once at the end."""
        with console.live(self.table()) as draw:
            while until_s is None or time.monotonic() < until_s:
                for line, style in self._lines:
                    console.print(line, style=style)
                self._lines.clear()
                draw(self.table())
                await asyncio.sleep(_REFRESH_S)
        if not console.is_terminal:
            console.print(self.table())
        if self._gateways.reader.dropped:
            console.print("%d messages or members of messages could not be read" % self._gateways.reader.dropped)


def event_line(
    lock: str, event: dict, whose: Names | None = None, where: tzinfo | None = None
) -> tuple[str, str | None]:
    """One event in words, and its style: an alarm stands out. `lock` is its name, `where` its zone."""
    method, who = event.get("method"), event.get("who")
    type = event.get("type")
    kind = event.get("event_type") or "event"
    text = words(type) if type is not None else _EVENTS.get(str(method), "%s %s" % (kind, method or ""))
    if method == "clock_moved":
        text = text % {"moved": _span(event.get("moved_s"))}
    name = (whose or Names(None)).of(method, who)
    line = "  ".join(part.strip() for part in (_moment(event.get("ts"), where), lock, text, name) if part.strip())
    alarming = event.get("event_type") == "alarm" or is_alarm(type)
    return line, "bold red" if alarming else None


def _span(moved_s: object) -> str:
    """Seconds in the largest unit that fits; a clock that showed no time has none."""
    if not isinstance(moved_s, int) or isinstance(moved_s, bool):
        return "an unknown time: it showed none"
    for size, unit in ((86400, "days"), (3600, "hours"), (60, "minutes")):
        if abs(moved_s) >= 2 * size:
            return "%+d %s" % (round(moved_s / size), unit)
    return "%+d seconds" % moved_s


def is_reachable(status: bool | None, availability: bool | None) -> bool | None:
    """Whether a lock can be reached, from its gateway's status and its own availability (mqtt.md 1.1): nobody is left
    to take back what a dead gateway said of its locks. None: not known."""
    if status is False or availability is False:
        return False
    return None if status is None or availability is None else True


def bolt(state: dict, online: bool | None) -> str:
    """What is known of a bolt from a lock's `…/state`: what was told, and of an unreachable lock that it was told."""
    word = state.get("lock")
    if word is None:
        return "unknown"
    if not online:
        return "unknown (was %s)" % (word,)
    return "%s (assumed)" % (word,) if state.get("assumed") else str(word)


def _moment(ts: object, where: tzinfo | None) -> str:
    """ISO 8601 in UTC as the time at the lock, with its zone."""
    return "" if ts is None else zones.shown(str(ts), where)


def _word(value: object, form: str = "%s") -> str:
    return "" if value is None else form % (value,)
