"""Records as evidence: what a gateway proves, what anybody may have sent, and a store that shows what it can."""

import asyncio
import json
import sqlite3
from dataclasses import replace

import aiomqtt
import pytest

from firmware.lib import envelope
from host_tools.gateway import client as gateway_client
from host_tools.gateway.records_batch import Batch, read_batch
from host_tools.gateway.records_choice import Choice
from host_tools.gateway.records_inflow import Inflow
from host_tools.gateway.records_schema import COLUMNS
from host_tools.gateway.records_store import RecordStore
from host_tools.sim.site.broker import Broker
from tests.host.gateway_end import KEY, pinned
from tests.host.test_cli import ENTRY, gatehouse
from tests.host.test_gateway_client import GATEWAY, LOCK, OTHER
from tests.host.test_records_host import ERA, book, item  # noqa: F401

TOPIC = "gatehouse/%s/lock/%s/records" % (GATEWAY, LOCK)
RECORD_KEY = envelope.record_key(KEY)
ITEMS = [item(number, 1, 1790000000 + number, 5) for number in (7, 8)]


def text_of(items):
    return json.dumps({"epoch": ERA, "from": items[0]["rec"], "to": items[-1]["rec"], "gap": 0, "items": items})


def forged():
    """(what is wrong, topic, payload): none of these may change anything."""
    text = text_of(ITEMS)
    good = envelope.sign(RECORD_KEY, TOPIC, text)
    yield "unsigned", TOPIC, text
    yield "the issuer's key", TOPIC, envelope.sign(KEY, TOPIC, text)
    yield "another key", TOPIC, envelope.sign(bytes(32), TOPIC, text)
    yield "another lock's", TOPIC, envelope.sign(RECORD_KEY, TOPIC.replace(LOCK, "240ac4b00006"), text)
    yield "altered", TOPIC, good.replace('"rec": 7', '"rec": 6')
    yield "cut", TOPIC, good[:-10]
    yield "of a stranger", TOPIC.replace(GATEWAY, OTHER), text
    yield "of a stranger, signed", TOPIC.replace(GATEWAY, OTHER), good
    yield "an acknowledgement", TOPIC + "/ack", good


def watched(pins, messages):
    """What a recorder with these `pins` makes of messages: (rows, forged, acknowledgements as (topic, text))."""

    async def run(store):
        broker = Broker()
        await broker.start()
        acks = []

        async def listen(client):
            async for message in client.messages:
                acks.append((str(message.topic), bytes(message.payload).decode()))

        try:
            at = "%s:%d" % (broker.host, broker.port)
            async with aiomqtt.Client(broker.host, broker.port) as client:
                await client.subscribe("gatehouse/+/lock/+/records/ack", qos=1)
                listening = asyncio.create_task(listen(client))
                async with gateway_client.connect(at, pins=lambda: pins) as gateways:
                    inflow = Inflow(store, gateways, LOCK)
                    await inflow.start()
                    for topic, payload in messages:
                        await client.publish(topic, payload, qos=1)
                    await inflow.keep(1)
                    await client.publish("gatehouse/%s/lock/%s/records/ack" % (OTHER, LOCK), "end", qos=1)
                    while not acks or acks[-1][1] != "end":
                        await asyncio.sleep(0.01)
                listening.cancel()
        finally:
            await broker.stop()
        sent = [ack for ack in acks[:-1] if (ack[0], ack[1]) not in [tuple(each) for each in messages]]
        return store.last(LOCK, 50), inflow.forged, sent

    def of(path):
        with RecordStore(path) as store:
            return asyncio.run(run(store))

    return of


def test_forged_batches_change_nothing_and_are_not_acknowledged(tmp_path):
    wrong = list(forged())
    rows, count, acks = watched([pinned(GATEWAY)], [each[1:] for each in wrong])(tmp_path / "r.db")
    assert (rows, acks) == ([], [])
    assert count >= len(wrong) - 2  # the last one is on no topic of batches, the cut one is none
    good = envelope.sign(RECORD_KEY, TOPIC, text_of(ITEMS))
    rows, count, acks = watched([pinned(GATEWAY)], [(TOPIC, good)])(tmp_path / "r.db")
    assert [(row["rec"], row["proven"]) for row in rows] == [(7, True), (8, True)] and not count
    ((topic, text),) = acks
    assert envelope.verify(RECORD_KEY, topic, text.encode())
    said = json.loads(text)
    assert (said["epoch"], said["from"], said["to"]) == (ERA, 7, 8) and said["iat"] > 1_700_000_000


def test_without_an_owner_records_are_kept_and_not_called_proven(tmp_path):
    rows, _, acks = watched([], [(TOPIC, text_of(ITEMS))])(tmp_path / "r.db")
    assert [row["proven"] for row in rows] == [False, False] and len(acks) == 1
    other = pinned(GATEWAY, issuer="kitchen")
    rows, _, acks = watched([other], [(TOPIC, text_of(ITEMS))])(tmp_path / "s.db")
    assert [row["proven"] for row in rows] == [False, False]
    assert not acks, "another computer is to say that they are kept"
    recorder = replace(other, records=RECORD_KEY.hex())
    rows, count, _ = watched([recorder], [(TOPIC, text_of(ITEMS))])(tmp_path / "t.db")
    assert not rows and count == 1


