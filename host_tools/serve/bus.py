"""A connection to the broker that comes back: MQTT 5, a clean session, with pauses that grow while there is none.

Owns connecting, subscribing and publishing. What arrives waits in a queue of bounded length; what finds no room is
dropped, for a record that was not acknowledged comes again from its gateway, and what is retained comes at the next
connection.
"""

import asyncio
import contextlib
import logging
import random
import secrets
from collections.abc import Awaitable, Callable

import aiomqtt

from host_tools.errors import HostError
from host_tools.gateway import tls
from host_tools.gateway.brokers import Broker

Handler = Callable[[list[aiomqtt.Message]], Awaitable[None]]

_PAUSE_S, _MAX_PAUSE_S = 1.0, 60.0
_LASTING_S = 60.0  # a connection that lasted so long was a good one
_ANSWER_S = 60.0
_MAX_GROUP = 256


class Bus:
    """`run` until cancelled: subscribes to `filters`, gives what arrives in groups to `handler`. `changed(error)` hears
    of each connection ("") and each failure (its text)."""

    def __init__(
        self, broker: Broker, filters: list[str], handler: Handler, changed: Callable[[str], None], depth: int = 2048
    ) -> None:
        self._broker = broker
        self._filters = filters
        self._handler = handler
        self._changed = changed
        self._depth = depth
        self._client: aiomqtt.Client | None = None

    async def run(self) -> None:
        """Connected for as long as that is possible, for ever."""
        loop = asyncio.get_running_loop()
        pause_s = _PAUSE_S
        while True:
            began = loop.time()
            try:
                async with self.connected() as client:
                    await self._take(client)
            except (aiomqtt.MqttError, OSError, ValueError) as error:
                failure = "broker %s: %s" % (self._broker, error)
            except HostError as error:
                failure = error.line()
            self._client = None
            self._changed(failure)
            pause_s = _PAUSE_S if loop.time() - began > _LASTING_S else min(2 * pause_s, _MAX_PAUSE_S)
            await asyncio.sleep(pause_s * random.uniform(0.5, 1.0))  # not all instances in the same moment

    @contextlib.asynccontextmanager
    async def connected(self):  # type: ignore[no-untyped-def]
        """One connection with its subscriptions. HostError for what the broker refuses, MqttError, OSError."""
        client = aiomqtt.Client(
            self._broker.host,
            self._broker.port,
            username=self._broker.user,
            password=self._broker.password,
            identifier="gatehouse-serve-" + secrets.token_hex(8),
            tls_context=tls.context(self._broker.tls) if self._broker.tls else None,
            protocol=aiomqtt.ProtocolVersion.V5,
            clean_start=True,
            keepalive=30,
            max_queued_incoming_messages=self._depth,
            logger=_quiet(),
        )
        async with client:
            codes = await client.subscribe([(each, _options()) for each in self._filters], timeout=_ANSWER_S)
            refused = [each for each, code in zip(self._filters, codes, strict=True) if _is_refusal(code)]
            if refused:
                raise HostError("net", "the broker refuses to tell %s" % ", ".join(refused), "look at its access rules")
            self._client = client
            self._changed("")
            yield client

    async def _take(self, client: aiomqtt.Client) -> None:
        messages = client.messages
        async for message in messages:
            group = [message]
            while len(messages) and len(group) < _MAX_GROUP:
                group.append(await anext(messages))
            await self._handler(group)

    async def publish(self, sent: list[tuple[str, str]]) -> int:
        """Publish (topic, payload) each -> how many the broker has confirmed; the others are lost."""
        client = self._client
        if client is None:
            return 0
        publishing = [client.publish(topic, text, qos=1, timeout=_ANSWER_S) for topic, text in sent]
        results = await asyncio.gather(*publishing, return_exceptions=True)
        return sum(not isinstance(each, BaseException) for each in results)


def _options() -> aiomqtt.client.SubscribeOptions:
    from paho.mqtt.subscribeoptions import SubscribeOptions

    return SubscribeOptions(qos=1)


def _is_refusal(code: object) -> bool:
    return bool(getattr(code, "is_failure", False)) or (isinstance(code, int) and code >= 0x80)


def _quiet() -> logging.Logger:
    made = logging.getLogger("gatehouse.mqtt")
    made.setLevel(logging.CRITICAL)  # what it would tell is counted or told by us
    return made
