"""The owner's records of who opened what: in one SQLite file or in PostgreSQL, every record once, kept until the owner
deletes it. `gatehouse records` and `gatehouse serve` both keep them here.

Owns the rule that a record is the same if lock, era, number and the lock's own date are (mqtt.md 2). Two records of one
such name with other contents contradict each other: both are kept, and marked. They are in the order of time, and of
arrival where the lock had none; the era says nothing of it. What a gateway proves stands before what anybody may have
sent. A row that cannot be read is shown with what can be, and stops nothing. What is deleted here stays in the lock;
its name is remembered, so that reading the lock again does not bring it back.
Source: mqtt.md 1 (`…/records`); domain.md key feature 10. The tables are `records_schema`'s; which row a record is, is
decided by `records_filing`.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path

from sqlalchemy import Connection, exists, func, select

from host_tools.errors import HostError
from host_tools.gateway import records_filing
from host_tools.gateway.database import Database
from host_tools.gateway.records_batch import NUMBERS, Batch, readable
from host_tools.gateway.records_choice import Choice
from host_tools.gateway.records_schema import ASKED, COLUMNS, GAPS, NAMES, RECORDS
from host_tools.owner import places

_C = RECORDS.c
_SHOWN = ("id", "epoch", "date", "proven", *COLUMNS)
_TODO = "set $GATEHOUSE_RECORDS to another file, or to the URL of a database"


class RecordStore:
    """Use as a context manager. `where` is a file or a URL (`database`), a Database is used and left open."""

    def __init__(self, where: Path | str | Database | None = None) -> None:
        self._is_own = not isinstance(where, Database)
        self.base = where if isinstance(where, Database) else Database(where or places.records(), todo=_TODO)

    def demand_fitting(self, is_simulated: bool, gateway: str) -> None:
        """HostError when this is the store of the owner's real locks, and the gateway is simulated."""
        if is_simulated and self.base.path == places.own_records():
            raise HostError(
                "config",
                "gateway %s is simulated; its records do not belong among those of real locks" % gateway,
                "set $GATEHOUSE_RECORDS to another file",
            )

    def __enter__(self) -> "RecordStore":
        return self

    def __exit__(self, *_: object) -> None:
        if self._is_own:
            self.base.close()

    # --- in

    def keep(self, lock: str, batch: Batch) -> int:
        """Store a batch, on the disk when it returns; how many records were new."""
        with self.base.writing() as base:
            self.base.hold(base, lock)
            return len(self.file(base, lock, batch))

    def file(self, base: Connection, lock: str, batch: Batch) -> list[dict]:
        """The same in a transaction of the caller's, which holds the lock -> the items that were new."""
        filing = records_filing.Filing(base, lock, batch.epoch)
        new = filing.add(batch.items, batch.proven)
        if batch.gap:
            row = {"lock": lock, "epoch": batch.epoch, "before": batch.first, "lost": min(batch.gap, NUMBERS)}
            records_filing.insert_once(base, GAPS, [row])
        return new

    # --- out

    def names(self, lock: str) -> dict[tuple[str, int], str]:
        """Names of a lock's credentials, by kind and number in records, as the owner gave them to the service."""
        c = NAMES.c
        with self.base.reading() as base:
            found = base.execute(select(c.kind, c.who, c.name).where(c.subject == lock, c.kind != "lock"))
            return {(kind, who): name for kind, who, name in found}

    def locks(self) -> list[str]:
        """Ids of all locks of which there are records, in order."""
        with self.base.reading() as base:
            return sorted(base.scalars(select(_C.lock).distinct()))

    def count(self, lock: str, choice: Choice) -> int:
        """How many records are chosen."""
        with self.base.reading() as base:
            return int(base.scalar(select(func.count()).select_from(RECORDS).where(choice.clause(lock))) or 0)

    def page(self, lock: str, choice: Choice, size: int, number: int = 1) -> list[dict]:
        """Page `number` of the chosen records, 1 holding the newest, each page oldest first. Of each the columns,
        `epoch` (its era), `date` (the lock's own, hex), `conflict`: another one of the same name says otherwise,
        `proven`: its gateway's mac was on it, `damaged`: the file had something in it that no record can hold."""
        wanted = _listing(lock, choice).order_by(_C.place.desc(), _C.rec.desc(), _C.id.desc())
        with self.base.reading() as base:
            rows = base.execute(wanted.limit(size).offset(size * (number - 1))).all()
        return [_row(row) for row in reversed(rows)]

    def every(self, lock: str, choice: Choice) -> Iterator[dict]:
        """All chosen records, the oldest first."""
        with self.base.reading() as base:
            wanted = _listing(lock, choice).order_by(_C.place, _C.rec, _C.id)
            for row in base.execution_options(yield_per=500).execute(wanted):
                yield _row(row)

    def last(self, lock: str, count: int) -> list[dict]:
        """The newest `count` records of a lock, oldest first."""
        return self.page(lock, Choice(), count)

    # --- what is not here

    def lost(self, lock: str) -> int:
        """How many records are known to have been, and neither a gateway nor the lock had them any more."""
        total = 0
        of_lock = [select(table.c.epoch).where(table.c.lock == lock) for table in (GAPS, ASKED)]
        with self.base.reading() as base:
            for epoch in base.scalars(of_lock[0].union(of_lock[1])).all():
                here = _numbers(base, lock, epoch)
                gone = _told(base, lock, epoch)
                for first, last in _asked(base, lock, epoch):  # before the first one that is here nothing is missed
                    if here and any(number < first for number in here):
                        gone.update(range(first, last + 1))
                total += len(gone - here)
        return total

    def lacking(self, lock: str, epoch: int, cursor: int) -> list[tuple[int, int]]:
        """Ranges (first, last) of numbers up to `cursor` that are not here and were never asked for, in order; also of
        what a gateway told as lost: another may have it, and the lock by its number (hardware-facts.md F52)."""
        with self.base.reading() as base:
            known = _numbers(base, lock, epoch)
            for first, last in _asked(base, lock, epoch):
                known.update(range(first, last + 1))
        above = [number for number in known if number > cursor]  # of before the numbers began anew
        order = [*(range(min(above), NUMBERS) if above else ()), *range(min(cursor, NUMBERS))]
        ranges: list[tuple[int, int]] = []
        for number in order:
            if number in known:
                continue
            if ranges and ranges[-1][1] == number - 1:
                ranges[-1] = (ranges[-1][0], number)
            else:
                ranges.append((number, number))
        return ranges

    def asked(self, lock: str, epoch: int, first: int, last: int) -> None:
        """The lock was asked for these numbers, and gave all that it holds of them."""
        with self.base.writing() as base:
            row = {"lock": lock, "epoch": epoch, "first": first, "last": last}
            records_filing.insert_once(base, ASKED, [row])

    # --- deleting

    def find(self, lock: str, rec: int, epoch: int | None = None, date: str | None = None) -> list[dict]:
        """The records with this number, of one era and date where they are given, the oldest first."""
        return [
            row
            for row in self.every(lock, Choice())
            if row["rec"] == rec and epoch in (None, row["epoch"]) and date in (None, row["date"])
        ]

    def delete(self, lock: str, choice: Choice) -> int:
        """Forget the chosen records, but for their names; how many there were."""
        with self.base.writing() as base:
            self.base.hold(base, lock)
            return records_filing.forget(base, lock, choice.clause(lock))


