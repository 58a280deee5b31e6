"""R-22: the whole log of a lock by others reaches the owner's store, though it refuses cursors, half of all attempts to
connect fail, and the gateway is replaced in the middle."""

import asyncio
import contextlib
from pathlib import Path

import pytest

from bench import full_stores
from bench.images import build_image, put_nvs
from firmware.lib import marks, opcodes
from host_tools.errors import HostError
from host_tools.gateway.records_batch import read_batch
from host_tools.gateway.records_choice import Choice
from host_tools.gateway.records_store import RecordStore
from host_tools.near import sightings
from host_tools.owner.keybook import Entry
from host_tools.sim.air.faults import CENTRAL
from host_tools.sim.board import flash_image
from host_tools.sim.board.board import Board
from host_tools.sim.site import owner
from tests.faults.posts import FrameTap
from tests.faults.rows import Row
from tests.system.bench import HANG_S, Bench

_WHOLE_S = 1800  # of a log of 500 records, whose links are refused half of the time


class Recorder:
    """The owner's store behind the broker: keeps each batch, then acknowledges it, unless it `is_away`."""

    def __init__(self, bench: Bench, store: RecordStore) -> None:
        self._bench = bench
        self._store = store
        self.is_away = False
        self.new = 0
        self.names: list[tuple[int, int, str]] = []  # each arrival
        self.gaps = 0
        bench.mqtt.is_recorder = False

    async def run(self) -> None:
        seen = 0
        while True:
            await self._bench.mqtt.wait(lambda message: message.topic.endswith("/records"), 10 * _WHOLE_S, seen)
            for message in self._bench.mqtt.messages[seen:]:
                seen += 1
                if message.topic.endswith("/records") and not self.is_away:
                    batch = read_batch(message.text)
                    self.gaps += batch.gap
                    self.names += [(batch.epoch, item["rec"], item["date"]) for item in batch.items]
                    self.new += self._store.keep(message.topic.split("/")[3], batch)
                    await self._bench.mqtt.publish(message.topic + "/ack", self._bench.ack(message))


async def _hand_over(bench: Bench, gateway: Board, entry: Entry) -> None:
    """Until the gateway has it: half of the links do not come up."""
    for is_last in (False,) * 9 + (True,):
        try:
            await owner.hand_over(bench.site, gateway, entry)
            return
        except HostError:
            if is_last:
                raise


@pytest.mark.row("R-22", "log of a real lock, cursors refused, gateway replaced")
def test_the_log_of_a_real_lock_outlasts_refusals_and_its_gateway(row: Row, tmp_path: Path) -> None:
    count = row.count(60, 500)

    async def story() -> None:
        async with Bench(tmp_path, profile="real", seed=row.seed, gateways=2) as bench:
            made = full_stores.lock_with_records(tmp_path / "made", count)
            settings = {"/data/settings.json": flash_image.as_json(bench.lock.spec.settings)}
            await bench.lock.kill()
            await put_nvs(bench.lock, made.nvs, tmp_path / "nvs")
            build_image(bench.lock, tmp_path / "image", made.files | settings)
            await bench.lock.start()
            tap = FrameTap(bench.site.radio.air)
            entry = Entry(bench.lock.mac, "Front door", made.aes.hex(), made.admin_ps, made.unlock_key)
            first, second = bench.site.gateways
            with RecordStore(tmp_path / "records.db") as store:
                recorder = Recorder(bench, store)
                task = asyncio.create_task(recorder.run())
                await _hand_over(bench, first, entry)
                await bench.until(lambda: store.count(entry.id, Choice()) >= count // 2, "the first half", _WHOLE_S)
                await first.kill()
                await _hand_over(bench, second, entry)
                with contextlib.suppress(AssertionError):  # what is missing is counted below
                    await bench.until(lambda: store.count(entry.id, Choice()) >= count, "all records", _WHOLE_S)
                fallen = await sightings.scan(
                    lambda heard: heard.mac == bench.lock.mac and not heard.advert.has_records, _WHOLE_S
                )
                row.check(fallen, "the flag of unread records is still up")
                kept = [(each["epoch"], each["rec"], each["date"]) for each in store.every(entry.id, Choice())]
                era = marks.era(made.aes)
                for number in made.numbers:
                    row.check(kept.count(next((name for name in kept if name[:2] == (era, number)), None)) == 1, "lost")
                row.check(len(kept) == len(set(kept)), "%d twice" % (len(kept) - len(set(kept))))
                row.check(set(recorder.names) == set(kept), "%d ignored" % len(set(recorder.names) - set(kept)))
                row.check([name[1] for name in kept] == sorted(made.numbers), "order")
                row.check(not recorder.gaps, "%d told as lost" % recorder.gaps)
                row.check(not any(each["conflict"] for each in store.every(entry.id, Choice())), "conflicts")
                row.figure("records", len(kept))
                row.figure("arrivals", len(recorder.names))
                asked = sum(1 for _, side, command in tap.frames if (side, command) == (CENTRAL, opcodes.LOG))
                row.check(asked >= 100, "no cursor was refused: %d were asked for" % asked)
                row.figure("asked", asked)
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await task

    asyncio.run(asyncio.wait_for(story(), 3 * _WHOLE_S + 2 * HANG_S))
