"""The file of names that the owner gives to whoever keeps records: of locks, gateways and credentials. No key, no code:
a credential stands there by the number that its records have.

Owns its form, and `keep`, by which the key book writes it anew with every change.
"""

import json
import os
import time
from pathlib import Path
from typing import Any

from firmware.lib.topics import is_id
from host_tools import json_text, text
from host_tools.errors import HostError
from host_tools.owner.keybook import KeyBook
from host_tools.owner.names import KINDS, Names

FILE_MARK = "gatehouse_names"
_VERSION = 1
_MAX_WHO = 1 << 48
_TODO = "have the owner write it: gatehouse keys names FILE"


def to_file(book: KeyBook) -> dict:
    """The contents of the file."""
    rows = [{"subject": each.id, "kind": "gateway", "who": 0, "name": each.name} for each in book.gateways()]
    for entry in book.entries():
        rows.append({"subject": entry.id, "kind": "lock", "who": 0, "name": entry.name})
        rows += [
            {"subject": entry.id, "kind": kind, "who": who, "name": name} for kind, who, name in Names(entry).given()
        ]
    return {FILE_MARK: _VERSION, "made": int(time.time()), "names": [row for row in rows if row["name"]]}


def read(value: Any) -> tuple[int, list[dict]]:
    """Such a file's contents -> (when it was made, rows of the table of names). HostError `config`."""
    if not isinstance(value, dict) or value.get(FILE_MARK) != _VERSION or not isinstance(value.get("names"), list):
        raise HostError("config", "that is no file of names", _TODO)
    made, rows = value.get("made"), {}
    for row in value["names"]:
        if not isinstance(row, dict) or not isinstance(made, int):
            raise HostError("config", "the file of names is damaged", _TODO)
        subject, kind, who, name = row.get("subject"), row.get("kind"), row.get("who"), text.tidy(row.get("name"))
        is_good = isinstance(subject, str) and is_id(subject) and kind in ("lock", "gateway", *KINDS)
        if not is_good or not isinstance(who, int) or not 0 <= who < _MAX_WHO or not name:
            raise HostError("config", "the file of names is damaged", _TODO)
        rows[subject, kind, who] = {"subject": subject, "kind": kind, "who": who, "name": name}
    return int(made or 0), list(rows.values())


def write(book: KeyBook, path: Path) -> None:
    """The whole file or none. Those who may read it are those who may read its folder. HostError."""
    part = path.with_name(path.name + ".new")
    try:
        part.write_text(json.dumps(to_file(book), ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
        part.chmod(0o640)
        os.replace(part, path)
    except OSError as error:
        raise HostError("io", "cannot write %s: %s" % (path, error.strerror))


def keep(book: KeyBook, path: Path | None) -> None:
    """Write the file now, and with every change of the key book; None: no more. HostError."""
    if path is None:
        _mark(book).unlink(missing_ok=True)
        return
    write(book, path)
    _mark(book).write_text(json.dumps(str(path.resolve())), encoding="utf-8")


def kept(book: KeyBook) -> Path | None:
    """The file that is kept current, or None."""
    try:
        return Path(json_text.load(_mark(book), 4096))
    except (OSError, ValueError, TypeError):
        return None


def refresh(book: KeyBook) -> None:
    """After a change of the key book. HostError."""
    path = kept(book)
    if path is not None:
        write(book, path)


def _mark(book: KeyBook) -> Path:
    return book.path.with_name(book.path.name + ".names")
