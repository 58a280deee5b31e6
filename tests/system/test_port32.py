"""Both images on a port with 32-bit objects, the oldest MicroPython that they run on, from flash and frozen in."""

import asyncio

import pytest

from host_tools.boards import fetch32, frozen
from host_tools.boards.debian import Unavailable
from tests.system.bench import Bench


@pytest.mark.skipif(not fetch32.find32(), reason="set-up found no 32-bit MicroPython for this machine")
@pytest.mark.parametrize("build", ["stock", "frozen"])
def test_both_images_unlock_on_32_bit_objects(build, tmp_path, monkeypatch):
    monkeypatch.setenv("GATEHOUSE_MICROPYTHON", str(fetch32.find32()))
    monkeypatch.setenv("GATEHOUSE_BUILD", build)
    if build == "frozen":
        try:
            frozen.build()
        except Unavailable as err:
            pytest.skip(str(err))

    async def story():
        async with Bench(tmp_path) as bench:
            await bench.adopt()
            before = len(bench.lock.movements)
            assert (await bench.ask("autolock_set", {"seconds": 0}))["code"] == "ok"
            for op in ("unlock", "lock"):
                result = await bench.ask(op)
                assert result["ok"] and result["code"] == "ok", result
            assert bench.moves(since=before) == [("locked", "unlocked"), ("unlocked", "locked")]
            await bench.until(lambda: len(bench.records()) >= 2, "records of both")
            told = await bench.mqtt.wait(lambda m: m.topic == "gatehouse/%s/info" % bench.gateway.id)
            assert told.value["micropython"].startswith("1.25")
            state = await bench.lock.panel({"do": "state"})
            assert (state["bolt"], state["records"]) == ("locked", 2), state
            assert not bench.gateway.crashes and not bench.lock.crashes

    asyncio.run(story())
