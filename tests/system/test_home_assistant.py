"""Home Assistant's side of the gateway, over the whole simulated site: what it finds at the broker, and that what it
sends back, rendered from our own templates, does what its button says (home-assistant-discovery.md 8, 11).
"""

import asyncio
import contextlib
import json
import time

import aiomqtt
import pytest

from host_tools.gateway import tls
from host_tools.owner.keybook import KeyBook
from host_tools.sim.site import owner
from host_tools.sim.site.broker import find_mosquitto
from host_tools.sim.site.house import HUB
from host_tools.sim.site.site import Site, SiteSpec
from tests.system.bench import HANG_S
from tests.unit import ha_schema

SITE = {"watched": ("gatehouse/#", "homeassistant/#"), "gateway_settings": {"unsigned_unlock": True}}
BIRTH = "homeassistant/status"


def rendered(template: str, **values) -> str:
    """A command template as Home Assistant renders it; ours use nothing but these expressions."""
    known = {"{{ now().timestamp() }}": "%.6f" % time.time()}
    known |= {"{{ %s }}" % name: str(value) for name, value in values.items()}
    known |= {"{{ %s|int }}" % name: str(value) for name, value in values.items()}
    for expression, value in known.items():
        template = template.replace(expression, value)
    assert "{{" not in template, template
    return template


def topic_of(gateway, device) -> str:
    return "homeassistant/device/%s/gatehouse_%s/config" % (gateway.id, device.id)


async def _newest(bench, device, after: int = 0) -> dict:
    message = await bench.mqtt.wait(lambda m: m.topic == topic_of(bench.gateway, device) and m.text, after=after)
    return [m.value for m in bench.mqtt.messages if m.topic == message.topic and m.text][-1]


async def _has(bench, key: str) -> dict:
    """The component of the shared lock, once the gateway has learnt that there is one."""
    await bench.mqtt.wait(lambda m: m.topic == topic_of(bench.gateway, bench.lock) and '"%s":{' % key in m.text)
    return (await _newest(bench, bench.lock))["cmps"][key]


async def _uses(bench, key: str, **values) -> str:
    """Send what an entity sends."""
    component = await _has(bench, key)
    await bench.mqtt.publish(component["cmd_t"], rendered(component["cmd_tpl"], **values))
    return component["cmd_t"]


def test_f057_the_house_is_found_and_all_of_it_is_what_home_assistant_takes(shared):
    async def story(bench):
        await _has(bench, "lock")
        for device in (bench.gateway, bench.lock):
            topic = topic_of(bench.gateway, device)
            payload = await _newest(bench, device)
            assert ha_schema.faults(payload, topic) == []
            for each in payload["avty"]:  # whoever waits for these two hears of them
                assert (await bench.mqtt.wait(lambda m, t=each["t"]: m.topic == t)).text == "online"
        assert payload["dev"]["name"] == bench.lock.name
        assert payload["dev"]["via_device"] == "gatehouse_" + bench.gateway.id
        async with aiomqtt.Client(bench.site.mqtt_host, bench.site.mqtt_port) as late:  # retained, for who comes later
            await late.subscribe("homeassistant/device/+/+/config", qos=1)
            found = set()
            async for message in late.messages:
                assert message.retain
                found.add(str(message.topic))
                if len(found) == 2:
                    break

    shared.run(story)


def test_f057_what_the_entities_send_does_what_they_say(shared):
    async def story(bench):
        seen = len(bench.mqtt.messages)
        topic = await _uses(bench, "lock", value="UNLOCK")
        assert topic.endswith("/set")
        reply = await bench.mqtt.wait(lambda m: m.topic == bench.topic("rsp") and "ok" in m.value, after=seen)
        assert (reply.value["op"], reply.value["code"]) == ("unlock", "ok")
        told = await bench.mqtt.wait(lambda m: m.topic == bench.topic("trigger"), after=seen)
        assert (told.text, told.retained) == ("unlock/gateway", False)
        trigger = (await _has(bench, "by_gateway"))["pl"]
        assert trigger == told.text
        for key, value, member, wanted in (
            ("autolock", 7, lambda state: state["auto_lock_s"], 7),
            ("sound", "false", lambda state: state["sound"], "off"),
            ("sound", "true", lambda state: state["sound"], "on"),
            ("volume", 2, lambda state: state["settings"].get("volume"), 2),
            ("privacy", "true", lambda state: state["settings"].get("privacy"), True),
            ("privacy", "false", lambda state: state["settings"].get("privacy"), False),
        ):
            seen = len(bench.mqtt.messages)
            await _uses(bench, key, value=value)
            await bench.mqtt.wait(
                lambda m, f=member, w=wanted: m.topic == bench.topic("state") and f(m.value) == w, after=seen
            )
        for key in ("sync", "read_log", "ask"):
            seen = len(bench.mqtt.messages)
            await _uses(bench, key)
            reply = await bench.mqtt.wait(lambda m: m.topic == bench.topic("rsp") and "ok" in m.value, after=seen)
            assert reply.value["ok"], reply.text

    shared.run(story)


