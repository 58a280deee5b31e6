"""A controller's end of mqtt.md 1: find gateways on a broker, send a command, follow it, wait for its one
result.

Owns the MQTT connection of a command and the sealing of arguments. Leaves the looks of results to the command line.
"""

import asyncio
import contextlib
import json
import secrets
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

import aiomqtt

from firmware.lib import sealed
from firmware.lib.errors import ProtocolError
from firmware.lib.topics import Topics, parse
from host_tools import text
from host_tools.errors import HostError, Interrupted, Pending, Unknown
from host_tools.gateway import brokers, payloads, tls
from host_tools.gateway.records_batch import Batch
from host_tools.owner.keybook import Entry, lock_id

_COMPUTERS = ("linux", "darwin")  # what MicroPython's unix port calls its board
_WATCHED = ("status", "info", "rsp")
_VOLATILE = ("lock", "unlock")
_VALID_S = 30  # a real lock that sleeps or is far away takes many attempts (hardware-facts.md F6)
_SETTLE_S = 0.3  # retained messages arrive together
_MAX_GATEWAYS, _MAX_LOCKS, _MAX_PAGES = 256, 4096, 4096
_WAIT_S = 45  # a gateway gives a command to a sleeping lock 30 s

# What the user can do about a word of domain.md 5.5
_TODO = {
    "expired": "the gateway was busy, or this computer's clock is wrong: try again",
    "no_clock": "the gateway has no time from its NTP server yet; try again in a minute",
    "no_zone": "say where the lock is: gatehouse time zone LOCK --zone Europe/Berlin",
    "rate_limited": "wait a minute, or raise the limit in the gateway's settings",
    "forbidden": "set unsigned_unlock in the gateway's settings to allow commands without a signature",
    "remote_unlock_disabled": "switch it on beside the lock: gatehouse remote-unlock LOCK --on",
    "unknown_lock": "hand its keys over: gatehouse import LOCK",
    "unsupported": "this lock cannot do that",
    "not_near": "the gateway does not hear the lock: check its batteries, or move the gateway nearer",
    "busy": "too many commands at once: try again",
    "link": "the lock could not be reached; try again, or move the gateway nearer",
    "link_timeout": "the lock did not answer; try again, or move the gateway nearer",
    "outcome_unknown": "look at `gatehouse state` before you try again",
    "protocol": "the lock's answers make no sense; look at the gateway's log",
    "auth": "the lock does not accept these keys: it was reset or paired anew",
    "internal": "look at the gateway's log",
}
_REASONS = {
    "exists": "the lock has it already",
    "shared_key": "import the administrator's keys of this lock, or ask who has them",
    "full": "delete one first",
    "jammed": "the bolt did not arrive: look at the door",
    "low_battery": "change the lock's batteries",
    "not_paired": "the lock was reset: pair it again",
}


Watcher = Callable[[str, str, str, str], None]
Progress = Callable[[dict], None]


class _Waiter:
    """For the messages about one request."""

    def __init__(self, op: str, on_progress: Progress | None, is_patient: bool) -> None:
        self.op = op
        self.final: asyncio.Future[dict] = asyncio.get_running_loop().create_future()
        self.kept: dict | None = None  # the first message that says that the gateway keeps the request
        self._on_progress = on_progress
        self._is_patient = is_patient

    def receive(self, value: dict) -> None:
        if self.final.done():
            return
        if "ok" in value:
            self.final.set_result(value)
            return
        data = value.get("data")
        if data is None:
            return
        if "job_state" in data and self.kept is None:
            self.kept = value
        if self._on_progress:
            self._on_progress(data)
        if self.kept is not None and not self._is_patient:
            self.final.set_exception(Pending(self.kept, "not waited for"))


