"""Alerts in the database: whoever of the instances comes first begins an episode, all others find it there.

Owns the tables `watches`, `alerts` and the making of `notices`. The rules are `alerts`'; a transaction of the caller's
holds the subject, so that two instances never judge the same one at a time. Sending is `sender`'s.
"""

from collections.abc import Iterable
from datetime import UTC

from sqlalchemy import Connection, and_, func, insert, or_, select, update

from host_tools.gateway.database import Database
from host_tools.gateway.records_batch import wall
from host_tools.gateway.records_filing import insert_once
from host_tools.gateway.records_schema import ALERTS, NAMES, NOTICES, RECORDS, WATCHES, unix_of
from host_tools.serve import alerts
from host_tools.serve.alerts import Episode, Incident, Level, Reading, Rules

_LEVELS = ("battery", "tamper", "door", "lock_away", "gateway_away")
_DAY_S = 86400


class Alerting:
    """`targets`: name -> the kinds of alert that this receiver wants. `off`: kinds that nobody wants to hear of."""

    def __init__(self, rules: Rules, targets: dict[str, frozenset[str]], off: Iterable[str] = ()) -> None:
        self._rules = rules
        self._targets = targets
        self._off = frozenset(off)

    # --- what was told, inside a transaction that holds its subjects

    def of_records(self, base: Connection, lock: str, items: list[dict], now: float) -> int:
        """Judge records that are new in the store -> how many alerts began."""
        began = 0
        for item in items:
            at = moment_of(item, now)
            for told in alerts.of_record(item, lock, at, self._rules):
                began += self.judge(base, told, now)
            if item.get("event") == "unlock_failed" and self._is_guessing(base, lock, at):
                began += self.judge(base, Incident("wrong_codes", lock, at), now)
        return began

    def _is_guessing(self, base: Connection, lock: str, at: float) -> bool:
        span = self._rules.wrong_codes_s
        c = RECORDS.c
        near = and_(c.lock == lock, c.event == "unlock_failed", c.place.between(at - span, at + span))
        times = base.scalars(select(c.place).where(near).limit(1000)).all()
        return alerts.is_cluster([each for each in times if isinstance(each, int | float)], at, self._rules)

    def judge(self, base: Connection, told: Incident | Reading, now: float) -> int:
        """Take one thing that was told -> 1 when an alert began by it."""
        if told.kind in self._off or told.at < now - self._rules.max_age_s:
            return 0
        if isinstance(told, Incident):
            return self._incident(base, told, now)
        before = self._level(base, told.subject, told.kind)
        level = alerts.updated(before, told)
        if level is None or level is before:
            return 0
        self._keep(base, told.subject, told.kind, level)
        return self.settle(base, told.kind, told.subject, now, told.why)

    def settle(self, base: Connection, kind: str, subject: str, now: float, why: str = "") -> int:
        """Begin or end the episode of a level, where it has been so for long enough -> 1 when an alert began."""
        level = self._level(base, subject, kind)
        if level is None:
            return 0
        known = self._episodes(base, kind, subject, level.since)
        lasting = next((each for each in known if each.ended is None), None)
        todo = alerts.settle(kind, level, lasting is not None, now, self._rules)
        if todo == "end" and lasting is not None:
            # ended where the level turned, but never before it began: a record may be told late
            self._end(base, lasting, max(level.since, lasting.since))
        if todo != "begin":
            return 0
        found = alerts.belongs(level.since, known, self._rules.apart_s(kind))
        if found is not None:
            base.execute(update(ALERTS).where(ALERTS.c.id == found.id).values(ended=None, until=now))
            return 0
        return self._begin(base, kind, subject, Episode(level.since, None), now, why)

    def _incident(self, base: Connection, told: Incident, now: float) -> int:
        at = min(told.at, now)
        found = alerts.belongs(at, self._episodes(base, told.kind, told.subject, at), self._rules.apart_s(told.kind))
        if found is not None:
            if found.ended is not None and at > found.ended:
                self._end(base, found, at)
            return 0
        ended: float | None = at
        if told.kind in _LEVELS:
            level = self._level(base, told.subject, told.kind)
            if level is not None and level.value == alerts.BAD:
                ended = None
        return self._begin(base, told.kind, told.subject, Episode(at, ended), now, told.why)

    def _begin(self, base: Connection, kind: str, subject: str, made: Episode, now: float, why: str) -> int:
        row = {"kind": kind, "subject": subject, "since": made.since, "until": now, "ended": made.ended}
        number = base.execute(insert(ALERTS).values(**row).returning(ALERTS.c.id)).scalar_one()
        title, body = self._words(base, kind, subject, why)
        notice = {"alert": number, "part": "begin", "title": title, "body": body, "state": "due"}
        wanting = [name for name, kinds in self._targets.items() if kind in kinds]
        rows = [notice | {"target": name, "attempts": 0, "made": now, "due": now} for name in wanting]
        if rows:
            insert_once(base, NOTICES, rows)
        return 1

    def _end(self, base: Connection, episode: Episode, at: float) -> None:
        base.execute(update(ALERTS).where(ALERTS.c.id == episode.id).values(ended=at, until=at))

    def _words(self, base: Connection, kind: str, subject: str, why: str) -> tuple[str, str]:
        name = name_of(base, subject)
        title, body = alerts.WORDS[kind]
        return title % name, body % (name, why or "?" if kind == "battery" else why and " (%s)" % why)

    # --- the tables

    def _level(self, base: Connection, subject: str, kind: str) -> Level | None:
        c = WATCHES.c
        row = base.execute(select(c.value, c.since, c.at).where(c.subject == subject, c.what == kind)).first()
        return None if row is None else Level(*row)

    def _keep(self, base: Connection, subject: str, kind: str, level: Level) -> None:
        put(base, subject, kind, level.value, level.since, level.at)

    def _episodes(self, base: Connection, kind: str, subject: str, at: float) -> list[Episode]:
        """Those that may hold `at`, the newest first."""
        c = ALERTS.c
        apart = self._rules.apart_s(kind)
        near = and_(c.since <= at + apart, c.ended >= at - apart)
        which = and_(c.kind == kind, c.subject == subject, or_(c.ended.is_(None), near))
        rows = base.execute(select(c.since, c.ended, c.id).where(which).order_by(c.since.desc()))
        return [Episode(*row) for row in rows]

    # --- time passes

    def due(self, base: Connection) -> list[tuple[str, str]]:
        """(kind, subject) of all levels that may begin or end something now; whoever acts looks again."""
        c, a = WATCHES.c, ALERTS.c
        open_ = select(a.id).where(a.kind == c.what, a.subject == c.subject, a.ended.is_(None)).exists()
        differs = or_(and_(c.value == alerts.BAD, ~open_), and_(c.value == alerts.GOOD, open_))
        return [
            (what, subject)
            for subject, what in base.execute(select(c.subject, c.what).where(c.what.in_(_LEVELS), differs))
        ]

    def active(self, base: Connection) -> dict[str, int]:
        """How many alerts of each kind last."""
        c = ALERTS.c
        found = base.execute(select(c.kind, func.count()).where(c.ended.is_(None)).group_by(c.kind))
        return dict.fromkeys(alerts.KINDS, 0) | {kind: count for kind, count in found}


