"""Which row of the store a record is, when it arrives: a new one, one that is there, one that completes another.

Owns the decision, in a transaction that the caller holds for the lock alone. What a record's name is stands in
mqtt.md 2; contradictions, proofs and deletions in `records_store`.
"""

import hashlib
import time
from datetime import UTC
from typing import Any

from sqlalchemy import ColumnElement, Connection, Table, and_, delete, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite

from host_tools.gateway.records_batch import NUMBERS, wall
from host_tools.gateway.records_schema import ASKED, COLUMNS, COUNTED, GAPS, RECORDS, unix_of

_C = RECORDS.c
_CONTENTS = ("type", "battery", "button", "accessory_battery", "who")  # in which two records of one name must agree
_KEPT = ("id", "gone", "epoch", "date", "place", "proven", *COLUMNS)
_FLAGS = ("ok", "approx")
_OFFSETS_S = 15 * 3600  # a first release's time may have been made with another offset from UTC
_DAY_S = 86400


class Filing:
    """Records of one lock and era, into the store of `base`. What is there is read once for each batch."""

    def __init__(self, base: Connection, lock: str, epoch: int) -> None:
        self._base = base
        self._lock = lock
        self._epoch = epoch
        self._known: dict[int, list[dict]] = {}
        self._counted: dict[int, list[dict]] = {}
        self._new: list[dict] = []

    def add(self, items: list[dict], proven: bool, arrived: int | None = None) -> list[dict]:
        """File what a batch holds -> the items that were new."""
        self._look([item["rec"] for item in items])
        taken = [item for item in items if self._add(item, proven, int(time.time()) if arrived is None else arrived)]
        self._flush()
        return taken

    def _look(self, numbers: list[int]) -> None:
        """Read the rows with these numbers, and those before them."""
        self._looked = numbers
        wanted = {*numbers, *((number - 1) % NUMBERS for number in numbers)}
        self._known = self._rows(_C.epoch == self._epoch, _C.rec.in_(wanted))
        counted = (_C.rec.in_(set(numbers)), _C.date == "", _C.epoch < COUNTED, _C.gone.is_(None))
        self._counted = self._rows(*counted)

    def _rows(self, *terms: ColumnElement[bool]) -> dict[int, list[dict]]:
        found: dict[int, list[dict]] = {}
        wanted = select(*(_C[name] for name in _KEPT)).where(_C.lock == self._lock, *terms).order_by(_C.id)
        for row in self._base.execute(wanted):
            found.setdefault(row.rec, []).append(dict(zip(_KEPT, row, strict=True)))
        return found

    def _flush(self) -> None:
        """What is new goes to the base."""
        if self._new:
            self._base.execute(insert(RECORDS), self._new)
            self._new = []

    def _changed(self) -> None:
        """Rows were changed: what is known of them is read anew."""
        self._look(self._looked)

    def _add(self, item: dict, proven: bool, arrived: int) -> bool:
        """File one record; whether it is new."""
        rec, date = item["rec"], item.get("date") or ""
        known = self._known.get(rec, [])
        if any(row["gone"] and row["date"] in ("", digest(self._lock, self._epoch, rec, date)) for row in known):
            return False
        for row in known:
            if not row["gone"] and row["date"] == date and _agree(row, item):
                self._complete(row, item, date, proven)
                return False
        if date:
            for row in known:  # of the first release, and known to be of this era
                apart = _apart_s(row, item)
                if not row["gone"] and not row["date"] and apart is not None and apart <= _OFFSETS_S:
                    if _agree(row, item):
                        self._complete(row, item, date, proven)
                        return False
            for row in self._counted.get(rec, []):
                if _agree(row, item) and _apart_s(row, item) == 0:
                    self._adopt(row["epoch"])
                    self._complete(row, item, date, proven)
                    return False
        told = {column: item.get(column) for column in COLUMNS}
        made = {"lock": self._lock, "epoch": self._epoch, "date": date, "place": self._place(item), "arrived": arrived}
        made |= {"proven": 1 if proven else None, **_plain(told)}
        self._new.append(made)
        self._known.setdefault(rec, []).append({"id": None, "gone": None, **made})
        return True

    def _adopt(self, count: int) -> None:
        """A record of the first release's epoch `count` has come again: that epoch was of this era. What had been
        deleted of it, and came back meanwhile under its era, is gone again."""
        self._flush()
        wanted = (_C.epoch == count, _C.date == "", _C.gone.is_not(None))
        for rec in self._rows(*wanted):
            for row in self._rows(_C.epoch == self._epoch, _C.rec == rec).get(rec, []):
                if not row["gone"] and row["date"]:
                    forget(self._base, self._lock, _C.id == row["id"])
        of_count = (_C.lock == self._lock, _C.epoch == count)
        self._base.execute(update(RECORDS).where(*of_count).values(epoch=self._epoch))
        for table in (GAPS, ASKED):
            here = and_(table.c.lock == self._lock, table.c.epoch == count)
            rows = [
                dict(row._mapping) | {"epoch": self._epoch} for row in self._base.execute(select(table).where(here))
            ]
            self._base.execute(delete(table).where(here))
            if rows:
                insert_once(self._base, table, rows)

    def _complete(self, row: dict, item: dict, date: str, proven: bool) -> None:
        """The record has come again: what was not known of it may be told now. What nobody proved changes nothing of a
        proven row, and gives way whole to what is proven."""
        if row["proven"] and not proven:
            return
        told: dict[str, Any]
        if proven and not row["proven"]:
            told = {column: item.get(column) for column in COLUMNS} | {"proven": 1}
        else:
            news = {column: item.get(column) for column in COLUMNS}
            told = {column: value for column, value in news.items() if row[column] is None and value is not None}
            if row["approx"] and item.get("ts") and not item.get("approx"):
                told |= {"ts": item["ts"], "approx": None}
            elif row["ts"]:
                told.pop("approx", None)
        if not told and (row["date"], row["epoch"]) == (date, self._epoch):
            return
        if "ts" in told:
            told["place"] = self._place(item)
        told |= {"epoch": self._epoch, "date": date}
        if row["id"] is None:  # it is twice in this very batch
            self._flush()
            self._changed()
            row = next(each for each in self._known[item["rec"]] if each["date"] == row["date"] and _agree(each, item))
        self._base.execute(update(RECORDS).where(_C.id == row["id"]).values(**_plain(told)))
        self._flush()
        self._changed()

    def _place(self, item: dict) -> float:
        """Where a record stands in time: its own, else the lock's date as if it were UTC, unless that is plainly wrong,
        else behind the record before it, else now."""
        at = unix_of(item.get("ts"))
        if at is not None:
            return at
        shown = wall(item.get("date"))
        clock = None if shown is None else shown.replace(tzinfo=UTC).timestamp()
        if clock is not None and clock < time.time() + _DAY_S:
            return clock
        before = self._known.get((item["rec"] - 1) % NUMBERS, [])
        places_ = [row["place"] for row in before if not row["gone"] and isinstance(row["place"], int | float)]
        return max(places_) + 1e-5 if places_ else time.time()


