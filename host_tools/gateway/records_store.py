"""The owner's records of who opened what: one SQLite file, every record once, kept until the owner deletes it.

Owns the file, the rule that a record is the same if lock, epoch and number are, and the choice of records. What is
deleted here stays in the lock; its number is remembered, so that reading the lock again does not bring it back.
Source: mqtt.md 1 (`…/records`); domain.md key feature 10.
"""

import asyncio
import json
import os
import sqlite3
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from host_tools.errors import HostError
from host_tools.gateway.client import Gateways

ENVIRONMENT = "GATEHOUSE_RECORDS"
QUIET_S = 2.0  # after the gateway has read the lock, its batches arrive within this
COLUMNS = ("rec", "type", "list", "event", "method", "ok", "who", "ts", "battery", "button", "accessory_battery")
_SCHEMA = """
CREATE TABLE IF NOT EXISTS records (
 lock TEXT NOT NULL, epoch INTEGER NOT NULL, rec INTEGER NOT NULL, type INTEGER, event TEXT, method TEXT, ok INTEGER,
 who INTEGER, ts TEXT, battery INTEGER, PRIMARY KEY (lock, epoch, rec)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS gaps (
 lock TEXT NOT NULL, epoch INTEGER NOT NULL, before INTEGER NOT NULL, lost INTEGER NOT NULL,
 PRIMARY KEY (lock, epoch, before)) WITHOUT ROWID;
"""
_ADDED = ("list", "button", "accessory_battery", "gone")  # columns that a file of the first release lacks


def default_path() -> Path:
    """$GATEHOUSE_RECORDS or ~/.local/share/gatehouse/records.db."""
    given = os.environ.get(ENVIRONMENT)
    if given:
        return Path(given)
    return Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share") / "gatehouse" / "records.db"


@dataclass
class Batch:
    """One message of `…/records`, checked."""

    epoch: int
    first: int
    last: int
    gap: int
    items: list[dict]


def read_batch(text: str) -> Batch:
    """JSON of a batch -> Batch. HostError when it is none."""
    try:
        value = json.loads(text)
        batch = Batch(value["epoch"], value["from"], value["to"], value["gap"], value["items"])
        numbers = [batch.epoch, batch.first, batch.last, batch.gap, *(item["rec"] for item in batch.items)]
        if any(isinstance(each, bool) or not isinstance(each, int) for each in numbers) or not batch.items:
            raise ValueError
    except (KeyError, TypeError, ValueError):
        raise HostError("protocol", "a gateway sent a batch of records that cannot be read", "update the gateway")
    return batch


