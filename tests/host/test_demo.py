"""The demo believes its witnesses, and they count right. Whole runs of the demo are in tests/system."""

import asyncio
import io
import json

import pytest
from rich.console import Console

from host_tools import demo


def quiet():
    return Console(file=io.StringIO(), width=200)


def test_a_step_that_did_not_happen_is_not_counted():
    story = demo.Story(quiet())
    with story.step("one"):
        story.saw("it")
    with pytest.raises(demo.NotTrue) as caught, story.step("two"):
        demo.require(False, "it was dark")
    assert str(caught.value) == "two: it was dark"
    assert [row[:2] for row in story.rows] == [("one", "it")]


def test_waiting_ends_with_what_was_seen_instead():
    with pytest.raises(demo.NotTrue, match="still shut"):
        asyncio.run(demo.until(lambda: False, 0.05, "still shut"))


@pytest.mark.parametrize("has_tls", [True, False])
@pytest.mark.parametrize("mosquitto", ["/usr/sbin/mosquitto", None])
@pytest.mark.parametrize("asked", ["", "iotcore", "mosquitto"])
def test_the_broker_is_the_best_that_there_is_and_never_lets_unsigned_commands_open(
    has_tls, mosquitto, asked, monkeypatch
):
    monkeypatch.setattr(demo, "has_tls", lambda: has_tls)
    monkeypatch.setattr(demo, "find_mosquitto", lambda: mosquitto)
    spec = demo.spec_of(asked)
    assert spec.secure == has_tls and not spec.is_unsigned
    assert spec.broker == (asked or ("mosquitto" if mosquitto and has_tls else "iotcore"))


class Gateways:
    """Hands out batches and takes acknowledgements."""

    def __init__(self):
        self.acknowledged = []

    async def watch(self, leaves, watcher):
        self.tell = watcher

    def proven(self, gateway, lock, text):
        return "forged" not in text

    async def acknowledge(self, gateway, lock, batch):
        self.acknowledged.append((gateway, lock, batch.epoch, batch.first, batch.last))


def test_the_witness_tells_repeats_from_new_records_and_acknowledges_all():
    async def work():
        gateways, witness = Gateways(), demo.Witness()
        await witness.attach(gateways)
        items = [{"rec": number, "type": 4} for number in (1, 2)]
        for epoch, gap in ((1, 0), (1, 0), (2, 5)):
            batch = {"epoch": epoch, "from": 1, "to": 2, "gap": gap, "items": items}
            gateways.tell("gw", "lock", "records", json.dumps(batch))
        gateways.tell("gw", "lock", "records", json.dumps({**batch, "forged": 1, "from": 3, "gap": 9}))
        await asyncio.sleep(0)
        assert witness.unproven == 1
        assert (witness.count("lock"), witness.repeats("lock"), witness.lost) == (4, 2, 5)
        assert (witness.of_type("lock", 4), witness.of_type("lock", 7), witness.count("other")) == (4, 0, 0)
        assert gateways.acknowledged == [("gw", "lock", epoch, 1, 2) for epoch in (1, 1, 2)]

    asyncio.run(work())