class Gateways:
    """One broker's gateways. Use `connect`."""

    def __init__(self, client: aiomqtt.Client, base: str) -> None:
        self._client = client
        self._base = base
        self._waiting: dict[str, _Waiter] = {}
        self._changed = asyncio.Event()
        self.online: dict[str, bool] = {}
        self.info: dict[str, dict] = {}
        self._watchers: list[tuple[tuple[str, ...], Watcher]] = []
        self.reader = payloads.Reader()
        self._gateways: set[str] = set()
        self._locks: set[str] = set()

    async def watch(self, leaves: tuple[str, ...], watcher: "Watcher", lock: str = "+") -> None:
        """Have `watcher(gateway, lock, leaf, text)` called for messages on these leaves of `lock` (an id, or all)."""
        self._watchers.append((leaves, watcher))
        for leaf in leaves:
            await self._client.subscribe(Topics("+", self._base).lock(lock, leaf), qos=1)

    async def acknowledge(self, gateway: str, lock: str, batch: Batch) -> None:
        """Tell a gateway with `records_ack` = consumer that the records of a batch are kept."""
        text = json.dumps({"epoch": batch.epoch, "from": batch.first, "to": batch.last})
        await self._client.publish(Topics(gateway, self._base).lock(lock, "records/ack"), text, qos=1)

    def is_simulated(self, gateway: str) -> bool:
        """Whether a gateway says of itself that it runs on a computer."""
        return str(self.info.get(gateway, {}).get("board", "")).split(" ")[0] in _COMPUTERS

    async def listen(self) -> None:
        """Receive messages until cancelled; started by `connect`. A broken connection ends what waits for results."""
        try:
            await self._listen()
        except aiomqtt.MqttError as err:
            for ident, waiter in self._waiting.items():
                if waiter.final.done():
                    continue
                text = "the broker went away (%s)" % err
                if waiter.kept is not None:
                    waiter.final.set_exception(Pending(waiter.kept, text))
                else:
                    waiter.final.set_exception(Unknown(ident, text, _TODO["outcome_unknown"]))
            raise

    async def _listen(self) -> None:
        async for message in self._client.messages:
            try:
                gateway, lock, leaf = parse(str(message.topic), self._base)
                text = bytes(message.payload).decode()  # type: ignore[arg-type]
            except (ProtocolError, ValueError, TypeError):
                self.reader.dropped += 1
                continue
            if len(text) > payloads.MAX_BYTES or self._is_full(gateway, lock):
                self.reader.dropped += 1
                continue
            for leaves, watcher in self._watchers:
                if lock and leaf in leaves:
                    watcher(gateway, lock, leaf, text)
            if leaf == "status":
                self.online[gateway] = text == "online"
                self._changed.set()
            elif leaf == "info":
                info = self.reader.message(text, payloads.INFO)
                if info is not None:
                    self.info[gateway] = info
                    self._changed.set()
            elif leaf == "rsp":
                self._receive(text)

    def _is_full(self, gateway: str, lock: str | None) -> bool:
        """Whether this would be one more than anybody has: strangers may publish under any number of ids."""
        for seen, ident, most in ((self._gateways, gateway, _MAX_GATEWAYS), (self._locks, lock or "", _MAX_LOCKS)):
            if ident not in seen and len(seen) >= most:
                return True
            seen.add(ident)
        return False

    def _receive(self, text: str) -> None:
        """A message about a request: read as its operation has it, which the request says and not the message."""
        answer = self.reader.message(text, payloads.ANSWER)
        waiter = self._waiting.get(str(answer.get("id"))) if answer else None
        value = self.reader.message(text, payloads.result(waiter.op)) if waiter else None
        if waiter and value is not None:
            waiter.receive(value)

    async def choose(self, gateway: str = "", lock: str = "", wait_s: float = 3.0) -> str:
        """Id of the gateway asked for, or of the one that knows `lock` (an id), or of the only one there is."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(wait_s):
                while not self._fitting(gateway, lock):
                    self._changed.clear()
                    await self._changed.wait()
                await asyncio.sleep(_SETTLE_S)  # before "the only one" is believed
        fitting = self._fitting(gateway, lock)
        if len(fitting) == 1:
            return fitting[0]
        if fitting:
            shown = ", ".join(map(self.title, fitting))
            raise HostError("bad_request", "several gateways: %s" % shown, "choose one with --gateway NAME")
        if gateway:
            self._demand_known(gateway)
        if lock and any(self.online.values()):
            whose = "gateway %s has not" % gateway if gateway else "no gateway has"
            raise HostError("unknown_lock", "%s the keys of %s" % (whose, lock), "run `gatehouse import` first")
        raise HostError("net", "no gateway is online at this broker", "check its light, and --broker")

    def _fitting(self, gateway: str, lock: str) -> list[str]:
        fitting = [ident for ident in sorted(self.info) if self.online.get(ident) and self._is(ident, gateway)]
        if lock:
            fitting = [name for name in fitting if lock in _locks(self.info[name])]
        return fitting

    def name(self, gateway: str) -> str:
        """What its owner calls a gateway; "" where nobody has named it."""
        return text.tidy(self.info.get(gateway, {}).get("name"))

    def title(self, gateway: str) -> str:
        """Name and id."""
        name = self.name(gateway)
        return "%s (%s)" % (name, gateway) if name else gateway

    def _is(self, ident: str, wanted: str) -> bool:
        """Whether a gateway is meant by an id, or by its whole name; any is by ""."""
        return not wanted or lock_id(wanted) == ident or text.key(wanted) == text.key(self.name(ident)) != ""

    def _demand_known(self, gateway: str) -> None:
        """HostError unless it is the name or id of a gateway that is online."""
        seen = sorted(set(self.info) | set(self.online))
        ident = text.pick(
            gateway if text.key(gateway) else "?",
            seen,
            lambda each: (each, self.name(each)),
            self.title,
            "a gateway",
            "unknown_gateway",
            "see `gatehouse gateway list`",
        )
        if not self.online.get(ident):
            raise HostError("net", "gateway %s is not online" % self.title(ident), "check its light and its Wi-Fi")

    async def command(
        self,
        gateway: str,
        lock: str | None,
        op: str,
        args: dict | None = None,
        secret: bool = False,
        wait_s: float = _WAIT_S,
        on_progress: Progress | None = None,
        is_patient: bool = True,
        on_sending: Callable[[str], None] = lambda ident: None,
    ) -> dict:
        """Send one command and return its result; `secret` seals the arguments. HostError unless the result is ok.

        `on_sending` gets the request's id before anything is sent; what it raises keeps the request from being sent.
        `on_progress` gets the data of messages on the way. Raises Pending for a request that the gateway keeps until
        the lock is near: when its result does not come in time, or at once unless `is_patient`. Raises Unknown where it
        was sent and no result came, Interrupted where the caller was stopped meanwhile.
        """
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
        waiter = self._waiting[ident] = _Waiter(op, on_progress, is_patient)
        try:
            _demand_going_on()
            on_sending(ident)
            await self._client.publish(topic, json.dumps(request), qos=1)
            _demand_going_on()
            async with asyncio.timeout(wait_s):
                result = await asyncio.shield(waiter.final)
        except TimeoutError:
            if waiter.kept is not None:
                raise Pending(waiter.kept, "the lock was not reached in %d s" % wait_s)
            raise Unknown(ident, "no result in %d s" % wait_s, _TODO["outcome_unknown"])
        except asyncio.CancelledError:  # the user waits no longer
            if waiter.final.done():  # it came in the same moment
                result = waiter.final.result()
            elif waiter.kept is not None:
                raise Pending(waiter.kept, "no longer waited for")
            else:
                text = "stopped before the result of %s came; the gateway may be at it" % op
                raise Interrupted(ident, text, _TODO["outcome_unknown"])
        except aiomqtt.MqttCodeError as err:  # the connection is no more, and the message has not left
            raise HostError("net", "broker: %s" % err, "is it still running?")
        except aiomqtt.MqttError as err:
            raise Unknown(ident, "the broker has not confirmed the message: %s" % err, _TODO["outcome_unknown"])
        finally:
            del self._waiting[ident]
        if not result["ok"]:
            raise _refusal(result, op)
        return result

    async def serving(self, lock: str, gateway: str = "", is_patient: bool = True) -> "ServedLock":
        """A lock (an id) at the gateway asked for, or at the one that knows it. Raises as `choose`."""
        return ServedLock(self, await self.choose(gateway, lock), lock, is_patient)

    async def hand_over(self, gateway: str, entry: Entry) -> dict:
        """Import a lock's keys, sealed, into the gateway; its result has the lock's answer."""
        return await self.command(gateway, None, "import", import_args(entry), secret=True)

    async def forget(self, gateway: str, entry: Entry) -> dict:
        """Make the gateway drop a lock's keys."""
        return await self.command(gateway, None, "forget", {"mac": entry.mac})

    async def forget_everywhere(self, entry: Entry) -> list[str]:
        """Make every gateway that is online and serves the lock drop its keys -> their ids."""
        serving = self._fitting("", entry.id)
        for gateway in serving:
            await self.forget(gateway, entry)
        return serving


