"""`gatehouse --no-wait` over the whole chain: a code for a lock that is away is pending until the lock has it."""

import asyncio
import time

from typer.testing import CliRunner

from host_tools.cli.main import app
from host_tools.owner import names
from tests.system.bench import Bench


def test_a_code_for_a_lock_that_is_away_is_left_to_the_gateway_and_settled_later(tmp_path, monkeypatch):
    async def story():
        async with Bench(tmp_path) as bench:
            monkeypatch.setenv("GATEHOUSE_KEYS", str(bench.book.path))
            monkeypatch.setenv("GATEHOUSE_MQTT", "%s:%d" % (bench.site.mqtt_host, bench.site.mqtt_port))
            monkeypatch.setenv("COLUMNS", "160")

            async def gatehouse(*arguments, input=""):
                result = await asyncio.to_thread(CliRunner().invoke, app, arguments, input=input)
                assert result.exit_code == 0, result.output
                return result.stdout

            def credential():
                (one,) = names.Names(bench.book.find(entry.mac)).credentials
                return one

            entry = await bench.adopt()
            await bench.until_linkless()
            bench.site.radio.faults.sleep(bench.lock.mac, 36000)
            await bench.site.leap(100)
            await bench.until(
                lambda: bench.mqtt.heard(lambda m: m.topic == bench.topic("availability")), "availability"
            )
            began_s = time.monotonic()
            told = await gatehouse("passcode", "add", entry.name, "--name", "Ada", "--no-wait", input="480213\n")
            assert time.monotonic() - began_s < 30, "it was waited for"
            assert "the gateway keeps it as" in told and "knows the passcode" not in told
            ident = credential().pending
            assert ident and ident in told
            assert ident in await gatehouse("jobs", entry.name)

            bench.site.radio.faults.sleep(bench.lock.mac, 0)
            await bench.until(lambda: bench.results(ident), "the result", 60)
            assert bench.results(ident)[0]["ok"]
            assert credential().pending == ident, "nothing was heard of the end here"
            listed = await gatehouse("passcode", "list", entry.name)
            assert "Ada" in listed and "waits" not in listed
            assert (credential().pending, credential().gone) == ("", None)

    asyncio.run(story())
