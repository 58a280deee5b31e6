"""Where records are kept: one SQLite file, or PostgreSQL by its URL, with the schema of `records_schema`.

Owns the connection, the transactions and that the schema is today's before anything is read. What stands in the tables
is `records_store`'s and the service's. SQLAlchemy and alembic do what differs between the two.
"""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import sqlalchemy
from sqlalchemy import Connection, Engine, event, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import (
    ArgumentError,
    DBAPIError,
    InterfaceError,
    NoSuchModuleError,
    OperationalError,
    SQLAlchemyError,
)

from host_tools.errors import HostError
from host_tools.gateway import records_schema
from host_tools.gateway.records_schema import HEAD, META

SQLITE_VERSION = 4  # in `user_version`, so that releases before alembic leave the file alone
_MIGRATING = 0x67617465686F  # key of PostgreSQL's advisory lock; a lock's own id is another
_SQLITE_WAIT_S = 30
_WRITES = "gatehouse_writes"
_EXTRA = "run: pip install 'gatehouse[serve]'"


class DatabaseError(HostError):
    """Nothing of the transaction is in the database. `is_away`: it cannot be used now (away, full, held by another
    program), and later the same may be done; else it will not have what it was given."""

    is_away = True


class Database:
    """`where` is a file, or a URL `sqlite:///FILE` or `postgresql://USER@HOST/NAME`; `password` goes with the latter.

    Raises HostError for what is no such place, or of a later release; DatabaseError when it cannot be reached.
    """

    def __init__(self, where: Path | str, password: str | None = None, todo: str = "") -> None:
        url = _url(where, password)
        self._todo = todo
        self.path = Path(url.database) if url.get_backend_name() == "sqlite" and url.database else None
        self.name = str(self.path) if self.path else url.render_as_string(hide_password=True)
        self.is_sqlite = self.path is not None
        try:
            if self.path:
                self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
                if not self.path.exists():
                    os.close(os.open(self.path, os.O_WRONLY | os.O_CREAT, 0o600))
            self.engine = _engine(url)
        except (OSError, ArgumentError) as err:
            raise DatabaseError("config", "cannot open %s: %s" % (self.name, err), todo)
        except ModuleNotFoundError:
            raise HostError("unsupported", "%s needs PostgreSQL's driver" % self.name, _EXTRA)
        try:
            with self.writing("open") as base:
                _prepare(base, self.is_sqlite)
        except BaseException:
            self.engine.dispose()
            raise

    def close(self) -> None:
        """Give all connections back."""
        self.engine.dispose()

    @contextlib.contextmanager
    def reading(self) -> Iterator[Connection]:
        """A connection on which nothing is changed. DatabaseError."""
        with self._translated("read"), self.engine.connect() as base:
            yield base

    @contextlib.contextmanager
    def writing(self, verb: str = "write") -> Iterator[Connection]:
        """One transaction: all of it on the disk when it ends, or nothing. DatabaseError."""
        with self._translated(verb):
            with self.engine.connect().execution_options(**{_WRITES: True}) as base, base.begin():
                yield base

    def hold(self, base: Connection, *subjects: str) -> None:
        """Have this transaction alone write of locks and gateways (their ids). SQLite has one writer in any case."""
        if not self.is_sqlite:
            for subject in sorted(set(subjects)):  # everybody in the same order, so that nobody waits in a circle
                base.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": int(subject, 16)})

    @contextlib.contextmanager
    def _translated(self, verb: str) -> Iterator[None]:
        try:
            yield
        except SQLAlchemyError as err:
            cause = str(getattr(err, "orig", None) or err).strip().splitlines()
            text_ = "cannot %s %s: %s" % (verb, self.name, cause[0] if cause else type(err).__name__)
            todo = self._todo if verb == "open" else "is the disk full, or another running?"
            told = DatabaseError("config", text_, todo)
            told.is_away = not isinstance(err, DBAPIError) or isinstance(err, (OperationalError, InterfaceError))
            told.is_away |= getattr(err, "connection_invalidated", False)
            raise told from err


