"""The owner's record store and what can be asked of it: filters, pages, deletion, files."""

import csv
import json
import time
from datetime import UTC, datetime

import pytest
from sqlalchemy import event
from typer.testing import CliRunner

from firmware.lib import marks, records, reports
from host_tools.cli.main import app
from host_tools.errors import HostError
from host_tools.gateway import monitor, record_words, records_export
from host_tools.gateway.records_batch import Batch
from host_tools.gateway.records_choice import Choice
from host_tools.gateway.records_store import RecordStore
from host_tools.owner import names
from host_tools.owner.keybook import Entry, KeyBook

ENTRY = Entry("24:0a:c4:b0:00:02", "Front door", "00112233445566778899aabbccddeeff", 11, 22, "7654321")
KEY = bytes.fromhex(ENTRY.aes)
ADA, BEN = marks.of_passcode(KEY, b"864201"), marks.of_card(KEY, 3661413478)


def item(rec, type, ts, who=None):
    """As the gateway makes it of a lock at UTC; without a time the lock's clock was never set."""
    event, method, ok = records.meaning(type)
    date = (2000, 1, 1, 0, 0, 0) if ts is None else datetime.fromtimestamp(ts, UTC).timetuple()[:6]
    made = reports.record_item(rec, records.decode(records.encode(type, date, 90)), ts, who)
    assert (made["event"], made["method"], made["ok"]) == (event, method, ok)
    return made


ERA = marks.era(KEY)


def keep(items, epoch=ERA):
    with RecordStore() as store:
        return store.keep(ENTRY.id, Batch(epoch, items[0]["rec"], items[-1]["rec"], 0, items))


@pytest.fixture
def book(tmp_path, monkeypatch):
    monkeypatch.setenv("GATEHOUSE_KEYS", str(tmp_path / "keys.json"))
    monkeypatch.setenv("GATEHOUSE_RECORDS", str(tmp_path / "records.db"))
    monkeypatch.setenv("COLUMNS", "160")
    monkeypatch.chdir(tmp_path)
    found = KeyBook()
    found.put(ENTRY)
    names.remember(found, ENTRY.mac, "passcode", None, "Ada", secret="864201")
    names.remember(found, ENTRY.mac, "card", 3, "Ben's card", secret="3661413478")
    return found


def gatehouse(*arguments, status=0, input=None):
    done = CliRunner().invoke(app, arguments, input=input)
    assert done.exit_code == status, done.output
    return done.stdout


def shown(*options):
    return json.loads(gatehouse("records", "front door", "--stored", "--json", *options))


def test_f102_records_come_in_pages_of_20_and_at_most_200(book):
    keep([item(number, 1, 1790000000 + number, 5) for number in range(250)])
    first = shown()
    assert [each["rec"] for each in first["records"]] == list(range(230, 250))
    assert first["total"] == 250
    assert [each["rec"] for each in shown("--page", "2")["records"]] == list(range(210, 230))
    assert len(shown("--size", "200", "--page", "2")["records"]) == 50
    gatehouse("records", "front door", "--stored", "--size", "201", status=2)
    assert "page 1 of 13" in CliRunner().invoke(app, ["records", "front door", "--stored"]).stderr


