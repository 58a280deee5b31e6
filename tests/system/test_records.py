"""No record lost, none twice, whatever is switched off meanwhile."""

import asyncio
import random

from firmware.lib import opcodes
from firmware.lib.messages import passcode_client
from host_tools.owner.keybook import Entry
from tests.system.bench import SOAK, Bench

RECORDS = 500 if SOAK else 60
KILLS = 10 if SOAK else 3
OUTAGES = 2 if SOAK else 1


async def _make_records(bench: Bench, entry: Entry, number: int) -> None:
    """Let the lock hold at least `number` records: a passcode added and deleted beside it, again and again (93, 6)."""
    while True:
        missing = number - (await bench.lock.panel({"do": "state"}))["records"]
        if missing <= 0:
            return
        async with bench.beside(entry) as link:
            for _ in range(min(missing, 60)):
                await link.exchange(opcodes.PASSCODE, passcode_client.add(1, "864209"))
                await link.exchange(opcodes.PASSCODE, passcode_client.delete(1, "864209"))


def test_records_arrive_exactly_once_though_gateway_and_broker_die_during_the_upload(tmp_path):
    async def story():
        draw = random.Random(7)
        async with Bench(tmp_path) as bench:
            entry = await bench.adopt()
            await bench.gateway.kill()
            await bench.until_linkless()
            await _make_records(bench, entry, RECORDS)
            total = (await bench.lock.panel({"do": "state"}))["records"]
            await bench.gateway.start()
            for number in range(KILLS):
                enough = number * RECORDS // (KILLS + 1)
                await bench.until(lambda enough=enough: len(bench.records()) > enough, "progress")
                await asyncio.sleep(draw.random())
                await bench.gateway.kill()
                if number < OUTAGES:
                    await bench.site.broker.stop()
                    await bench.gateway.start()
                    await asyncio.sleep(2 + draw.random())
                    await bench.site.broker.start()
                else:
                    await bench.gateway.start()

            def complete() -> bool:
                return len({(item["epoch"], item["rec"]) for item in bench.records()}) >= total

            await bench.until(complete, "all records", 240)
            items = bench.records()
            keys = {(item["epoch"], item["rec"]) for item in items}
            assert len(keys) == total and len({epoch for epoch, _ in keys}) == 1
            assert not [item for item in items if item["gap"]]
            by_key: dict = {}
            for item in items:  # delivered at least once; a double says the same
                assert by_key.setdefault((item["epoch"], item["rec"]), item) == item
            print("%d records, %d deliveries" % (len(keys), len(items)))

    asyncio.run(story())
