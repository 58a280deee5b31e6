"""Records as a file for other programs: CSV by the standard library, Parquet by DuckDB (the extra `parquet`).

Owns the columns. Times are UTC; `name` is from the key book.
"""

import csv
import os
import tempfile
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path

from host_tools import extras
from host_tools.errors import HostError
from host_tools.gateway.record_words import words

# Column: its type in Parquet
COLUMNS = {
    "lock": "VARCHAR",
    "lock_name": "VARCHAR",
    "epoch": "BIGINT",
    "rec": "INTEGER",
    "date": "VARCHAR",
    "ts": "TIMESTAMP",
    "approx": "BOOLEAN",
    "type": "INTEGER",
    "list": "INTEGER",
    "what": "VARCHAR",
    "event": "VARCHAR",
    "method": "VARCHAR",
    "ok": "BOOLEAN",
    "who": "BIGINT",
    "name": "VARCHAR",
    "battery": "INTEGER",
    "conflict": "BOOLEAN",
    "proven": "BOOLEAN",
}


def row(record: dict, lock: str, lock_name: str, name: str) -> dict:
    """One line of the file; `name` is whose credential it was."""
    known = {"lock": lock, "lock_name": lock_name, "name": name, "what": words(record.get("type"))}
    return {column: known.get(column, record.get(column)) for column in COLUMNS}


def six_months_before(moment: float) -> int:
    """Unix seconds of the same local day and time half a year ago; the month's last day where there is no such day."""
    now = datetime.fromtimestamp(moment)
    year, month = (now.year, now.month - 6) if now.month > 6 else (now.year - 1, now.month + 6)
    day = now.day
    while True:
        try:
            return int(now.replace(year=year, month=month, day=day).timestamp())
        except ValueError:
            day -= 1


def write(path: Path, rows: Iterable[dict]) -> int:
    """Write a file that only the owner can read, whole or not at all; how many rows. HostError for other endings."""
    writers = {".csv": _csv, ".parquet": _parquet}
    writer = writers.get(path.suffix.lower())
    if writer is None:
        raise HostError("bad_request", "%s is neither .csv nor .parquet" % path.name)
    try:
        with tempfile.TemporaryDirectory(dir=path.parent, prefix=".records-") as folder:  # 0700
            made = Path(folder) / ("records" + path.suffix.lower())
            count = writer(made, rows)
            made.chmod(0o600)
            os.replace(made, path)
    except OSError as err:
        raise HostError("config", "cannot write %s: %s" % (path, err.strerror))
    return count


def _csv(path: Path, rows: Iterable[dict]) -> int:
    count = 0
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(COLUMNS))
        writer.writeheader()
        for each in rows:
            writer.writerow(each)
            count += 1
    return count


def _parquet(path: Path, rows: Iterable[dict]) -> int:
    try:
        import duckdb
    except ModuleNotFoundError as error:
        raise extras.missing(error) or error
    plain = path.with_suffix(".csv")
    count = _csv(plain, rows)
    names = ", ".join("'%s': 'VARCHAR'" % name for name in COLUMNS)
    casts = ", ".join('CAST("%s" AS %s) AS "%s"' % (name, kind, name) for name, kind in COLUMNS.items())
    casts = casts.replace('CAST("ts"', "CAST(replace(\"ts\", 'Z', '')")
    form = "header=true, columns={%s}, nullstr='', delim=',', quote='\"', escape='\"'" % names
    with duckdb.connect() as base:
        source = "read_csv(%s, %s)" % (_quoted(plain), form)
        base.execute("COPY (SELECT %s FROM %s) TO %s (FORMAT parquet)" % (casts, source, _quoted(path)))
    return count


def _quoted(path: Path) -> str:
    return "'%s'" % str(path).replace("'", "''")