@dataclass
class Choice:
    """Which records of a lock. `since` and `until` are Unix seconds, the latter exclusive; a record without a time is
    in no range. `whose` are pairs (methods, number): any of them. Empty and None choose all.
    """

    since: int | None = None
    until: int | None = None
    methods: tuple[str, ...] = ()
    who: int | None = None
    whose: list[tuple[tuple[str, ...], int]] | None = None
    listed: bool = False
    failed: bool = False
    keys: list[tuple[int, int]] = field(default_factory=list)

    def clause(self, lock: str) -> tuple[str, list]:
        """The condition in SQL, and its values."""
        terms = ["lock=?", "gone IS NULL"]
        values: list = [lock]
        for sign, moment in ((">=", self.since), ("<", self.until)):
            if moment is not None:
                terms.append("ts%s?" % sign)
                values.append(datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"))
        if self.methods:
            terms.append("method IN (%s)" % ",".join("?" * len(self.methods)))
            values += self.methods
        if self.who is not None:
            terms.append("who=?")
            values.append(self.who)
        if self.whose is not None:
            terms.append("(%s)" % (" OR ".join(_one_of(methods) for methods, _ in self.whose) or "0"))
            for methods, who in self.whose:
                values += [who, *methods]
        if self.listed:
            terms.append("list IS NOT NULL")
        if self.failed:
            terms.append("ok=0")
        if self.keys:
            terms.append("(%s)" % " OR ".join("epoch=? AND rec=?" for _ in self.keys))
            values += [number for key in self.keys for number in key]
        return " AND ".join(terms), values


def _one_of(methods: tuple[str, ...]) -> str:
    return "(who=? AND method IN (%s))" % ",".join("?" * len(methods))


class RecordStore:
    """Use as a context manager."""

    def __init__(self, path: Path | None = None) -> None:
        self.path = Path(path) if path else default_path()
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            if not self.path.exists():
                os.close(os.open(self.path, os.O_WRONLY | os.O_CREAT, 0o600))
            self._base = sqlite3.connect(self.path)
            self._base.executescript(_SCHEMA)
            known = [row[1] for row in self._base.execute("PRAGMA table_info(records)")]
            for column in _ADDED:
                if column not in known:
                    self._base.execute("ALTER TABLE records ADD COLUMN %s INTEGER" % column)
        except (OSError, sqlite3.Error) as err:
            raise HostError("config", "cannot open %s: %s" % (self.path, err), "set $GATEHOUSE_RECORDS to another file")

    def __enter__(self) -> "RecordStore":
        return self

    def __exit__(self, *_: object) -> None:
        self._base.close()

    def keep(self, lock: str, batch: Batch) -> int:
        """Store a batch, on the disk when it returns; how many records were new."""
        before = self._base.total_changes
        rows = [(lock, batch.epoch, *(item.get(column) for column in COLUMNS)) for item in batch.items]
        names = ",".join(("lock", "epoch", *COLUMNS))
        marks = ",".join("?" * (2 + len(COLUMNS)))
        with self._base:
            self._base.executemany("INSERT OR IGNORE INTO records (%s) VALUES (%s)" % (names, marks), rows)
            new = self._base.total_changes - before
            if batch.gap:
                row = (lock, batch.epoch, batch.first, batch.gap)
                self._base.execute("INSERT OR IGNORE INTO gaps VALUES (?,?,?,?)", row)
        return new

    def count(self, lock: str, choice: Choice) -> int:
        """How many records are chosen."""
        where, values = choice.clause(lock)
        return int(self._base.execute("SELECT COUNT(*) FROM records WHERE " + where, values).fetchone()[0])

    def page(self, lock: str, choice: Choice, size: int, number: int = 1) -> list[dict]:
        """Page `number` of the chosen records, 1 holding the newest, each page oldest first."""
        where, values = choice.clause(lock)
        rows = self._base.execute(
            "SELECT epoch,%s FROM records WHERE %s ORDER BY epoch DESC, rec DESC LIMIT ? OFFSET ?"
            % (",".join(COLUMNS), where),
            (*values, size, size * (number - 1)),
        ).fetchall()
        return [_row(row) for row in reversed(rows)]

    def every(self, lock: str, choice: Choice) -> Iterator[dict]:
        """All chosen records, the oldest first."""
        where, values = choice.clause(lock)
        statement = "SELECT epoch,%s FROM records WHERE %s ORDER BY epoch, rec" % (",".join(COLUMNS), where)
        for row in self._base.execute(statement, values):
            yield _row(row)

    def last(self, lock: str, count: int) -> list[dict]:
        """The newest `count` records of a lock, oldest first."""
        return self.page(lock, Choice(), count)

    def lost(self, lock: str) -> int:
        """How many records the gateway has reported as lost for good."""
        return int(self._base.execute("SELECT COALESCE(SUM(lost),0) FROM gaps WHERE lock=?", (lock,)).fetchone()[0])

    def delete(self, lock: str, choice: Choice) -> int:
        """Forget the chosen records, but for their numbers; how many there were."""
        where, values = choice.clause(lock)
        blank = ",".join("%s=NULL" % column for column in COLUMNS if column != "rec")
        with self._base:
            cursor = self._base.execute("UPDATE records SET gone=1,%s WHERE %s" % (blank, where), values)
        return cursor.rowcount


def _row(row: tuple) -> dict:
    record = dict(zip(("epoch", *COLUMNS), row, strict=True))
    record["ok"] = None if record["ok"] is None else bool(record["ok"])
    return record


class Inflow:
    """Batches of one lock on their way into the store; each is acknowledged when it is on the disk."""

    def __init__(self, store: RecordStore, gateways: Gateways, ident: str) -> None:
        self._store = store
        self._gateways = gateways
        self._ident = ident
        self._batches: asyncio.Queue[tuple[str, str]] = asyncio.Queue()
        self.new = 0

    async def start(self) -> None:
        def receive(sender: str, _lock: str, _leaf: str, text: str) -> None:
            self._batches.put_nowait((sender, text))

        await self._gateways.watch(("records",), receive, self._ident)

    async def _next(self, quiet_s: float | None) -> list[dict]:
        sender, text = await asyncio.wait_for(self._batches.get(), quiet_s)
        batch = read_batch(text)
        self.new += self._store.keep(self._ident, batch)
        await self._gateways.acknowledge(sender, self._ident, batch.epoch, batch.last)
        return batch.items

    async def keep(self, quiet_s: float | None) -> None:
        """Until no batch has come for so long."""
        while True:
            try:
                await self._next(quiet_s)
            except TimeoutError:
                return

    async def items(self) -> AsyncIterator[dict]:
        """Records as they come; never ends."""
        while True:
            for item in await self._next(None):
                yield item