def test_f102_f108_records_are_chosen_by_time_person_kind_and_number(book):
    day = 1790000000 // 86400 * 86400
    keep(
        [
            item(0, 4, day, ADA),
            item(1, 17, day + 60, BEN),
            item(2, 11, day + 120, ADA),
            item(3, 28, day + 180, records.GATEWAY_UID),
            item(4, 93, day + 240, ADA),
            item(5, 44, None),
            item(6, 4, day + 300, BEN),  # another's code whose number happens to be that of Ben's card
        ]
    )

    def chosen(*options):
        return [each["rec"] for each in shown(*options)["records"]]

    assert chosen("--person", "ada") == [0, 2, 4]
    assert chosen("--person", "Ben's card") == [1]
    assert chosen("--person", "ada", "--listed") == [0, 2]
    assert chosen("--kind", "card") == [1]
    assert chosen("--kind", "ekey") == [3]
    assert chosen("--number", str(BEN)) == [1, 6]
    assert chosen("--kind", "passcode", "--number", str(ADA), "--failed") == [2]
    when = [datetime.fromtimestamp(day + s).isoformat() for s in (60, 180)]
    assert chosen("--since", when[0], "--until", when[1]) == [1, 2]
    named = {each["rec"]: each["name"] for each in shown()["records"]}
    assert (named[0], named[1], named[3], named[5]) == ("Ada", "Ben's card", "gateway", "")
    gatehouse("records", "front door", "--stored", "--person", "Nobody", status=2)
    gatehouse("records", "front door", "--stored", "--kind", "voice", status=2)
    text = gatehouse("records", "front door", "--stored")
    assert "unlocked by passcode" in text and "Ada" in text and "TAMPERED" in text
    assert "864201" not in text and "3661413478" not in text


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_f107_the_export_of_half_a_year_holds_exactly_its_records(book, tmp_path, ending):
    now = time.time()
    edge = records_export.six_months_before(now)
    keep(
        [
            item(0, 1, edge - 3, 7),
            item(1, 4, edge + 3, ADA),
            item(2, 17, int(now) - 86400, BEN),
            item(3, 14, None),
            item(4, 7, int(now) - 5),
        ]
    )
    path = tmp_path / ("out." + ending)
    gatehouse("records", "front door", "--stored", "--half-year", "--export", str(path))
    assert path.stat().st_mode & 0o777 == 0o600
    if ending == "csv":
        with open(path, newline="") as file:
            rows = list(csv.DictReader(file))
        assert rows[0]["ok"] == "True" and rows[0]["what"] == "unlocked by passcode"
    else:
        import duckdb

        found = duckdb.sql("SELECT * FROM read_parquet('%s') ORDER BY rec" % path)
        rows = [dict(zip(found.columns, row, strict=True)) for row in found.fetchall()]
        assert rows[0]["ts"] == datetime.fromtimestamp(edge + 3, UTC).replace(tzinfo=None)
        assert (rows[0]["ok"], rows[2]["ok"], rows[2]["who"]) == (True, False, None)
    assert [int(row["rec"]) for row in rows] == [1, 2, 4]
    assert [row["name"] for row in rows][:2] == ["Ada", "Ben's card"]
    assert list(rows[0]) == list(records_export.COLUMNS)
    assert [each.name for each in tmp_path.glob(".records-*")] == []


def test_half_a_year_ends_at_the_months_last_day():
    august = datetime(2026, 8, 31, 12, 0, 0).timestamp()
    assert datetime.fromtimestamp(records_export.six_months_before(august)) == datetime(2026, 2, 28, 12, 0, 0)
    may = datetime(2026, 5, 15, 1, 2, 3).timestamp()
    assert datetime.fromtimestamp(records_export.six_months_before(may)) == datetime(2025, 11, 15, 1, 2, 3)


def test_a_file_of_another_kind_is_refused(book, tmp_path):
    with pytest.raises(HostError):
        records_export.write(tmp_path / "out.xlsx", [])


def test_f106_deleted_records_do_not_come_back_and_only_the_owner_deletes(book):
    items = [item(number, 4, 1790000000 + number, ADA) for number in range(5)]
    keep(items)
    gatehouse("records", "front door", "--delete", "2", input="n\n", status=1)
    assert shown()["total"] == 5
    gatehouse("records", "front door", "--delete", "2", "--yes")
    assert [each["rec"] for each in shown()["records"]] == [0, 1, 3, 4]
    assert keep(items) == 0, "reading the lock again"
    assert shown()["total"] == 4
    gatehouse("records", "front door", "--clear", "--until", datetime.fromtimestamp(1790000004).isoformat(), "--yes")
    assert [each["rec"] for each in shown()["records"]] == [4]
    with RecordStore() as store:
        with store.base.reading() as base:
            assert base.exec_driver_sql("SELECT COUNT(*) FROM records WHERE who IS NOT NULL").scalar() == 1
    book.remove(ENTRY.mac)
    for way in (("--clear",), ("--delete", "4")):
        done = CliRunner().invoke(app, ["records", ENTRY.id, *way, "--yes"])
        assert (done.exit_code, "forbidden" in done.stderr) == (1, True)
    with RecordStore() as store:
        assert store.count(ENTRY.id, Choice()) == 1


