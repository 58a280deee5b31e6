"""Somebody else with an account at the site's broker: publishes anything, retained or not, and keeps all he hears."""

import asyncio
import contextlib
import json

import aiomqtt

from firmware.lib import envelope, sealed, x25519
from firmware.lib.errors import FirmwareError
from tests.system.bench import Bench

SECRET = bytes(range(7, 39))
PUBLIC = x25519.public_key(SECRET).hex()
KEY = bytes(range(99, 131))
ID = "0badc0de0000"  # of a gateway that he says he is


class Stranger:
    """Async context manager. `answers` maps an operation to what he says to it, of whomever it is asked, before the
    gateway does: a function of topic and request that gives a payload."""

    def __init__(self, bench: Bench) -> None:
        self.heard: list[tuple[str, bytes]] = []
        self.answers: dict = {}
        self._bench = bench
        self._left: set[str] = set()

    async def __aenter__(self) -> "Stranger":
        self._client = aiomqtt.Client(self._bench.site.mqtt_host, self._bench.site.mqtt_port)
        await self._client.__aenter__()
        await self._client.subscribe("gatehouse/#", qos=1)
        self._listening = asyncio.create_task(self._listen())
        return self

    async def __aexit__(self, *exc) -> None:
        with contextlib.suppress(aiomqtt.MqttError):
            for topic in self._left:
                await self._client.publish(topic, b"", qos=1, retain=True)
        self._listening.cancel()
        with contextlib.suppress(asyncio.CancelledError, aiomqtt.MqttError):
            await self._listening
        with contextlib.suppress(aiomqtt.MqttError):
            await self._client.__aexit__(None, None, None)

    async def _listen(self) -> None:
        async for message in self._client.messages:
            topic, payload = str(message.topic), bytes(message.payload or b"")
            if message.retain:
                continue
            self.heard.append((topic, payload))
            if topic.endswith("/cmd"):
                with contextlib.suppress(ValueError, TypeError, KeyError):
                    request = json.loads(payload)
                    say = self.answers.get(request["op"])
                    if say:
                        await self._client.publish(topic[:-3] + "rsp", say(topic, request), qos=1)

    async def leave(self, topic: str, payload: bytes | str | dict, qos: int = 1) -> None:
        """Publish retained; taken back when he goes."""
        self._left.add(topic)
        await self.say(topic, payload, True, qos)

    async def say(self, topic: str, payload: bytes | str | dict, retain: bool = False, qos: int = 1) -> None:
        """Publish."""
        told = json.dumps(payload) if isinstance(payload, dict) else payload
        await self._client.publish(topic, told, qos=qos, retain=retain)

    # --- what he could make of what he heard

    def commands(self) -> list[tuple[str, dict]]:
        """Every command that he heard, with its topic."""
        found = []
        for topic, payload in self.heard:
            if topic.endswith("/cmd"):
                with contextlib.suppress(ValueError):
                    found.append((topic, json.loads(payload)))
        return found

    def can_read(self, topic: str, request: dict) -> bool:
        """Whether he can open sealed arguments."""
        bound = request.get("id"), request.get("op"), topic, request.get("iat")
        try:
            sealed.unseal(request["sealed"], SECRET, bytes.fromhex(PUBLIC), *bound)
        except FirmwareError:
            return False
        return True

    @staticmethod
    def signed(topic: str, request: dict, **said) -> str:
        """An answer under a key of his own."""
        body = {"id": request["id"], "op": request["op"], "ok": True, "code": "ok", **said}
        return str(envelope.sign(KEY, topic[:-3] + "rsp", json.dumps(body)))

    @staticmethod
    def unsigned(topic: str, request: dict, **said) -> str:
        """An answer that nobody proves."""
        return json.dumps({"id": request["id"], "op": request["op"], "ok": True, "code": "ok", **said})
