"""The owner's records of who opened what: one SQLite file, every record once, kept until the owner deletes it.

Owns the rule that a record is the same if lock, era, number and the lock's own date are (mqtt.md 2). Two records of one
such name with other contents contradict each other: both are kept, and marked. They are in the order of time, and of
arrival where the lock had none; the era says nothing of it. What a gateway proves stands before what anybody may have
sent. A row that cannot be read is shown with what can be, and stops nothing. What is deleted here stays in the lock;
its name is remembered, so that reading the lock again does not bring it back.
Source: mqtt.md 1 (`…/records`); domain.md key feature 10. The tables are `records_schema`'s.
"""

import contextlib
import hashlib
import os
import sqlite3
import time
from collections.abc import Iterator
from datetime import UTC
from pathlib import Path

from host_tools.errors import HostError
from host_tools.gateway.records_batch import NUMBERS, Batch, readable, wall
from host_tools.gateway.records_choice import Choice
from host_tools.gateway.records_schema import COLUMNS, COUNTED, prepare, unix_of
from host_tools.owner import places

_CONTENTS = ("type", "battery", "button", "accessory_battery", "who")  # in which two records of one name must agree
_SHOWN = ("id", "epoch", "date", "proven", *COLUMNS)
_OFFSETS_S = 15 * 3600  # a first release's time may have been made with another offset from UTC
_DAY_S = 86400
_CONFLICT = (
    "EXISTS (SELECT 1 FROM records o WHERE o.lock=records.lock AND o.epoch=records.epoch AND o.rec=records.rec"
    " AND o.date=records.date AND o.id<>records.id AND o.gone IS NULL)"
)


