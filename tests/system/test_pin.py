"""The PIN of hubs over the whole chain: a house's own broker by TLS, its hub with an identity there, and payloads as
Home Assistant's MQTT lock renders them (mqtt.md 2.2)."""

import asyncio
import json
import re

import aiomqtt
import pytest

from host_tools.gateway import tls
from host_tools.sim.site import owner
from host_tools.sim.site.broker import find_mosquitto
from host_tools.sim.site.house import HUB
from host_tools.sim.site.site import Site, SiteSpec
from tests.micropython import ROOT

PIN = "402913"
HANG_S = 120
(TEMPLATE,) = re.findall(r'`(\{"do":"\{\{ value \}\}".*?\})`', (ROOT / "docs/spec/mqtt").with_suffix(".md").read_text())


def rendered(value: str, code: object) -> str:
    """What Home Assistant publishes for `payload_lock` or `payload_unlock`; without a code it has None."""
    return TEMPLATE.replace("{{ value }}", value).replace("{{ code }}", str(code))


class Hub:
    """Publishes on `…/set`, and hears results and events."""

    def __init__(self, client: aiomqtt.Client, base: str) -> None:
        self._client = client
        self._base = base
        self.events: list[str] = []

    async def ask(self, value: str, code: object) -> tuple[str, str | None]:
        """(code, reason) of the one result."""
        await self._client.publish(self._base + "set", rendered(value, code), qos=1)
        async with asyncio.timeout(HANG_S):
            async for message in self._client.messages:
                told = json.loads(bytes(message.payload))
                if str(message.topic) == self._base + "event":
                    self.events.append(told["method"])
                elif told["id"] is None:
                    assert told["op"] == value.lower()
                    return told["code"], (told.get("data") or {}).get("reason")
        raise AssertionError("the connection ended")


@pytest.mark.skipif(not find_mosquitto(), reason="mosquitto is not installed")
def test_a_hub_unlocks_by_pin_over_tls_until_five_wrong_ones_shut_it(tmp_path) -> None:
    async def story() -> None:
        spec = SiteSpec(locks=1, broker="mosquitto", secure=True, profile="ideal", seed=1, folder=tmp_path / "site")
        async with Site(spec) as site:
            await owner.adopt_all(site)
            gateway, lock = site.gateways[0], site.locks[0]
            place = site.at_broker(HUB)
            assert not isinstance(place, str) and place.tls
            base = "gatehouse/%s/lock/%s/" % (gateway.id, lock.id)

            def opened() -> int:
                return sum(move[2] == "unlocked" for move in lock.movements)

            async with (
                owner.connect(site) as gateways,
                aiomqtt.Client(
                    place.host, place.port, identifier="gatehouse-hub", tls_context=tls.context(place.tls)
                ) as client,
            ):
                await client.subscribe([(base + "rsp", 1), (base + "event", 1)])
                hub = Hub(client, base)
                assert await hub.ask("UNLOCK", PIN) == ("forbidden", None)
                await gateways.choose(gateway.id, wait_s=HANG_S)
                assert (await gateways.command(gateway.id, None, "pin_set", {"pin": PIN}))["ok"]
                assert await hub.ask("UNLOCK", PIN) == ("ok", None)
                assert await hub.ask("LOCK", None) == ("ok", None)
                assert opened() == 1
                for _ in range(5):
                    assert await hub.ask("UNLOCK", "402914") == ("forbidden", "wrong_pin")
                assert await hub.ask("UNLOCK", PIN) == ("rate_limited", "pin_shut")
                assert await hub.ask("LOCK", None) == ("ok", None)
                assert opened() == 1
                assert [each for each in hub.events if "pin" in each] == ["wrong_pin"] * 4 + ["pin_shut"]
                assert (await gateways.command(gateway.id, lock.id, "unlock"))["ok"]
                assert opened() == 2
                assert (await gateways.command(gateway.id, None, "pin_set", {"pin": PIN}))["ok"]  # it forgives
                assert await hub.ask("UNLOCK", PIN) == ("ok", None)
            assert PIN not in gateway.log_path.read_text()

    asyncio.run(story())
