"""A site description in TOML -> SiteSpec: who stands where, the air, settings, and what happens when (README.md).

Unknown keys are refused. Every fault is reported with its line where that is known.
"""

import re
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from host_tools.errors import HostError
from host_tools.sim.air import real
from host_tools.sim.air.profiles import PROFILES
from host_tools.sim.site import actions
from host_tools.sim.site.site_plan import OWN, Plan, SiteSpec
from host_tools.sim.site.timeline import Event

_HEADER = re.compile(r"^\s*(\[\[?)\s*([\w.\-\"]+)\s*\]")
_KEY = re.compile(r"^\s*\"?([\w\-]+)\"?\s*=")


def _table(value: Any) -> str | None:
    return None if isinstance(value, dict) else "must be a table"


def _travel(value: Any) -> str | None:
    return actions.number(value) or (None if 0.02 <= value <= 2 else "must lie between 0.02 and 2")


_SITE: dict[str, actions.Check] = {
    "profile": actions.either(*PROFILES),
    "variants": actions.some_of(*real.VARIANTS),
    "seed": actions.count,
    "broker": actions.either("iotcore", "mosquitto"),
    "secure": actions.flag,
    "paired": actions.flag,
    "provisioned": actions.flag,
    "clock_backup": actions.flag,
    "bolt_travel_s": _travel,
    "gateway_settings": _table,
    "lock_settings": _table,
}
_BOARD: dict[str, actions.Check] = {"name": actions.name, "at": actions.point, "settings": _table}
_LOCK: dict[str, actions.Check] = _BOARD | {
    "profile": actions.either(OWN, real.PROFILE),
    "variants": actions.some_of(*real.VARIANTS),
}
_WHEN: dict[str, actions.Check] = {"t": actions.amount, "every_s": actions.amount, "until_s": actions.amount}
_LISTS = ("gateways", "locks", "events")


class _Reader:
    """Collects faults while it reads."""

    def __init__(self, name: str, source: str) -> None:
        self._name = name
        self._lines = source.splitlines()
        self._faults: list[tuple[int, str]] = []

    def fault(self, where: tuple[str, int] | None, key: str, what: str) -> None:
        """`where`: the list and the number of the entry in it, or None for the site itself."""
        line = self._line(where, key)
        label = "%s[%d].%s" % (*where, key) if where else key
        self._faults.append((line, "%s line %d: %s %s" % (self._name, line, label, what)))

    def check(self, where: tuple[str, int] | None, given: dict, checks: dict[str, actions.Check]) -> None:
        for key, value in given.items():
            what = checks[key](value) if key in checks else "is no key here; there are: " + ", ".join(sorted(checks))
            if what:
                self.fault(where, key, what)

    def end(self) -> None:
        """Raise HostError if anything was wrong."""
        if self._faults:
            raise HostError("bad_request", "; ".join(text for _, text in sorted(self._faults)))

    def _line(self, where: tuple[str, int] | None, key: str) -> int:
        """The line of a key, else that of the table it should be in, else 1."""
        inside: tuple[str, int] | None = None
        counted: dict[str, int] = {}
        best = 1
        for number, line in enumerate(self._lines, 1):
            match = _HEADER.match(line)
            if match:
                name = match.group(2).split(".")[0]
                if match.group(1) == "[[":
                    counted[name] = counted.get(name, -1) + 1
                inside = (name, counted.get(name, 0))
                if inside == where and best == 1:
                    best = number
                if where is None and name == key:
                    return number
            elif inside == where:
                word = _KEY.match(line)
                if word and word.group(1) == key:
                    return number
        return best


def load(path: Path) -> tuple[SiteSpec, bool]:
    """(what to build, whether the locks are to be paired) from a file. Raises HostError with every fault in it."""
    try:
        source = path.read_text()
    except (OSError, UnicodeDecodeError) as err:
        raise HostError("bad_request", "cannot read %s: %s" % (path, err))
    return parse(source, path.name)


def parse(source: str, name: str = "site") -> tuple[SiteSpec, bool]:
    """The same from a text."""
    try:
        given = tomllib.loads(source)
    except tomllib.TOMLDecodeError as err:
        raise HostError("bad_request", "%s is no TOML: %s" % (name, err))
    reader = _Reader(name, source)
    reader.check(None, {key: value for key, value in given.items() if key not in _LISTS}, _SITE)
    lists = {key: _entries(reader, given, key) for key in _LISTS}
    gateways = [_board(reader, ("gateways", index), entry) for index, entry in enumerate(lists["gateways"])]
    locks = [_board(reader, ("locks", index), entry) for index, entry in enumerate(lists["locks"])]
    events = [_event(reader, ("events", index), entry) for index, entry in enumerate(lists["events"])]
    spec = SiteSpec(gateways=len(gateways), locks=len(locks), gateway_plans=gateways, lock_plans=locks, events=events)
    _check_names(reader, spec, lists["events"])
    reader.end()
    for key in _SITE:
        if key in given and key != "paired":
            setattr(spec, key, tuple(given[key]) if key == "variants" else given[key])
    return spec, given.get("paired", False)


def _entries(reader: _Reader, given: dict, key: str) -> list[dict]:
    value = given.get(key, [])
    if isinstance(value, list) and all(isinstance(entry, dict) for entry in value):
        return value
    reader.fault(None, key, "must be tables: [[%s]]" % key)
    return []


def _board(reader: _Reader, where: tuple[str, int], entry: dict) -> Plan:
    is_lock = where[0] == "locks"
    reader.check(where, entry, _LOCK if is_lock else _BOARD)
    at = entry.get("at")
    place = None if at is None or actions.point(at) else (float(at[0]), float(at[1]))
    settings = entry.get("settings", {})
    variants = entry.get("variants") if is_lock else None
    return Plan(
        entry.get("name"),
        place,
        settings if isinstance(settings, dict) else {},
        entry.get("profile") if is_lock else None,
        tuple(variants) if isinstance(variants, list) else None,
    )


def _event(reader: _Reader, where: tuple[str, int], entry: dict) -> Event:
    if "t" not in entry:
        reader.fault(where, "t", "is missing: the second at which it happens")
    when = {key: value for key, value in entry.items() if key in _WHEN}
    reader.check(where, when, _WHEN)
    if when.get("every_s") == 0:
        reader.fault(where, "every_s", "must be more than 0")
    request = {key: value for key, value in entry.items() if key not in _WHEN}
    for key, what in actions.faults_of(request):
        reader.fault(where, key, what)

    def second(key: str) -> Any:
        return when[key] if key in when and not actions.amount(when[key]) else None

    return Event(second("t") or 0.0, request, second("every_s"), second("until_s"))


def _check_names(reader: _Reader, spec: SiteSpec, events: list[dict]) -> None:
    """Boards that events name must be there."""
    plans: dict[str, Callable[[int], Plan]] = {"gateways": spec.gateway_plan, "locks": spec.lock_plan}
    names: dict[str, set[str]] = {}
    for kind, plan in plans.items():
        names_of = [str(plan(index).name).lower() for index in range(getattr(spec, kind))]
        names[kind] = set(names_of)
        for index, name in enumerate(names_of):
            if name in names_of[:index]:
                reader.fault((kind, index), "name", "is taken: %r" % name)
    kinds = {"gateway": names["gateways"], "lock": names["locks"]}
    every = names["gateways"] | names["locks"]
    for index, event in enumerate(events):
        for key, known in {"board": every, "reset": every, **kinds}.items():
            value = event.get(key)
            if isinstance(value, str) and value.lower() not in known:
                reader.fault(("events", index), key, "names nobody: %r" % value)