def test_f057_home_assistant_starts_anew_and_is_told_once_more(shared):
    async def story(bench):
        await _has(bench, "lock")
        seen = len(bench.mqtt.messages)
        for _ in range(5):  # whoever says so
            await bench.mqtt.publish(BIRTH, "online", retain=True)
        await _newest(bench, bench.gateway, seen)
        await _newest(bench, bench.lock, seen)
        await bench.mqtt.wait(lambda m: m.topic.endswith("/metrics"), after=seen)
        await bench.mqtt.publish(BIRTH, "", retain=True)
        assert (await bench.ask("state"))["ok"]
        topic = topic_of(bench.gateway, bench.gateway)
        assert len([m for m in bench.mqtt.messages[seen:] if m.topic == topic]) == 1

    shared.run(story)


class Hub:
    """Home Assistant's own login at a broker with access rules; keeps what it is told."""

    def __init__(self, client: aiomqtt.Client) -> None:
        self.client = client
        self.heard: list[tuple[str, str]] = []
        self._news = asyncio.Event()

    async def listen(self) -> None:
        async for message in self.client.messages:
            self.heard.append((str(message.topic), bytes(message.payload or b"").decode()))  # type: ignore[arg-type]
            self._news.set()

    async def wait(self, wanted, after: int = 0) -> str:
        """The text of the first message for which `wanted(topic, text)` is true."""
        async with asyncio.timeout(HANG_S):
            while True:
                for topic, text in self.heard[after:]:
                    if wanted(topic, text):
                        return text
                self._news.clear()
                await self._news.wait()


@contextlib.asynccontextmanager
async def _hub(site: Site):
    broker = site.at_broker(HUB)
    assert not isinstance(broker, str) and broker.tls
    async with aiomqtt.Client(
        broker.host,
        broker.port,
        username=broker.user,
        password=broker.password,
        identifier="gatehouse-hub",
        tls_context=tls.context(broker.tls),
    ) as client:
        hub = Hub(client)
        await client.subscribe([("gatehouse/+/#", 1), ("homeassistant/#", 1)])
        task = asyncio.create_task(hub.listen())
        try:
            yield hub
        finally:
            task.cancel()
            await asyncio.wait([task])


@pytest.mark.skipif(not find_mosquitto(), reason="mosquitto is not installed")
def test_f057_a_pin_opens_nothing_else_does_and_a_forgotten_lock_is_gone(tmp_path):
    """Under the access rules of `gatehouse broker`."""

    async def story():
        spec = SiteSpec(gateways=1, locks=1, broker="mosquitto", secure=True, profile="ideal", folder=tmp_path / "site")
        async with Site(spec) as site:
            gateway, lock = site.gateways[0], site.locks[0]
            entry = await owner.pair(site, lock, KeyBook(site.key_book))
            await owner.hand_over(site, gateway, entry)
            topic = topic_of(gateway, lock)
            async with _hub(site) as hub, owner.connect(site) as owners:
                await owners.choose(gateway.id, wait_s=HANG_S)

                async def config(wanted, after=0):
                    return json.loads(
                        await hub.wait(lambda t, text: t == topic and text and wanted(json.loads(text)), after)
                    )

                async def sends(component, **values):
                    before = len(hub.heard)
                    await hub.client.publish(component["cmd_t"], rendered(component["cmd_tpl"], **values), qos=1)
                    return json.loads(
                        await hub.wait(lambda t, text: t.endswith("/rsp") and '"id":null' in text, before)
                    )

                payload = await config(lambda value: "battery" in value["cmps"])
                assert ha_schema.faults(payload, topic) == []
                assert not [each for each in payload["cmps"].values() if each["p"] in ha_schema.CHANGING]
                reply = await sends(payload["cmps"]["lock"], value="UNLOCK")
                assert (reply["code"], lock.movements) == ("forbidden", [])
                await owners.command(gateway.id, None, "pin_set", {"pin": "402913"}, secret=True)
                component = (await config(lambda value: "cod_form" in value["cmps"]["lock"]))["cmps"]["lock"]
                reply = await sends(component, value="UNLOCK", code="402914")
                assert (reply["code"], lock.movements) == ("forbidden", [])
                reply = await sends(component, value="UNLOCK", code="402913")
                assert reply["code"] == "ok" and lock.movements
                assert (await sends(component, value="LOCK", code="0000"))["code"] == "ok"
                assert not [text for _, text in hub.heard if "402913" in text]  # it is in no message of the gateway's
                before = len(hub.heard)
                await owners.forget(gateway.id, entry)
                await hub.wait(lambda t, text: t == topic and not text, before)
            await site.broker.stop()  # it keeps nothing
            await site.broker.start()
            async with _hub(site) as hub:
                await hub.wait(lambda t, text: t == topic_of(gateway, gateway) and text)
                assert not [t for t, _ in hub.heard if lock.id in t]
                before = len(hub.heard)
                async with owner.connect(site) as owners:  # who resets a gateway takes it back, too
                    await owners.choose(gateway.id, wait_s=HANG_S)
                    await owners.command(gateway.id, None, "reset")
                await hub.wait(lambda t, text: t == topic_of(gateway, gateway) and not text, before)

    asyncio.run(story())
