"""R-04: the broker is away for a week, comes back empty, is restarted, or a stranger takes the gateway's session."""

import asyncio
import contextlib

import aiomqtt
import pytest

from host_tools.sim.site.broker import find_mosquitto
from tests.faults.rows import FULL, Row, run_program
from tests.system.bench import Bench

_CODE = "739154"
_HALF_WEEK_S = 3.5 * 86400


@pytest.mark.row("R-04", "2000 records and more over a broker that loses, broker's receipt")
def test_records_outlast_a_week_without_a_broker(row: Row) -> None:
    row.take(run_program("broker_away", row.seed, row.count(2100, 20000), False))


@pytest.mark.row("R-04", "the same, a consumer's receipt, broker's disk lost")
def test_records_outlast_a_broker_that_loses_its_disk(row: Row) -> None:
    row.take(run_program("broker_away", row.seed, row.count(2100, 20000), True))


@pytest.mark.skipif(not FULL, reason="a minute: make faults")
@pytest.mark.row("R-04", "a site whose broker is away for a week, then restarted, then hears a stranger by our name")
def test_a_site_survives_its_broker(row: Row, tmp_path) -> None:
    has_mosquitto = bool(find_mosquitto())

    async def story() -> None:
        async with Bench(tmp_path, broker="mosquitto" if has_mosquitto else "iotcore") as bench:
            await bench.adopt()
            assert (await bench.ask("passcode_add", {"code": _CODE}))["code"] == "ok"
            await bench.until_linkless()
            await bench.site.broker.stop()
            for _ in range(2):  # the door does not need it
                await _open_by_code(bench, row)
                await bench.site.leap(_HALF_WEEK_S)
            moved = len(bench.lock.movements)
            await bench.site.broker.start()
            await _all_records(bench, row)
            for turn in range(row.count(1, 2)):
                await bench.site.broker.stop()
                await _open_by_code(bench, row)
                moved = len(bench.lock.movements)
                await bench.site.broker.start()
                await _all_records(bench, row)
                if has_mosquitto:  # the embedded broker serves two by one name
                    await _take_over(bench)
                await _open_by_code(bench, row)
                await _all_records(bench, row)
                row.check((await bench.ask("state"))["code"] == "ok", "no service after turn %d" % turn)
            row.check(len(bench.lock.movements) - moved == 2, "stale commands: %s" % bench.lock.movements[moved:])
            row.check(bench.gateway.starts == 1 and not bench.gateway.crashes, "the gateway was reset")
            records = bench.records()
            row.figure("records", len({(item["epoch"], item["rec"]) for item in records}))
            row.figure("duplicates", len(records) - len({(item["epoch"], item["rec"]) for item in records}))

    asyncio.run(story())


async def _open_by_code(bench: Bench, row: Row) -> None:
    before = len(bench.lock.movements)
    await bench.lock.panel({"do": "keys", "digits": _CODE + "#"})
    await bench.until(lambda: len(bench.lock.movements) > before and bench.lock.bolt == "unlocked", "opened by code")
    await bench.until(lambda: bench.lock.bolt == "locked", "auto-lock")
    row.tried()


async def _all_records(bench: Bench, row: Row) -> None:
    total = (await bench.lock.panel({"do": "state"}))["records"]
    try:
        await bench.until(lambda: len({item["rec"] for item in bench.records()}) >= total, "all records")
    except AssertionError as err:
        row.check(False, str(err))
    row.check(not [item for item in bench.records() if item["gap"]], "records told as lost")


async def _take_over(bench: Bench) -> None:
    """A stranger connects by the gateway's client id: the broker drops the gateway, which comes back."""
    after = len(bench.gateway.lines)
    host, port = bench.site.mqtt_host, bench.site.mqtt_port
    with contextlib.suppress(aiomqtt.MqttError):
        async with aiomqtt.Client(host, port, identifier="gatehouse-" + bench.gateway.id):
            await asyncio.sleep(1)
    # a connection that did not last counts as a failure: the pause may have grown to its full minute
    await bench.gateway.wait_line("mqtt connected", after=after)