def _listing(lock: str, choice: Choice):  # type: ignore[no-untyped-def]  # SQLAlchemy's Select has one type per column
    other = RECORDS.alias()
    names = (other.c.lock == _C.lock, other.c.epoch == _C.epoch, other.c.rec == _C.rec, other.c.date == _C.date)
    conflict = exists().where(*names, other.c.id != _C.id, other.c.gone.is_(None))
    return select(*(_C[name] for name in _SHOWN), conflict).where(choice.clause(lock))


def _numbers(base: Connection, lock: str, epoch: int) -> set[int]:
    found = base.scalars(select(_C.rec).where(_C.lock == lock, _C.epoch == epoch))
    return {rec for rec in found if isinstance(rec, int)}


def _told(base: Connection, lock: str, epoch: int) -> set[int]:
    found = base.execute(select(GAPS.c.before, GAPS.c.lost).where(GAPS.c.lock == lock, GAPS.c.epoch == epoch))
    good = [(before, lost) for before, lost in found if isinstance(before, int) and isinstance(lost, int)]
    return {(before - 1 - n) % NUMBERS for before, lost in good for n in range(min(lost, NUMBERS))}


def _asked(base: Connection, lock: str, epoch: int) -> list[tuple[int, int]]:
    found = base.execute(select(ASKED.c.first, ASKED.c.last).where(ASKED.c.lock == lock, ASKED.c.epoch == epoch))
    return [
        (first, last)
        for first, last in found
        if all(isinstance(each, int) and 0 <= each < NUMBERS for each in (first, last))
    ]


def _row(row: Iterable) -> dict:
    record, is_damaged = readable(dict(zip((*_SHOWN, "conflict"), row, strict=True)))
    record["damaged"], record["proven"] = is_damaged, record["proven"] == 1
    record["ok"] = None if record["ok"] is None else bool(record["ok"])
    record["conflict"], record["approx"] = bool(record["conflict"]), bool(record["approx"])
    return record
