"""Forged evidence (mqtt.md 2, "Records"): acknowledgements to a gateway and batches to a recorder that nobody of the
owner's has made change nothing; what contradicts is kept and shown."""

import asyncio
import json
import random
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from firmware.lib import envelope
from host_tools.gateway.client import Gateways
from host_tools.gateway.records_batch import Batch
from host_tools.gateway.records_inflow import Inflow
from host_tools.gateway.records_store import RecordStore
from tests.faults.rows import Row, run_program
from tests.host.gateway_end import KEY, pinned
from tests.host.test_records_host import ERA, item

GATEWAY, LOCK = "240ac4a00000", "240ac4b00002"
TOPIC = "gatehouse/%s/lock/%s/records" % (GATEWAY, LOCK)
RECORD_KEY = envelope.record_key(KEY)
_TIMES = 1_790_000_000


@pytest.mark.row("ACKS", "acknowledgements of records with one thing changed")
def test_no_forged_acknowledgement_moves_the_cursor(row: Row) -> None:
    row.take(run_program("forged_acks", row.seed, row.count(1500, 50000), heapsize="8M"))


class _Wire:
    """Stands for the connection: hands on what is put in, keeps what is published."""

    def __init__(self) -> None:
        self.queue: asyncio.Queue = asyncio.Queue()
        self.sent: list[tuple[str, str]] = []

    async def subscribe(self, *_args, **_more) -> None:
        pass

    async def publish(self, topic: str, text: str, **_more) -> None:
        self.sent.append((topic, text))

    def put(self, topic: str, text: str | bytes) -> None:
        payload = text if isinstance(text, bytes) else text.encode()
        self.queue.put_nowait(SimpleNamespace(topic=topic, payload=payload))

    @property
    async def messages(self):
        while True:
            yield await self.queue.get()


def _members(first: int) -> list[tuple[str, object]]:
    items = [item(first + n, 1, _TIMES + first + n, 5) for n in range(random.randint(1, 4))]
    return [("epoch", ERA), ("from", first), ("to", items[-1]["rec"]), ("gap", 0), ("items", items)]


def _text(members: list[tuple[str, object]]) -> str:
    return "{" + ",".join("%s:%s" % (json.dumps(name), json.dumps(value)) for name, value in members) + "}"


def _in_an_item(change: Callable[[list], None]) -> Callable[[list], list]:
    """`change` done to the members of one of the items."""

    def forge(members: list) -> list:
        items = [list(each.items()) for each in dict(members)["items"]]
        change(random.choice(items))
        return [*members[:-1], ("items", [dict(each) for each in items])]

    return forge


def _alter(members: list) -> None:
    at = random.randrange(len(members))
    name, value = members[at]
    members[at] = name, value + 1 if isinstance(value, int) and not isinstance(value, bool) else "x"


def _drop(members: list) -> None:
    members.pop(random.randrange(len(members)))


def _double(members: list) -> None:
    members.insert(random.randrange(len(members)), random.choice(members))


def _reorder(members: list) -> None:
    members.append(members.pop(random.randrange(len(members) - 1)))


def _done(change: Callable[[list], None]) -> Callable[[list], list]:
    def forge(members: list) -> list:
        members = list(members)
        change(members)
        return members

    return forge


FORGERIES: dict[str, Callable[[list], list]] = {
    "altered": _done(_alter),
    "dropped": _done(_drop),
    "doubled": _done(_double),
    "reordered": _done(_reorder),
    "altered in an item": _in_an_item(_alter),
    "dropped in an item": _in_an_item(_drop),
    "reordered in an item": _in_an_item(_reorder),
    "items the other way round": lambda members: [*members[:-1], ("items", dict(members)["items"][::-1] + [{}])],
    "another item": lambda members: [*members[:-1], ("items", [*dict(members)["items"], item(60000, 1, _TIMES, 5)])],
}