class RecordStore:
    """Use as a context manager."""

    def __init__(self, path: Path | None = None) -> None:
        self.path = Path(path) if path else places.records()
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            if not self.path.exists():
                os.close(os.open(self.path, os.O_WRONLY | os.O_CREAT, 0o600))
            self._base = sqlite3.connect(self.path, timeout=30)
            self._base.text_factory = lambda raw: raw.decode(errors="replace")  # a damaged text stops no listing
            prepare(self._base)
        except (OSError, sqlite3.Error) as err:
            raise HostError("config", "cannot open %s: %s" % (self.path, err), "set $GATEHOUSE_RECORDS to another file")

    def demand_fitting(self, is_simulated: bool, gateway: str) -> None:
        """HostError when this is the store of the owner's real locks, and the gateway is simulated."""
        if is_simulated and self.path == places.own_records():
            raise HostError(
                "config",
                "gateway %s is simulated; its records do not belong among those of real locks" % gateway,
                "set $GATEHOUSE_RECORDS to another file",
            )

    def __enter__(self) -> "RecordStore":
        return self

    def __exit__(self, *_: object) -> None:
        self._base.close()

    # --- in

    def keep(self, lock: str, batch: Batch) -> int:
        """Store a batch, on the disk when it returns; how many records were new."""
        with self._writing():
            new = sum([self._keep(lock, batch.epoch, item, batch.proven) for item in batch.items])
            if batch.gap:
                row = (lock, batch.epoch, batch.first, min(batch.gap, NUMBERS))
                self._base.execute("INSERT OR IGNORE INTO gaps VALUES (?,?,?,?)", row)
        return new

    @contextlib.contextmanager
    def _writing(self) -> Iterator[None]:
        """All of it on the disk, or nothing. HostError when the disk or another program refuses."""
        try:
            with self._base:
                yield
        except sqlite3.Error as err:
            raise HostError("config", "cannot write %s: %s" % (self.path, err), "is the disk full, or another running?")

    def _keep(self, lock: str, epoch: int, item: dict, proven: bool) -> bool:
        """Store one record; whether it is new."""
        rec, date = item["rec"], item.get("date") or ""
        known = self._named(lock, epoch, rec)
        if any(row["gone"] and row["date"] in ("", _digest(lock, epoch, rec, date)) for row in known):
            return False
        for row in known:
            if not row["gone"] and row["date"] == date and _agree(row, item):
                self._complete(lock, row, item, epoch, date, proven)
                return False
        if date:
            for row in known:  # of the first release, and known to be of this era
                apart = _apart_s(row, item)
                if not row["gone"] and not row["date"] and apart is not None and apart <= _OFFSETS_S:
                    if _agree(row, item):
                        self._complete(lock, row, item, epoch, date, proven)
                        return False
            for row in self._counted(lock, rec):
                if _agree(row, item) and _apart_s(row, item) == 0:
                    self._adopt(lock, row["epoch"], epoch)
                    self._complete(lock, row, item, epoch, date, proven)
                    return False
        place = self._place(lock, epoch, item)
        names = ("lock", "epoch", "date", "place", "arrived", "proven", *COLUMNS)
        told = (item.get(column) for column in COLUMNS)
        values = (lock, epoch, date, place, int(time.time()), 1 if proven else None, *told)
        marks = ",".join("?" * len(names))
        self._base.execute("INSERT INTO records (%s) VALUES (%s)" % (",".join(names), marks), values)
        return True

    def _rows(self, where: str, values: tuple) -> list[dict]:
        names = ("id", "gone", "epoch", "date", "place", "proven", *COLUMNS)
        found = self._base.execute("SELECT %s FROM records WHERE %s" % (",".join(names), where), values)
        return [dict(zip(names, row, strict=True)) for row in found]

    def _named(self, lock: str, epoch: int, rec: int) -> list[dict]:
        return self._rows("lock=? AND epoch=? AND rec=?", (lock, epoch, rec))

    def _counted(self, lock: str, rec: int) -> list[dict]:
        """Rows with this number that the first release left, whose era is not known."""
        return self._rows("lock=? AND rec=? AND date='' AND epoch<? AND gone IS NULL", (lock, rec, COUNTED))

    def _adopt(self, lock: str, count: int, era: int) -> None:
        """A record of the first release's epoch `count` has come again: that epoch was of this era. What had been
        deleted of it, and came back meanwhile under its era, is gone again."""
        for (rec,) in self._base.execute(
            "SELECT rec FROM records WHERE lock=? AND epoch=? AND date='' AND gone IS NOT NULL", (lock, count)
        ).fetchall():
            for row in self._named(lock, era, rec):
                if not row["gone"] and row["date"]:
                    self._forget(lock, row)
        for table in ("records", "gaps", "asked"):
            self._base.execute("UPDATE OR IGNORE %s SET epoch=? WHERE lock=? AND epoch=?" % table, (era, lock, count))

    def _complete(self, lock: str, row: dict, item: dict, epoch: int, date: str, proven: bool) -> None:
        """The record has come again: what was not known of it may be told now. What nobody proved changes nothing of a
        proven row, and gives way whole to what is proven."""
        if row["proven"] and not proven:
            return
        told: dict = {}
        if proven and not row["proven"]:
            told = {column: item.get(column) for column in COLUMNS} | {"proven": 1}
        else:
            news = {column: item.get(column) for column in COLUMNS}
            told = {column: value for column, value in news.items() if row[column] is None and value is not None}
            if row["approx"] and item.get("ts") and not item.get("approx"):
                told |= {"ts": item["ts"], "approx": None}
            elif row["ts"]:
                told.pop("approx", None)
        if not told and (row["date"], row["epoch"]) == (date, epoch):
            return
        if "ts" in told:
            told["place"] = self._place(lock, epoch, item)
        told |= {"epoch": epoch, "date": date}
        terms = ",".join("%s=?" % name for name in told)
        self._base.execute("UPDATE records SET %s WHERE id=?" % terms, (*told.values(), row["id"]))

    def _place(self, lock: str, epoch: int, item: dict) -> float:
        """Where a record stands in time: its own, else the lock's date as if it were UTC, unless that is plainly wrong,
        else behind the record before it, else now."""
        at = unix_of(item.get("ts"))
        if at is not None:
            return at
        shown = wall(item.get("date"))
        clock = None if shown is None else shown.replace(tzinfo=UTC).timestamp()
        if clock is not None and clock < time.time() + _DAY_S:
            return clock
        before = self._named(lock, epoch, (item["rec"] - 1) % NUMBERS)
        places_ = [row["place"] for row in before if not row["gone"] and isinstance(row["place"], int | float)]
        return max(places_) + 1e-5 if places_ else time.time()

    # --- out

    def count(self, lock: str, choice: Choice) -> int:
        """How many records are chosen."""
        where, values = choice.clause(lock)
        return int(self._base.execute("SELECT COUNT(*) FROM records WHERE " + where, values).fetchone()[0])

    def page(self, lock: str, choice: Choice, size: int, number: int = 1) -> list[dict]:
        """Page `number` of the chosen records, 1 holding the newest, each page oldest first. Of each the columns,
        `epoch` (its era), `date` (the lock's own, hex), `conflict`: another one of the same name says otherwise,
        `proven`: its gateway's mac was on it, `damaged`: the file had something in it that no record can hold."""
        where, values = choice.clause(lock)
        rows = self._base.execute(
            "SELECT %s,%s FROM records WHERE %s ORDER BY place DESC, rec DESC, id DESC LIMIT ? OFFSET ?"
            % (",".join(_SHOWN), _CONFLICT, where),
            (*values, size, size * (number - 1)),
        ).fetchall()
        return [_row(row) for row in reversed(rows)]

    def every(self, lock: str, choice: Choice) -> Iterator[dict]:
        """All chosen records, the oldest first."""
        where, values = choice.clause(lock)
        statement = "SELECT %s,%s FROM records WHERE %s ORDER BY place, rec, id" % (",".join(_SHOWN), _CONFLICT, where)
        for row in self._base.execute(statement, values):
            yield _row(row)

    def last(self, lock: str, count: int) -> list[dict]:
        """The newest `count` records of a lock, oldest first."""
        return self.page(lock, Choice(), count)

    # --- what is not here

    def lost(self, lock: str) -> int:
        """How many records are known to have been, and neither a gateway nor the lock had them any more."""
        total = 0
        for (epoch,) in self._base.execute(
            "SELECT epoch FROM gaps WHERE lock=? UNION SELECT epoch FROM asked WHERE lock=?", (lock, lock)
        ).fetchall():
            here = self._numbers(lock, epoch)
            gone = self._told(lock, epoch)
            for first, last in self._asked(lock, epoch):  # before the first record that is here nothing is missed
                if here and any(number < first for number in here):
                    gone.update(range(first, last + 1))
            total += len(gone - here)
        return total

    def lacking(self, lock: str, epoch: int, cursor: int) -> list[tuple[int, int]]:
        """Ranges (first, last) of numbers up to `cursor` that are not here and were never asked for, in order; also of
        what a gateway told as lost: another may have it, and the lock by its number (hardware-facts.md F52)."""
        known = self._numbers(lock, epoch)
        for first, last in self._asked(lock, epoch):
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
        with self._writing():
            self._base.execute("INSERT OR IGNORE INTO asked VALUES (?,?,?,?)", (lock, epoch, first, last))

    def _numbers(self, lock: str, epoch: int) -> set[int]:
        found = self._base.execute("SELECT rec FROM records WHERE lock=? AND epoch=?", (lock, epoch))
        return {rec for (rec,) in found if isinstance(rec, int)}

    def _told(self, lock: str, epoch: int) -> set[int]:
        found = self._base.execute("SELECT before, lost FROM gaps WHERE lock=? AND epoch=?", (lock, epoch))
        good = [(before, lost) for before, lost in found if isinstance(before, int) and isinstance(lost, int)]
        return {(before - 1 - n) % NUMBERS for before, lost in good for n in range(min(lost, NUMBERS))}

    def _asked(self, lock: str, epoch: int) -> list[tuple[int, int]]:
        statement = "SELECT first, last FROM asked WHERE lock=? AND epoch=?"
        found = self._base.execute(statement, (lock, epoch))
        return [pair for pair in found if all(isinstance(each, int) and 0 <= each < NUMBERS for each in pair)]

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
        where, values = choice.clause(lock)
        with self._writing():
            rows = self._rows(where, tuple(values))
            for row in rows:
                self._forget(lock, row)
        return len(rows)

    def _forget(self, lock: str, row: dict) -> None:
        """Of the date a digest too short to tell it stays."""
        blank = ",".join("%s=NULL" % column for column in (*COLUMNS, "arrived") if column != "rec")
        digest = row["date"] and _digest(lock, row["epoch"], row["rec"], row["date"])
        statement = "UPDATE records SET gone=1,place=0,date=?,%s WHERE id=?" % blank
        self._base.execute(statement, (digest, row["id"]))


def _digest(lock: str, epoch: int, rec: int, date: str) -> str:
    return "-" + hashlib.sha256(("%s/%s/%s/%s" % (lock, epoch, rec, date)).encode()).hexdigest()[:4]


def _agree(row: dict, item: dict) -> bool:
    """Whether two records of one name say the same. What one of them does not know speaks against nothing."""
    names = _CONTENTS if item.get("date") else (*_CONTENTS, "ts")
    return all(None in (row[name], item.get(name)) or row[name] == item.get(name) for name in names)


def _apart_s(row: dict, item: dict) -> float | None:
    """Seconds between the times of two records; 0 where both have none, None where one has."""
    one, other = unix_of(row["ts"]), unix_of(item.get("ts"))
    if one is None or other is None:
        return 0 if one is other else None
    return abs(one - other)


def _row(row: tuple) -> dict:
    record, is_damaged = readable(dict(zip((*_SHOWN, "conflict"), row, strict=True)))
    record["damaged"], record["proven"] = is_damaged, record["proven"] == 1
    record["ok"] = None if record["ok"] is None else bool(record["ok"])
    record["conflict"], record["approx"] = bool(record["conflict"]), bool(record["approx"])
    return record