@dataclass
class ServedLock:
    """A lock as one gateway serves it; `is_patient` as for `Gateways.command`."""

    gateways: Gateways
    gateway: str
    ident: str
    is_patient: bool = True

    async def command(
        self,
        op: str,
        args: dict | None = None,
        secret: bool = False,
        wait_s: float = _WAIT_S,
        on_progress: Progress | None = None,
        on_sending: Callable[[str], None] = lambda ident: None,
    ) -> dict:
        """As `Gateways.command`."""
        return await self.gateways.command(
            self.gateway, self.ident, op, args, secret, wait_s, on_progress, self.is_patient, on_sending
        )

    async def asked(self, op: str, args: dict | None = None, secret: bool = False) -> dict:
        """`data` of the result of an operation; {} when there is none."""
        return (await self.command(op, args, secret)).get("data") or {}

    async def items(
        self, op: str, args: dict | None = None, on_page: Callable[[int], None] = lambda count: None
    ) -> list[dict]:
        """Every item of a list that comes page by page; `on_page` gets the number of those read so far."""
        items: list[dict] = []
        cursor: int | None = 0
        for _ in range(_MAX_PAGES):
            if cursor is None:
                return items
            page = (await self.command(op, {"cursor": cursor, **(args or {})} if cursor else args)).get("data") or {}
            items += page.get("items") or []
            on_page(len(items))
            after = page.get("next")
            if after is not None and after <= cursor:
                break
            cursor = after
        raise HostError("protocol", "the list has no end", "look at the gateway's log")


