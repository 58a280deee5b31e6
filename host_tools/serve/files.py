"""The two files that the owner gives the service: keys of records, and names. Each is read again when it has changed.

Owns when they are read. What stands in them is `owner.recorders` and `owner.given_names`; names go into the database,
where every instance and `gatehouse records` find them.
"""

import contextlib
from collections.abc import Callable
from pathlib import Path

from sqlalchemy import delete, insert, select

from host_tools import json_text
from host_tools.errors import HostError
from host_tools.gateway.database import Database
from host_tools.gateway.records_schema import NAMES
from host_tools.gateway.signing import Recorder
from host_tools.owner import given_names, recorders

_MADE = {"subject": "", "kind": "made"}  # the row that says how new the names are


class Watched:
    """A file that is read when it is new or has changed; one that is wrong leaves what was known before."""

    def __init__(self, path: Path, take: Callable[[object], None]) -> None:
        self._path = path
        self._take = take
        self._seen: tuple[int, ...] | None = None

    def look(self) -> bool:
        """Read it where it has changed -> whether it had. HostError."""
        try:
            about = self._path.stat()
            now = (about.st_mtime_ns, about.st_size, about.st_ino)
            if now == self._seen:
                return False
            value = json_text.load(self._path)
        except OSError as error:
            raise HostError("config", "cannot read %s: %s" % (self._path, error.strerror), "see docs/service.md")
        except ValueError:
            raise HostError("config", "%s is no JSON" % self._path, "have the owner write it anew")
        self._take(value)
        self._seen = now
        return True


class Keys:
    """Who proves batches, by the id of the gateway: nobody else's records are taken."""

    def __init__(self, path: Path, base: str) -> None:
        self.base = base
        self.recorders: dict[str, Recorder] = {}
        self.names: dict[str, str] = {}
        self.file = Watched(path, self._take)

    def _take(self, value: object) -> None:
        known = recorders.read(value)
        self.recorders = {each.id: Recorder(each.id, each.key, self.base) for each in known}
        self.names = {each.id: each.name for each in known}


def names_into(database: Database) -> Callable[[object], None]:
    """What takes a file of names: into the database, unless newer ones are there."""

    def take(value: object) -> None:
        made, rows = given_names.read(value)
        with database.writing() as base:
            if not database.is_sqlite:
                database.hold(base, "0")
            known = base.scalar(select(NAMES.c.who).where(NAMES.c.kind == _MADE["kind"]))
            if known is not None and known >= made:
                return
            base.execute(delete(NAMES))
            base.execute(insert(NAMES), [_MADE | {"who": made, "name": ""}, *rows])

    return take


def look_at(files: list[Watched], told: Callable[[str], None]) -> None:
    """Look at all; what is wrong is told, and does not stop the service."""
    for each in files:
        with contextlib.suppress(OSError):
            try:
                each.look()
            except HostError as error:
                told(error.line())