def is_url(where: str) -> bool:
    """Whether a text names a database rather than a file."""
    return "://" in where


def _url(where: Path | str, password: str | None) -> URL:
    if isinstance(where, Path) or not is_url(where):
        return URL.create("sqlite", database=str(where))
    todo = "write sqlite:///FILE or postgresql://USER@HOST/NAME"
    try:
        url = make_url(where)
    except (ArgumentError, ValueError):
        raise HostError("config", "that is no URL of a database", todo)
    backend = url.get_backend_name()
    if backend not in ("sqlite", "postgresql") or (backend == "sqlite" and not url.database):
        raise HostError("config", "%s is no place for records" % url.render_as_string(hide_password=True), todo)
    if backend == "postgresql":
        url = url.set(drivername="postgresql+psycopg")
        return url if password is None else url.set(password=password)
    return url.set(drivername="sqlite")


def _engine(url: URL) -> Engine:
    if url.get_backend_name() == "postgresql":
        wait = {"connect_timeout": 10} if "connect_timeout" not in url.query else {}
        alive = {
            "keepalives_idle": 30,
            "keepalives_interval": 10,
            "keepalives_count": 3,
        }  # a server that lost its power
        try:
            return sqlalchemy.create_engine(
                url, pool_pre_ping=True, pool_size=4, connect_args={**wait, **alive, "application_name": "gatehouse"}
            )
        except NoSuchModuleError:
            raise ModuleNotFoundError
    engine = sqlalchemy.create_engine(url, connect_args={"timeout": _SQLITE_WAIT_S})

    @event.listens_for(engine, "connect")
    def connected(raw: Any, _: object) -> None:
        raw.isolation_level = None  # transactions are ours, not the module's
        raw.text_factory = lambda octets: octets.decode(errors="replace")  # a damaged text stops no listing
        raw.execute("PRAGMA secure_delete=ON")  # what is deleted is overwritten in the file, too

    @event.listens_for(engine, "begin")
    def begun(base: Connection) -> None:
        base.exec_driver_sql("BEGIN IMMEDIATE" if base.get_execution_options().get(_WRITES) else "BEGIN")

    return engine


def _prepare(base: Connection, is_sqlite: bool) -> None:
    """Bring a base, new or old, to today's schema, in the transaction of `base`. HostError for one of a later
    release."""
    if not is_sqlite:
        base.execute(text("SELECT pg_advisory_xact_lock(%d)" % _MIGRATING))  # several instances start at once
    stamp = _stamp(base)
    if stamp == HEAD:
        return
    kept = base.execute(text("PRAGMA user_version")).scalar_one() if is_sqlite else 0
    if kept > SQLITE_VERSION or (stamp is not None and stamp > HEAD):
        raise HostError("config", "the record store is of a later release", "update gatehouse")
    if stamp is None and not sqlalchemy.inspect(base).has_table("records"):
        META.create_all(base)
        base.execute(text("CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL PRIMARY KEY)"))
        base.execute(text("INSERT INTO alembic_version VALUES ('%s')" % HEAD))
    else:
        migrate(base)
    if is_sqlite:
        base.execute(text("PRAGMA user_version=%d" % SQLITE_VERSION))


def _stamp(base: Connection) -> str | None:
    if not sqlalchemy.inspect(base).has_table("alembic_version"):
        return None
    found: str | None = base.execute(text("SELECT version_num FROM alembic_version")).scalar()
    return found


def migrate(base: Connection, revision: str = HEAD) -> None:
    """Run the migrations up to a revision, in the transaction of `base`."""
    from alembic import command  # half a second, seldom needed
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(records_schema.__file__).with_name("migrations")))
    config.attributes["connection"] = base
    command.upgrade(config, revision)