def import_args(entry: Entry) -> dict:
    """Arguments of `import` (mqtt.md 1): what the gateway needs to act as the lock's admin, and nothing else."""
    return {
        "mac": entry.mac,
        "aes": entry.aes,
        "admin_ps": entry.admin_ps,
        "unlock_key": entry.unlock_key,
        "scene": entry.scene,
        "group": entry.group,
        "org": entry.org,
        "name": entry.name,
        **({"zone": entry.zone_rule} if entry.zone_rule else {}),
    }


def _demand_going_on() -> None:
    """Be stopped where the caller was: `wait_for` of Python 3.11 forgets it when what it waits for comes just then."""
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError


def _refusal(result: dict, op: str) -> HostError:
    code = str(result.get("code") or "protocol")
    data = result.get("data")
    reason = str(data.get("reason") or "") if isinstance(data, dict) else ""
    text = str(result.get("msg") or op)
    if reason and reason not in text:
        text = "%s (%s)" % (text, reason)
    return HostError(code, text, _REASONS.get(reason, _TODO.get(code, "")), reason, result.get("ttlock"))


def _locks(info: dict) -> list[str]:
    return [lock["mac"].replace(":", "") for lock in info.get("locks") or []]


@contextlib.asynccontextmanager
async def connect(
    broker: brokers.Broker | brokers.Given | str = "",
    base: str = "gatehouse",
    login: tuple[str, str] | None = None,
) -> AsyncIterator[Gateways]:
    """Connected to `broker` (as `brokers` chooses it) and listening.

    User and password: `login`, else those that `brokers` knows. How the connection ends changes nothing of what was
    done over it. Faults of TLS have the codes of `tls.FAULTS`.
    """
    if not isinstance(broker, brokers.Broker):
        broker = brokers.choose(broker)
    trusted = tls.context(broker.tls) if broker.tls else None
    user, password = login or (broker.user, broker.password)
    failure = "broker %s: %%s" % str(broker).replace("%", "%%"), "is it running? give --broker host:port"
    client = aiomqtt.Client(
        broker.host,
        broker.port,
        username=user,
        password=password,
        identifier="gatehouse-" + secrets.token_hex(8),
        tls_context=trusted,
    )
    try:
        await client.__aenter__()
    except (aiomqtt.MqttError, OSError, ValueError) as err:
        if trusted:
            code = await asyncio.to_thread(tls.diagnose, broker.host, broker.port, trusted)
            if code:
                raise tls.fault(code, broker)
        raise HostError("net", failure[0] % err, failure[1])
    listening = None
    try:
        gateways = Gateways(client, base)
        topics = Topics("+", base)
        for pattern in [topics.gateway(leaf) for leaf in _WATCHED] + [topics.lock("+", "rsp")]:
            await client.subscribe(pattern, qos=1)
        listening = asyncio.create_task(gateways.listen())
        yield gateways
    except aiomqtt.MqttError as err:
        raise HostError("net", failure[0] % err, failure[1])
    finally:
        if listening is not None:
            listening.cancel()
            with contextlib.suppress(asyncio.CancelledError, aiomqtt.MqttError):
                await listening
        with contextlib.suppress(aiomqtt.MqttError, OSError):
            await client.__aexit__(None, None, None)