def _forged(first: int) -> tuple[str, str, str | bytes]:
    """(what is wrong, topic, payload)"""
    members = _members(first)
    good = envelope.sign(RECORD_KEY, TOPIC, _text(members))
    mac = good[-66:-2]
    what = random.choice([*FORGERIES, "flipped", "cut", "key", "topic", "unsigned"])
    if what in FORGERIES:
        return what, TOPIC, _text(FORGERIES[what](members))[:-1] + ',"mac":"%s"}' % mac
    raw = bytearray(good.encode())
    place = random.randrange(len(raw))
    if what == "flipped":
        raw[place] ^= 1 << random.randrange(8)
    elif what == "cut":
        del raw[place : place + random.randint(1, 9)]
    elif what == "key":
        return what, TOPIC, envelope.sign(random.choice([KEY, random.randbytes(32)]), TOPIC, _text(members))
    elif what == "topic":
        return what, TOPIC.replace(*random.choice([(LOCK, LOCK[:-1] + "6"), (GATEWAY, GATEWAY[:-1] + "4")])), good
    else:
        return what, TOPIC, _text(members)
    return what, TOPIC, bytes(raw)


def _rows(store: RecordStore) -> list[dict]:
    return store.last(LOCK, 1 << 20)


@pytest.mark.row("BATCHES", "batches of records with one thing changed, to a recorder; contradictions kept and shown")
def test_no_forged_batch_changes_the_store(row: Row, tmp_path: Path) -> None:
    random.seed(row.seed)

    async def story(store: RecordStore) -> None:
        wire = _Wire()
        gateways = Gateways(wire, "gatehouse", lambda: [pinned(GATEWAY)])  # type: ignore[arg-type]
        listening = asyncio.create_task(gateways.listen())
        inflow = Inflow(store, gateways, LOCK)
        await inflow.start()
        taken, kept = 0, 0
        for number in range(row.count(600, 30000)):
            what, topic, payload = _forged(random.randrange(60000))
            wire.put(topic, payload)
            row.tried()
            if number % 50 == 49:  # a good one behind them, which shows that all of them were looked at
                members = _members(50 * taken)
                wire.put(TOPIC, envelope.sign(RECORD_KEY, TOPIC, _text(members)))
                await inflow.items().__anext__()
                taken += 1
                kept += len(dict(members)["items"])  # type: ignore[arg-type]
                found = _rows(store)
                row.check(len(found) == kept, "%d rows, not %d; of late: %s" % (len(found), kept, what))
                row.check(len(wire.sent) == taken, "acknowledged: %s" % wire.sent[taken:])
                row.check(all(each["proven"] and not each["conflict"] for each in found), "not as the gateway said")
        row.figure("good_taken", taken)
        row.figure("forged_told", inflow.forged + inflow.unread)
        _contradict(row, store)
        listening.cancel()

    with RecordStore(tmp_path / "records.db") as store:
        asyncio.run(story(store))


def _contradict(row: Row, store: RecordStore) -> None:
    """Whatever is said under the name of a proven record, by whom it cannot be proven: both stay, and are marked."""
    for number, true in enumerate(_rows(store)[: row.count(5, 50)]):
        before = {key: true[key] for key in true if key not in ("conflict", "id")}
        lie = {key: true[key] for key in ("rec", "date", "list", "event", "method", "ts")}
        lie |= {"type": (true["type"] + 1 + number) % 200, "who": 77, "battery": number}
        store.keep(LOCK, Batch(true["epoch"], true["rec"], true["rec"], 0, [lie], False))
        same = [each for each in store.find(LOCK, true["rec"], true["epoch"]) if each["date"] == true["date"]]
        row.check(len(same) == 2 and all(each["conflict"] for each in same), "not both are kept: %s" % same)
        (proven,) = [each for each in same if each["proven"]]
        row.check({key: proven[key] for key in before} == before, "the proven one has changed: %s" % proven)