def test_alarms_are_told_in_words():
    for type, said in ((44, "TAMPERED"), (48, "LOCKED OUT"), (64, "DOOR LEFT OPEN"), (66, "COULD NOT LOCK")):
        event, method, _ = records.meaning(type)
        line, style = monitor.event_line("Front", {"event_type": event, "type": type, "method": method, "ts": "T"})
        assert said in line and style == "bold red"
    opened = {"event_type": "unlock", "type": 4, "method": "passcode", "who": ADA, "rec": 1, "ts": "T"}
    assert monitor.event_line("Front", opened) == ("T  Front  unlocked by passcode  %d" % ADA, None)
    assert "left at the broker" in monitor.event_line("F", {"event_type": "alarm", "method": "retained_command"})[0]
    assert record_words.words(200) == "type 200"
    for type, said in ((107, "partner"), (111, "LOW BATTERY"), (115, "TEMPERATURE"), (116, "FIRE"), (249, "NFC")):
        assert said in record_words.words(type)  # hardware-facts.md F57
        assert record_words.is_alarm(type) is (type in (111, 115, 116))
    assert all(record_words.words(type) != "type %d" % type for type in range(1, 102) if type != 2)


def test_times_that_are_not_sure_say_so(book):
    sure, about = item(0, 4, 1790000000, ADA), item(1, 4, 1790000060, ADA) | {"approx": True}
    keep([sure, about, item(2, 4, 1790000120, ADA) | {"ts": None}, item(3, 14, None)])
    done = CliRunner().invoke(app, ["records", "Front door", "--stored"])
    lines = [line for line in done.stdout.splitlines() if "passcode" in line or "power" in line.lower()]
    assert ["~" in line for line in lines] == [False, True, False, False]
    assert ["2026-09-21 14:15:20 *" in line for line in lines] == [False, False, True, False]
    assert "~" in done.stderr and "*" in done.stderr
    assert [each["approx"] for each in shown()["records"]] == [False, True, False, False]
    assert "*" not in gatehouse(
        "records", "Front door", "--stored", "--number", str(ADA), "--until", "2026-09-21T14:14:00Z"
    )


@pytest.mark.parametrize("way", ["2", "%d/2", "%d/2/%s"])
def test_a_record_is_deleted_by_a_name_that_fits_one(book, way):
    keep([item(2, 4, 1790000000, ADA)])
    keep([item(2, 4, 1790009999, ADA), item(3, 4, 1790010000, ADA)], ERA + 1)
    first = shown()["records"][0]
    which = way % (ERA, first["date"])[: way.count("%")]
    status = 2 if way == "2" else 0
    done = CliRunner().invoke(app, ["records", "Front door", "--delete", which, "--yes"])
    assert done.exit_code == status, done.output
    assert len(shown()["records"]) == (3 if status else 2)
    if status:
        assert str(ERA) in done.stderr and str(ERA + 1) in done.stderr
    for wrong in ("", "x", "1/x", "/2", "2/", "1/2/3/4", "-1", "٣"):
        if wrong:
            gatehouse("records", "Front door", "--delete", wrong, "--yes", status=2)


def test_a_store_that_cannot_be_written_is_told_and_nothing_is_acknowledged(book, tmp_path):
    keep([item(0, 4, 1790000000, ADA)])
    with RecordStore() as store:
        event.listen(store.base.engine, "begin", lambda base: base.exec_driver_sql("PRAGMA query_only=ON"))
        with pytest.raises(HostError, match="cannot write"):
            store.keep(ENTRY.id, Batch(ERA, 1, 1, 0, [item(1, 4, 1790000060, ADA)]))
    assert [each["rec"] for each in shown()["records"]] == [0]
