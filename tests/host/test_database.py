"""The record store's schema: from nothing, from files of earlier releases, by alembic's steps, on SQLite and on
PostgreSQL; and who may write at a time."""

import threading

import pytest
import sqlalchemy
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from host_tools.errors import HostError
from host_tools.gateway import database, records_schema
from host_tools.gateway.database import Database
from host_tools.gateway.records_choice import Choice
from host_tools.gateway.records_store import RecordStore
from tests.host import postgres
from tests.host.test_records_identity import DAY, ERA, LOCK, NEXT_ERA, batch, item, log_of, shown

server = postgres.fixture()


@pytest.fixture(params=["sqlite", "postgresql"])
def where(request, tmp_path):
    """An empty base: a file, or a database of a server of our own."""
    if request.param == "sqlite":
        return str(tmp_path / "records.db")
    return request.getfixturevalue("server").empty()


def differences(base):
    with base.reading() as connection:
        return compare_metadata(MigrationContext.configure(connection), records_schema.META)


def test_the_head_is_the_newest_revision():
    folder = database.Path(records_schema.__file__).with_name("migrations")
    assert ScriptDirectory(str(folder)).get_current_head() == records_schema.HEAD


def test_a_new_base_has_the_schema_that_the_steps_make(where, tmp_path):
    base = Database(where)
    assert differences(base) == []
    with base.writing() as connection:
        records_schema.META.drop_all(connection)
        connection.execute(sqlalchemy.text("DELETE FROM alembic_version"))
    with base.writing() as connection:
        database.migrate(connection)
    assert differences(base) == []
    base.close()


def test_an_older_schema_becomes_today_s_with_all_its_records(where):
    base = Database(where)
    with RecordStore(base) as store:
        store.keep(LOCK, batch(log_of(*range(5))))
    with base.writing() as connection:
        for name in ("names", "watches", "alerts", "notices"):
            connection.execute(sqlalchemy.text("DROP TABLE %s" % name))
        connection.execute(sqlalchemy.text("UPDATE alembic_version SET version_num='0001'"))
    base.close()
    base = Database(where)
    assert differences(base) == []
    with RecordStore(base) as store:
        assert shown(store) == list(range(5)) and store.keep(LOCK, batch(log_of(*range(6)))) == 1
    base.close()


def test_a_base_of_a_later_release_is_left_alone(where):
    base = Database(where)
    with base.writing() as connection:
        connection.execute(sqlalchemy.text("UPDATE alembic_version SET version_num='9999'"))
    base.close()
    with pytest.raises(HostError, match="later release"):
        Database(where)


def test_the_store_keeps_each_once_and_contradictions_twice(where):
    """What `test_records_identity` shows of files, in short, of both."""
    with RecordStore(where) as store:
        assert store.keep(LOCK, batch(log_of(*range(10)), gap=2)) == 10
        assert store.keep(LOCK, batch(log_of(*range(12)))) == 2
        assert store.keep(LOCK, batch([item(3, DAY + 180, type=17)])) == 1
        assert store.keep(LOCK, batch(log_of(0, 1), NEXT_ERA)) == 2
        assert store.keep(LOCK, batch([item(20, DAY + 1200, who=None, shown=False)])) == 1
        assert store.keep(LOCK, batch([item(20, DAY + 1200)])) == 0, "completed"
        twice = [item(21, DAY + 1300, who=None), item(21, DAY + 1300)]
        assert store.keep(LOCK, batch(twice)) == 1, "twice in one batch"
        found = {each["rec"]: each for each in store.every(LOCK, Choice()) if each["epoch"] == ERA}
        assert found[3]["conflict"] and found[20]["who"] == found[21]["who"] == 77 and not found[2]["conflict"]
        assert store.lacking(LOCK, ERA, 22) == [(12, 19)]
        store.asked(LOCK, ERA, 12, 19)
        assert store.lost(LOCK) == 10
        early = store.page(LOCK, Choice(since=DAY + 60, until=DAY + 180), 10)
        assert [each["rec"] for each in early] == [1, 1, 2], "of both pairings"
        assert store.delete(LOCK, Choice(ids=[found[5]["id"]])) == 1
        assert store.keep(LOCK, batch(log_of(5))) == 0 and 5 not in shown(store)
        assert store.locks() == [LOCK]


def test_several_writers_at_once_double_nothing(where):
    bases = [Database(where) for _ in range(4)]
    counts: list[int] = []

    def write(base):
        with RecordStore(base) as store:
            counts.append(sum(store.keep(LOCK, batch(log_of(n, n + 1))) for n in range(20)))

    threads = [threading.Thread(target=write, args=(base,)) for base in bases]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    with RecordStore(bases[0]) as store:
        assert shown(store) == list(range(21)) and sum(counts) == 21
    for base in bases:
        base.close()


@pytest.mark.parametrize("wrong", ["mysql://x/y", "sqlite://", "://", "http://example.org/"])
def test_what_is_no_place_for_records_is_refused_without_its_password(wrong):
    with pytest.raises(HostError) as told:
        Database(wrong.replace("://", "://me:geheim@") if "//x" in wrong else wrong)
    assert "geheim" not in str(told.value)


def test_a_server_that_is_away_is_told_without_its_password():
    with pytest.raises(HostError) as told:
        Database("postgresql://me@127.0.0.1:1/x", "geheim")
    assert told.value.code == "config" and "geheim" not in told.value.line()