def batch(items, proven):
    return Batch(ERA, items[0]["rec"], items[-1]["rec"], 0, items, proven)


LIES = [
    {"ts": "2020-01-01T00:00:00Z"},
    {"ok": False},
    {"method": "key"},
    {"event": "lock"},
    {"list": 1},
    {"approx": True},
    {"ts": None},
    {"method": None, "list": None, "event": None, "ok": None},
]


@pytest.mark.parametrize("lie", LIES, ids=[",".join(lie) for lie in LIES])
@pytest.mark.parametrize("lie_first", [True, False])
def test_what_is_proven_stands_whoever_says_otherwise_and_when(tmp_path, lie, lie_first):
    """The lie agrees in what makes a record the same one: only so could it colour the true one."""
    true = ITEMS[:1]
    told = [batch([true[0] | lie], False), batch(true, True)]
    with RecordStore(tmp_path / "r.db") as store:
        for each in told if lie_first else told[::-1]:
            store.keep(LOCK, each)
        (row,) = store.last(LOCK, 5)
    assert row["proven"] and not row["conflict"]
    assert {key: row[key] for key in lie if key != "approx"} == {
        key: true[0].get(key) for key in lie if key != "approx"
    }
    assert row["approx"] is False


def test_a_contradiction_is_kept_and_shown_with_which_of_them_is_proven(book, monkeypatch):  # noqa: F811
    with RecordStore() as store:
        store.keep(ENTRY.id, batch([ITEMS[0] | {"type": 7}], False))
        store.keep(ENTRY.id, batch(ITEMS[:1], True))
    rows = json.loads(gatehouse("records", "front door", "--stored", "--json").stdout)["records"]
    said = {row["type"]: (row["proven"], row["conflict"]) for row in rows}
    assert said == {ITEMS[0]["type"]: (True, True), 7: (False, True)}
    told = gatehouse("records", "front door", "--stored")
    assert "7 !?" in told.stdout and "marked ?" in told.stderr and "marked !" in told.stderr


JUNK = [b"\xff\x00\xfe", "\x1b[2J[/x]", -1, 1 << 62, 1.5, float("inf"), "", "x" * 5000]


@pytest.mark.parametrize("column", ["epoch", "rec", "date", "place", "arrived", "proven", *COLUMNS[1:]])
def test_a_bad_row_stops_no_listing(book, column, tmp_path):  # noqa: F811
    with RecordStore() as store:
        store.keep(ENTRY.id, batch(ITEMS, True))
    base = sqlite3.connect(tmp_path / "records.db")
    for value in JUNK:
        base.execute(
            "INSERT INTO records (lock, epoch, rec, date, type, ts, place, %s) VALUES (?,?,?,?,?,?,?,?)" % column
            if column not in ("epoch", "rec", "date", "type", "ts", "place")
            else "INSERT INTO records (lock, epoch, rec, date, type, ts, place) VALUES (?,?,?,?,?,?,?)",
            _values(column, value),
        )
    base.execute("INSERT INTO gaps VALUES (?,?,?,?)", (ENTRY.id, ERA, "x", b"\xff"))
    base.execute("INSERT INTO asked VALUES (?,?,?,?)", (ENTRY.id, ERA, "x", 1e300))
    base.commit()
    rows = json.loads(gatehouse("records", "front door", "--stored", "--json", "--size", "50").stdout)["records"]
    assert len(rows) == len(ITEMS) + len(JUNK)
    assert [row["rec"] for row in rows if row["proven"] and not row["damaged"]][-2:] == [7, 8] or column == "proven"
    for options in (("--size", "50"), ("--page", "2", "--size", "5"), ("--failed",), ("--export", "r.csv")):
        done = gatehouse("records", "front door", "--stored", *options)
        assert done.exit_code == 0 and "\x1b" not in done.output, done.output
    with RecordStore() as store:
        store.lacking(ENTRY.id, ERA, 20)
        store.keep(ENTRY.id, batch([item(number, 1, 1790000100 + number, 5) for number in (9, 10)], True))
        assert store.find(ENTRY.id, 7) and store.delete(ENTRY.id, Choice()) > len(JUNK)


def _values(column, value):
    good = {"lock": ENTRY.id, "epoch": ERA, "rec": 900, "date": "1a0102030405", "type": 4, "ts": None, "place": 5.0}
    return tuple((good | {column: value}).values())


def test_a_store_of_before_takes_the_proof(tmp_path):
    path = tmp_path / "r.db"
    with RecordStore(path) as store:
        store.keep(LOCK, batch(ITEMS[:1], False))
    base = sqlite3.connect(path)
    base.execute("ALTER TABLE records DROP COLUMN proven")
    for table in ("alembic_version", "names", "watches", "alerts", "notices"):
        base.execute("DROP TABLE %s" % table)
    base.execute("PRAGMA user_version=2")
    base.commit()
    base.close()
    with RecordStore(path) as store:
        assert [row["proven"] for row in store.last(LOCK, 5)] == [False]
        store.keep(LOCK, batch(ITEMS, True))
        assert [row["proven"] for row in store.last(LOCK, 5)] == [True, True]


def test_a_batch_is_proven_by_its_mac_only():
    assert read_batch(text_of(ITEMS)[:-1] + ',"proven":true}').proven is False
