"""The tables of the owner's record store, and how files of older releases become this one, with nothing lost.

Owns the schema. What counts as the same record, and what is chosen, is `records_store`'s.

In files of the first release a record was (lock, epoch, rec), `epoch` a count that each gateway began at 0. Such rows
have an empty `date` until the record arrives once more and is recognised. `proven` is 1 for a row whose batch bore the
mac of its gateway; rows of before there were macs have NULL, and so have those of gateways without an owner here.
"""

import sqlite3

from host_tools.errors import HostError
from host_tools.gateway.records_batch import moment

COLUMNS: tuple[str, ...] = ("rec", "type", "list", "event", "method", "ok", "who", "ts", "approx")
COLUMNS += ("battery", "button", "accessory_battery")
VERSION = 3
_WITHOUT_PROOF = 2  # version of files whose rows do not say whether they were proven
COUNTED = 1 << 16  # an epoch below this is such a count; an era is not, but for one in four thousand million

_TABLES = """
CREATE TABLE %s (
 id INTEGER PRIMARY KEY,
 lock TEXT NOT NULL, epoch INTEGER NOT NULL, rec INTEGER NOT NULL, date TEXT NOT NULL,
 type INTEGER, list INTEGER, event TEXT, method TEXT, ok INTEGER, who INTEGER, ts TEXT, approx INTEGER,
 battery INTEGER, button INTEGER, accessory_battery INTEGER,
 place REAL NOT NULL DEFAULT 0, arrived INTEGER, gone INTEGER, proven INTEGER)
"""
_MORE = (
    "CREATE INDEX IF NOT EXISTS records_by_number ON records (lock, epoch, rec)",
    "CREATE INDEX IF NOT EXISTS records_by_place ON records (lock, place, rec, id)",
    "CREATE TABLE IF NOT EXISTS gaps (lock TEXT NOT NULL, epoch INTEGER NOT NULL, before INTEGER NOT NULL,"
    " lost INTEGER NOT NULL, PRIMARY KEY (lock, epoch, before)) WITHOUT ROWID",
    "CREATE TABLE IF NOT EXISTS asked (lock TEXT NOT NULL, epoch INTEGER NOT NULL, first INTEGER NOT NULL,"
    " last INTEGER NOT NULL, PRIMARY KEY (lock, epoch, first, last)) WITHOUT ROWID",
)


def unix_of(ts: str | None) -> float | None:
    """Unix seconds of a record's time, None for what is none."""
    at = moment(ts) if ts else None
    return None if at is None else at.timestamp()


def prepare(base: sqlite3.Connection) -> None:
    """Bring a file, new or old, to this schema, in one transaction. HostError for a file of a later release."""
    base.execute("PRAGMA secure_delete=ON")  # what is deleted is overwritten in the file, too
    if base.execute("PRAGMA user_version").fetchone()[0] == VERSION:
        return
    base.execute("BEGIN IMMEDIATE")
    try:
        version = base.execute("PRAGMA user_version").fetchone()[0]
        if version > VERSION:
            raise HostError("config", "the record store is of a later release", "update gatehouse")
        if version == _WITHOUT_PROOF:
            base.execute("ALTER TABLE records ADD COLUMN proven INTEGER")
        elif version < VERSION:
            is_old = base.execute("SELECT 1 FROM sqlite_master WHERE name='records'").fetchone()
            base.execute(_TABLES % ("records_2" if is_old else "records"))
            if is_old:
                _take_over(base)
                base.execute("DROP TABLE records")
                base.execute("ALTER TABLE records_2 RENAME TO records")
            for statement in _MORE:
                base.execute(statement)
        if version < VERSION:
            base.execute("PRAGMA user_version=%d" % VERSION)
        base.commit()
    except BaseException:
        base.rollback()
        raise


def _take_over(base: sqlite3.Connection) -> None:
    """Every row of the first release's table, also what was deleted, in the order of its numbers."""
    there = [row[1] for row in base.execute("PRAGMA table_info(records)")]
    kept = [column for column in ("lock", "epoch", *COLUMNS, "gone") if column in there]
    place = 0.0
    owner = None
    for row in base.execute("SELECT %s FROM records ORDER BY lock, epoch, rec" % ",".join(kept)).fetchall():
        values = dict(zip(kept, row, strict=True))
        if values["lock"] != owner:
            owner, place = values["lock"], 0.0
        at = unix_of(values.get("ts"))
        place = place if at is None else at
        names = [*kept, "date", "place"]
        statement = "INSERT INTO records_2 (%s) VALUES (%s)" % (",".join(names), ",".join("?" * len(names)))
        base.execute(statement, (*row, "", 0.0 if values.get("gone") else place))
