"""What gateways tell beside their records: who is there, how locks stand, alarms that are no records (mqtt.md 1.1).

Owns what of it becomes a level or an incident. None of it is proven: anybody whom the broker lets publish there can say
it. So it makes alerts and nothing else, only of gateways whose key of records the owner gave, and for a bounded number
of locks. Instances tell the database the same; the last that each is told is the same, too.
"""

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import Executor

import aiomqtt
from sqlalchemy import Connection, or_, select

from firmware.lib.errors import ProtocolError
from firmware.lib.topics import Topics, parse
from host_tools.gateway import payloads
from host_tools.gateway.database import Database, DatabaseError
from host_tools.gateway.records_schema import WATCHES
from host_tools.serve import alerting, alerts
from host_tools.serve.alerting import Alerting
from host_tools.serve.alerts import BAD, GOOD, Incident, Reading, Rules
from host_tools.serve.files import Keys
from host_tools.serve.metrics import Metrics

_LEAVES = ("availability", "state", "event")
_MAX_LOCKS = 64  # of one gateway, as it serves
_PAUSE_S, _MAX_PAUSE_S = 0.5, 30.0
_ONLINE = {"online": GOOD, "offline": BAD}
_DOORS = {"closed": GOOD, "open": BAD}
_TAMPERS = {"off": GOOD, "on": BAD}

# (what, subject, value) for the table of what was told last
Told = tuple[str, str, str]


def filters(base: str) -> list[str]:
    """What is subscribed to, each instance for itself: most of it is retained."""
    topics = Topics("+", base)
    return [topics.gateway("status"), *(topics.lock("+", leaf) for leaf in _LEAVES)]


class Watcher:
    """`take` gets groups of messages; `tick` is called now and then."""

    def __init__(
        self,
        database: Database,
        keys: Keys,
        alerting_: Alerting,
        rules: Rules,
        metrics: Metrics,
        executor: Executor,
        told: Callable[[str], None],
        now_s: Callable[[], float] = time.time,
    ) -> None:
        self._database = database
        self._keys = keys
        self._alerting = alerting_
        self._rules = rules
        self._metrics = metrics
        self._executor = executor
        self._told = told
        self._now_s = now_s
        self._reader = payloads.Reader()
        self._locks: dict[str, set[str]] = {}
        self._last: dict[tuple[str, str], object] = {}

    async def take(self, group: list[aiomqtt.Message]) -> None:
        """Into the database. While that is away it waits, and what comes behind waits, too."""
        facts: list[Told | Incident | Reading] = []
        for message in group:
            facts += self._read(message)
        if not facts:
            return
        pause_s = _PAUSE_S
        while True:
            try:
                await asyncio.get_running_loop().run_in_executor(self._executor, self._commit, facts)
                return
            except DatabaseError as error:
                if self._metrics.database(error.line()) or not error.is_away:
                    self._told(error.line())
                self._last.clear()
                if not error.is_away:
                    return
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, _MAX_PAUSE_S)

    def _read(self, message: aiomqtt.Message) -> list[Told | Incident | Reading]:
        """What a message says that was not said before."""
        try:
            gateway, lock, leaf = parse(str(message.topic), self._keys.base)
            text = bytes(message.payload).decode()  # type: ignore[arg-type]
        except (ProtocolError, ValueError, TypeError):
            return []
        if gateway not in self._keys.recorders or len(text) > payloads.longest(leaf):
            return []
        if lock is None:
            return self._presence("status", gateway, text) if leaf == "status" else []
        known = self._locks.setdefault(gateway, set())
        if lock not in known and len(known) >= _MAX_LOCKS:
            return []
        known.add(lock)
        if leaf == "availability":
            return self._presence("availability", "%s/%s" % (gateway, lock), text)
        if leaf == "event":
            event = None if message.retain else self._reader.message(text, payloads.EVENT)
            return list(alerts.of_event(event, lock, self._now_s())) if event else []
        state = self._reader.message(text, payloads.STATE) if leaf == "state" and text else None
        return self._standing(lock, state) if state else []

    def _presence(self, what: str, subject: str, text: str) -> list[Told | Incident | Reading]:
        value = _ONLINE.get(text)
        return [(what, subject, value)] if value and self._is_news(what, subject, value) else []

    def _standing(self, lock: str, state: dict) -> list[Told | Incident | Reading]:
        """A retained state may be old: what it says of battery and door holds since it was told."""
        now = self._now_s()
        found: list[Told | Incident | Reading] = []
        if state.get("battery") is not None and self._is_news("battery", lock, state["battery"]):
            found.append(alerts.of_battery(lock, now, state["battery"], self._rules))
        for kind, words in (("door", _DOORS), ("tamper", _TAMPERS)):
            value = words.get(str(state.get(kind)))
            if value and self._is_news(kind, lock, value):
                found.append(Reading(kind, lock, now, value))
        return found

    def _is_news(self, what: str, subject: str, value: object) -> bool:
        is_news = self._last.get((what, subject)) != value
        self._last[what, subject] = value
        return is_news

    def _commit(self, facts: list[Told | Incident | Reading]) -> None:
        now = self._now_s()
        subjects = {each[1] if isinstance(each, tuple) else each.subject for each in facts}
        began = 0
        with self._database.writing() as base:
            alerting.hold(self._database, base, subjects)
            for each in facts:
                if not isinstance(each, tuple):
                    began += self._alerting.judge(base, each, now)
                    continue
                what, subject, value = each
                before = base.scalar(
                    select(WATCHES.c.value).where(WATCHES.c.subject == subject, WATCHES.c.what == what)
                )
                if before != value:
                    alerting.put(base, subject, what, value, now, now)
                if what == "status":
                    began += self._alerting.judge(base, Reading("gateway_away", subject, now, value), now)
        self._metrics.database("")
        self._metrics.began.inc(began)

    # --- time passes

    def tick(self) -> None:
        """Judge what depends on time, and on several gateways at once. DatabaseError."""
        now = self._now_s()
        with self._database.reading() as base:
            reached = self._reached(base)
        for lock, value in reached.items():
            if self._is_news("lock_away", lock, value):
                with self._database.writing() as base:
                    alerting.hold(self._database, base, [lock])
                    self._metrics.began.inc(self._alerting.judge(base, Reading("lock_away", lock, now, value), now))
        with self._database.reading() as base:
            due = self._alerting.due(base)
        for kind, subject in due:
            with self._database.writing() as base:
                alerting.hold(self._database, base, [subject])
                self._metrics.began.inc(self._alerting.settle(base, kind, subject, now))
        with self._database.reading() as base:
            for kind, count in self._alerting.active(base).items():
                self._metrics.active.labels(kind).set(count)
        self._metrics.database("")

    def _reached(self, base: Connection) -> dict[str, str | None]:
        """Lock -> whether any gateway reaches it."""
        c = WATCHES.c
        rows = base.execute(select(c.subject, c.what, c.value).where(or_(c.what == "status", c.what == "availability")))
        status: dict[str, bool] = {}
        there: dict[str, dict[str, bool]] = {}
        for subject, what, value in rows:
            gateway, _, lock = subject.partition("/")
            if gateway not in self._keys.recorders:  # the owner has given it up
                continue
            if what == "status":
                status[gateway] = value == GOOD
            else:
                there.setdefault(lock, {})[gateway] = value == GOOD
        return {lock: alerts.reach(_pairs(by, status)) for lock, by in there.items()}


def _pairs(by: dict[str, bool], status: dict[str, bool]) -> dict[str, tuple[bool | None, bool | None]]:
    return {gateway: (status.get(gateway), is_there) for gateway, is_there in by.items()}
