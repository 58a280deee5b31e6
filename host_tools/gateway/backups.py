"""Backup and restoring of all that an owner has: key book, names, groups and records, as rows of one file.

Owns what the rows mean. Restoring adds what is missing and loses nothing that is newer: `merging` says what that is of
keys, and a record is filed as if it arrived (`records_filing`), so that restoring twice adds nothing.
"""

from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from itertools import groupby
from typing import Any

from sqlalchemy import Connection, func, insert, select

from firmware.lib.topics import is_id
from host_tools.errors import HostError
from host_tools.gateway.database import Database
from host_tools.gateway.records_batch import readable
from host_tools.gateway.records_filing import Filing, digest, insert_once
from host_tools.gateway.records_schema import ASKED, COLUMNS, GAPS, NAMES, RECORDS
from host_tools.owner import gateways, merging
from host_tools.owner.keybook import KeyBook, read_entries

_TABLES = {"gap": GAPS, "asked": ASKED, "name": NAMES}
_C = RECORDS.c
_MANY = 500


@dataclass
class Restored:
    """What came of it."""

    locks: int = 0
    completed: int = 0
    gateways: int = 0
    other_keys: list[str] = field(default_factory=list)
    records: int = 0
    damaged: int = 0


def rows(book: KeyBook, database: Database) -> Iterator[dict]:
    """All that there is, as of one moment for each table."""
    yield {"is": "book", "locks": [asdict(each) for each in book.entries()]}
    yield {"is": "gateways", "gateways": [asdict(each) for each in book.gateways()]}
    with database.reading() as base:
        names = [column.name for column in RECORDS.columns if column.name not in ("id", "place")]
        wanted = select(*(_C[name] for name in names)).order_by(_C.lock, _C.epoch, _C.place, _C.rec, _C.id)
        for row in base.execution_options(yield_per=_MANY).execute(wanted):
            record = dict(zip(names, row, strict=True))
            if not record["gone"]:  # of what is deleted there is nothing to read
                record = readable(record)[0]
            yield {"is": "record", **record}
        for kind, table in _TABLES.items():
            for told in base.execute(select(table)).mappings():
                yield {"is": kind, **told}


def restore(source: Iterable[dict], book: KeyBook, database: Database) -> Restored:
    """Add what is missing. HostError for rows that are none; those before them are in."""
    done = Restored()
    for kind, group in groupby(source, lambda row: row.get("is")):
        if kind == "book":
            for row in group:
                done.locks, done.completed = _locks(row, book)
        elif kind == "gateways":
            for row in group:
                done.gateways, done.other_keys = _gateways(row, book)
        elif kind == "record":
            _records(group, database, done)
        elif kind in _TABLES:
            _others(group, kind, database)
        else:
            raise HostError("bad_request", "the backup is of a later release", "update gatehouse")
    return done


def _locks(row: dict, book: KeyBook) -> tuple[int, int]:
    kept = read_entries(row.get("locks") or [])
    with book.changing() as (locks, _):
        return merging.locks(locks, kept)


def _gateways(row: dict, book: KeyBook) -> tuple[int, list[str]]:
    kept = gateways.read(row.get("gateways") or [])
    with book.changing() as (_, here):
        return merging.gateways(here, kept)


def _records(source: Iterable[dict], database: Database, done: Restored) -> None:
    """File them, of one name and one arrival together."""

    def name(row: dict) -> tuple[Any, ...]:
        return row.get("lock"), row.get("epoch"), row.get("proven"), row.get("arrived"), row.get("gone")

    for (lock, epoch, proven, arrived, gone), group in groupby(source, name):
        rows_ = list(group)
        if not gone:
            rows_ = [readable({key: row.get(key) for key in ("rec", "date", *COLUMNS)})[0] for row in rows_]
        good = [row for row in rows_ if isinstance(row.get("rec"), int) and isinstance(row.get("date"), str)]
        if not isinstance(lock, str) or not is_id(lock) or not isinstance(epoch, int):
            good = []
        done.damaged += len(rows_) - len(good)
        for at in range(0, len(good), _MANY):
            with database.writing() as base:
                database.hold(base, lock)
                part = good[at : at + _MANY]
                if gone:
                    _forgotten(base, lock, epoch, part)
                else:
                    moment = arrived if isinstance(arrived, int) else None
                    done.records += len(Filing(base, lock, epoch).add(part, proven == 1, moment))


def _forgotten(base: Connection, lock: str, epoch: int, rows_: list[dict]) -> None:
    """What was deleted stays away, unless it is here: then it came after."""
    for row in rows_:
        rec, date = row["rec"], row["date"]
        known = base.scalars(select(_C.date).where(_C.lock == lock, _C.epoch == epoch, _C.rec == rec)).all()
        if not any(date in (each, digest(lock, epoch, rec, each)) for each in known):
            base.execute(insert(RECORDS).values(lock=lock, epoch=epoch, rec=rec, date=date, place=0, gone=1))


def _others(source: Iterable[dict], kind: str, database: Database) -> None:
    table = _TABLES[kind]
    columns = [column.name for column in table.columns]
    found = [{name: row.get(name) for name in columns} for row in source]
    if any(value is None for row in found for value in row.values()):
        raise HostError("bad_request", "the backup is damaged")
    with database.writing() as base:
        if kind == "name" and base.scalar(select(func.count()).select_from(table)):
            return  # the owner has given newer ones
        for at in range(0, len(found), _MANY):
            insert_once(base, table, found[at : at + _MANY])