def forget(base: Connection, lock: str, which: ColumnElement[bool]) -> int:
    """Take what the chosen records say; of the date a digest too short to tell it stays -> how many there were."""
    rows = base.execute(select(_C.id, _C.epoch, _C.rec, _C.date).where(_C.lock == lock, which)).all()
    blank = {column: None for column in (*COLUMNS, "arrived", "proven") if column != "rec"}
    for row in rows:
        trace = row.date and digest(lock, row.epoch, row.rec, row.date)
        base.execute(update(RECORDS).where(_C.id == row.id).values(gone=1, place=0, date=trace, **blank))
    return len(rows)


def insert_once(base: Connection, table: Table, rows: list[dict]) -> None:
    """Rows whose primary key is not there yet."""
    dialect = sqlite if base.dialect.name == "sqlite" else postgresql
    base.execute(dialect.insert(table).on_conflict_do_nothing(), rows)


def digest(lock: str, epoch: int, rec: int, date: str) -> str:
    """What is kept of a deleted record's date."""
    return "-" + hashlib.sha256(("%s/%s/%s/%s" % (lock, epoch, rec, date)).encode()).hexdigest()[:4]


def _plain(told: dict) -> dict:
    """Truth as the number that its column holds."""
    return {name: int(value) if name in _FLAGS and isinstance(value, bool) else value for name, value in told.items()}


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
