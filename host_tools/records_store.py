"""The owner's records of who opened what: one SQLite file, every record once.

Owns the file and the rule that a record is the same if lock, epoch and number are. Leaves fetching to the command line.
Source: DESIGN.md 4 (`…/records`).
"""

import json
import os
import sqlite3
from dataclasses import dataclass
from pathlib import Path

from host_tools.errors import HostError

ENVIRONMENT = "GATEHOUSE_RECORDS"
_COLUMNS = ("rec", "type", "event", "method", "ok", "who", "ts", "battery")
_SCHEMA = """
CREATE TABLE IF NOT EXISTS records (
 lock TEXT NOT NULL, epoch INTEGER NOT NULL, rec INTEGER NOT NULL, type INTEGER, event TEXT, method TEXT, ok INTEGER,
 who INTEGER, ts TEXT, battery INTEGER, PRIMARY KEY (lock, epoch, rec)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS gaps (
 lock TEXT NOT NULL, epoch INTEGER NOT NULL, before INTEGER NOT NULL, lost INTEGER NOT NULL,
 PRIMARY KEY (lock, epoch, before)) WITHOUT ROWID;
"""


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
        except (OSError, sqlite3.Error) as err:
            raise HostError("config", "cannot open %s: %s" % (self.path, err), "set $GATEHOUSE_RECORDS to another file")

    def __enter__(self) -> "RecordStore":
        return self

    def __exit__(self, *_: object) -> None:
        self._base.close()

    def keep(self, lock: str, batch: Batch) -> int:
        """Store a batch, on the disk when it returns; how many records were new."""
        before = self._base.total_changes
        rows = [(lock, batch.epoch, *(item.get(column) for column in _COLUMNS)) for item in batch.items]
        with self._base:
            self._base.executemany("INSERT OR IGNORE INTO records VALUES (?,?,?,?,?,?,?,?,?,?)", rows)
            new = self._base.total_changes - before
            if batch.gap:
                row = (lock, batch.epoch, batch.first, batch.gap)
                self._base.execute("INSERT OR IGNORE INTO gaps VALUES (?,?,?,?)", row)
        return new

    def last(self, lock: str, count: int) -> list[dict]:
        """The newest `count` records of a lock, oldest first."""
        rows = self._base.execute(
            "SELECT epoch,rec,type,event,method,ok,who,ts,battery FROM records WHERE lock=? "
            "ORDER BY epoch DESC, rec DESC LIMIT ?",
            (lock, count),
        ).fetchall()
        return [dict(zip(("epoch", *_COLUMNS), row, strict=True)) for row in reversed(rows)]

    def lost(self, lock: str) -> int:
        """How many records the gateway has reported as lost for good."""
        return int(self._base.execute("SELECT COALESCE(SUM(lost),0) FROM gaps WHERE lock=?", (lock,)).fetchone()[0])