def put(base: Connection, subject: str, what: str, value: str, since: float, at: float) -> None:
    """Keep the last that was told."""
    insert_once(base, WATCHES, [{"subject": subject, "what": what, "value": value, "since": since, "at": at}])
    c = WATCHES.c
    base.execute(update(WATCHES).where(c.subject == subject, c.what == what).values(value=value, since=since, at=at))


def name_of(base: Connection, subject: str) -> str:
    """What the owner calls a lock or gateway, or its id."""
    c = NAMES.c
    found: str | None = base.scalar(select(c.name).where(c.subject == subject, c.kind.in_(("lock", "gateway"))))
    return found or subject


def moment_of(item: dict, now: float) -> float:
    """When a record happened: its time, else the lock's own date as if it were UTC, unless that is plainly wrong, else
    now; never later than now."""
    at = unix_of(item.get("ts"))
    if at is None:
        shown = wall(item.get("date"))
        at = None if shown is None else shown.replace(tzinfo=UTC).timestamp()
    return now if at is None or at > now + _DAY_S else min(at, now)


def hold(database: Database, base: Connection, subjects: Iterable[str]) -> None:
    """Have this transaction alone judge these; of `<gateway>/<lock>` both."""
    database.hold(base, *{part for subject in subjects for part in subject.split("/")})
