"""A controller's end of DESIGN 4: find gateways on a broker, send a command, wait for its one result.

Owns the MQTT connection of a command and the sealing of arguments. Leaves the looks of results to the command line.
"""

import asyncio
import contextlib
import json
import os
import secrets
import time
from collections.abc import AsyncIterator

import aiomqtt

from firmware.lib import sealed
from firmware.lib.errors import ProtocolError
from firmware.lib.topics import Topics, parse
from host_tools.errors import HostError

ENVIRONMENT = "GATEHOUSE_MQTT"
_WATCHED = ("status", "info", "rsp")
_VOLATILE = ("lock", "unlock")
_VALID_S = 10


class Gateways:
    """One broker's gateways. Use `connect`."""

    def __init__(self, client: aiomqtt.Client, base: str) -> None:
        self._client = client
        self._base = base
        self._waiting: dict[str, asyncio.Future[dict]] = {}
        self._changed = asyncio.Event()
        self.online: dict[str, bool] = {}
        self.info: dict[str, dict] = {}

    async def listen(self) -> None:
        """Take messages until cancelled; started by `connect`."""
        async for message in self._client.messages:
            try:
                gateway, _, leaf = parse(str(message.topic), self._base)
                text = bytes(message.payload).decode()  # type: ignore[arg-type]
                if leaf == "status":
                    self.online[gateway] = text == "online"
                    self._changed.set()
                    continue
                value = json.loads(text)
            except (ProtocolError, ValueError, TypeError):
                continue
            if leaf == "info" and isinstance(value, dict):
                self.info[gateway] = value
                self._changed.set()
            elif leaf == "rsp" and isinstance(value, dict):
                waiter = self._waiting.get(str(value.get("id")))
                if waiter and not waiter.done():
                    waiter.set_result(value)

    async def choose(self, gateway: str = "", lock: str = "", wait_s: float = 3.0) -> str:
        """Id of the gateway asked for, or of the one that knows `lock` (an id), or of the only one there is."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(wait_s):
                while not self._fitting(gateway, lock):
                    self._changed.clear()
                    await self._changed.wait()
                await asyncio.sleep(0.3)  # let the other retained messages arrive before "the only one" is believed
        fitting = self._fitting(gateway, lock)
        if len(fitting) == 1:
            return fitting[0]
        if fitting:
            raise HostError("bad_request", "several gateways: %s" % ", ".join(fitting), "choose one with --gateway")
        if lock and any(self.online.values()):
            raise HostError("unknown_lock", "no gateway has the keys of %s" % lock, "run `gatehouse import` first")
        raise HostError("net", "no gateway is online at this broker", "check its light, and --broker")

    def _fitting(self, gateway: str, lock: str) -> list[str]:
        found = [name for name in sorted(self.info) if self.online.get(name) and gateway in ("", name)]
        if lock:
            found = [name for name in found if lock in _locks(self.info[name])]
        return found

    async def command(
        self,
        gateway: str,
        lock: str | None,
        op: str,
        args: dict | None = None,
        secret: bool = False,
        wait_s: float = 30,
    ) -> dict:
        """Send one command and return its result; `secret` seals the arguments. HostError unless the result is ok."""
        ident = secrets.token_hex(8)
        request: dict = {"id": ident, "op": op}
        if op in _VOLATILE:
            request["exp"] = int(time.time()) + _VALID_S
        if secret:
            key = self.info.get(gateway, {}).get("x25519")
            if not key:
                raise HostError("unsupported", "gateway %s publishes no key to seal with" % gateway, "update it")
            request["sealed"] = sealed.seal(json.dumps(args or {}).encode(), bytes.fromhex(key), ident, op)
        elif args:
            request["args"] = args
        topics = Topics(gateway, self._base)
        topic = topics.lock(lock, "cmd") if lock else topics.gateway("cmd")
        waiter = self._waiting[ident] = asyncio.get_running_loop().create_future()
        try:
            await self._client.publish(topic, json.dumps(request), qos=1)
            result = await asyncio.wait_for(waiter, wait_s)
        except TimeoutError:
            raise HostError("outcome_unknown", "no result in %d s" % wait_s, "look at `gatehouse state`")
        except aiomqtt.MqttError as err:
            raise HostError("net", "broker: %s" % err)
        finally:
            del self._waiting[ident]
        if not result.get("ok"):
            raise HostError(str(result.get("code")), str(result.get("msg") or op))
        return result


def _locks(info: dict) -> list[str]:
    return [str(lock.get("mac", "")).replace(":", "") for lock in info.get("locks") or [] if isinstance(lock, dict)]


def _password() -> str | None:
    path = os.environ.get("GATEHOUSE_MQTT_PASSWORD_FILE")
    if path:
        try:
            with open(path) as file:
                return file.read().strip()
        except OSError as err:
            raise HostError("config", "cannot read %s: %s" % (path, err.strerror))
    return os.environ.get("GATEHOUSE_MQTT_PASSWORD")


@contextlib.asynccontextmanager
async def connect(broker: str = "", base: str = "gatehouse") -> AsyncIterator[Gateways]:
    """Connected to `broker` (host[:port], else $GATEHOUSE_MQTT, else localhost) and listening.

    User and password: $GATEHOUSE_MQTT_USER, $GATEHOUSE_MQTT_PASSWORD_FILE or $GATEHOUSE_MQTT_PASSWORD.
    """
    address = broker or os.environ.get(ENVIRONMENT) or "localhost"
    host, _, port = address.partition(":")
    if port and not port.isdigit():
        raise HostError("config", "%r is no broker address" % address, "write host:port")
    user = os.environ.get("GATEHOUSE_MQTT_USER")
    try:
        async with aiomqtt.Client(host, int(port or 1883), username=user, password=_password()) as client:
            gateways = Gateways(client, base)
            topics = Topics("+", base)
            filters = [topics.gateway(leaf) for leaf in _WATCHED] + [topics.lock("+", "rsp")]
            for pattern in filters:
                await client.subscribe(pattern, qos=1)
            listening = asyncio.create_task(gateways.listen())
            try:
                yield gateways
            finally:
                listening.cancel()
                with contextlib.suppress(asyncio.CancelledError, aiomqtt.MqttError):
                    await listening
    except aiomqtt.MqttError as err:
        raise HostError("net", "broker %s: %s" % (address, err), "is it running? give --broker host:port")
