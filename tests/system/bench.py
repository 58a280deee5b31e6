"""The bench of the behaviour suite: one simulated site, an MQTT observer, and the owner's tool to pair locks with.

Tests ask in the words of the project (lock, gateway, command, movement). What moved is told by the site's mechanics,
which know nothing of the firmware; what was said is told by the broker.
"""

import asyncio
import contextlib
import json
import os
import secrets
import time
from collections.abc import Callable
from pathlib import Path

import aiomqtt

from firmware.lib import envelope
from host_tools.gateway.records_batch import read_batch
from host_tools.gateway.signing import Signer
from host_tools.near import lock_link, sightings
from host_tools.owner.keybook import Entry, KeyBook
from host_tools.sim.ble import bleak_air
from host_tools.sim.board.board import Board
from host_tools.sim.site import owner
from host_tools.sim.site.site import Site, SiteSpec
from tests.system import owner_signs
from tests.system.owner_signs import OwnerSigns

SOAK = bool(os.environ.get("GATEHOUSE_SOAK"))  # the full counts of `make soak`
HANG_S = 120  # every wait's deadline: nothing takes so long, however busy the machine is
ADVERT_S = 0.4  # between two advertisements of a lock that is awake
UNLIMITED = {"unlock_per_min": 10000, "unlock_per_h": 100000, "other_per_min": 10000}


class Message:
    """One MQTT message: its topic below the base, its text, whether it was retained."""

    def __init__(self, topic: str, text: str, retained: bool) -> None:
        self.topic = topic
        self.text = text
        self.retained = retained

    @property
    def value(self):
        """The text as JSON."""
        return json.loads(self.text)


class Observer:
    """Hears what is `watched` on the broker, connects again when the broker comes back, and publishes. While
    `is_recorder` it says `ack(batch)` of each batch of records, that it is kept, as a consumer does (mqtt.md 2)."""

    def __init__(
        self,
        host: str,
        port: int,
        ack: Callable[[Message], str] | None = None,
        watched: tuple[str, ...] = ("gatehouse/#",),
    ) -> None:
        self._address = (host, port)
        self._watched = [(topic, 1) for topic in watched]
        self._ack = ack
        self.is_recorder = ack is not None
        self._client: aiomqtt.Client | None = None
        self._ready = asyncio.Event()
        self._news = asyncio.Condition()
        self.messages: list[Message] = []
        self._is_closed = False
        self._task = asyncio.create_task(self._run())

    async def _run(self) -> None:
        while not self._is_closed:  # a client that was cancelled may end with MqttError instead
            with contextlib.suppress(aiomqtt.MqttError, OSError):
                async with aiomqtt.Client(*self._address) as client:
                    await client.subscribe(self._watched)
                    self._client = client
                    self._ready.set()
                    async for message in client.messages:
                        text = bytes(message.payload or b"").decode(errors="replace")
                        self.messages.append(Message(str(message.topic), text, bool(message.retain)))
                        if self._ack and self.is_recorder and str(message.topic).endswith("/records"):
                            await client.publish("%s/ack" % message.topic, self._ack(self.messages[-1]), qos=1)
                        async with self._news:
                            self._news.notify_all()
            self._ready.clear()
            await asyncio.sleep(0.2)

    async def close(self) -> None:
        self._is_closed = True
        while not self._task.done():  # asyncio.wait_for of Python 3.11 may swallow a cancellation
            self._task.cancel()
            await asyncio.wait([self._task], timeout=1)
        if not self._task.cancelled():
            self._task.result()

    async def publish(self, topic: str, payload, retain: bool = False) -> None:
        """Publish at QoS 1; a dict goes as JSON."""
        await asyncio.wait_for(self._ready.wait(), HANG_S)
        assert self._client
        text = payload if isinstance(payload, (str, bytes)) else json.dumps(payload)
        await self._client.publish(topic, text, qos=1, retain=retain)

    def heard(self, wanted: Callable[[Message], bool]) -> list[Message]:
        """All messages so far that `wanted` accepts."""
        return [message for message in self.messages if wanted(message)]

    async def wait(self, wanted: Callable[[Message], bool], timeout_s: float = HANG_S, after: int = 0) -> Message:
        """The first accepted message among those that came after the first `after`."""
        deadline = time.monotonic() + timeout_s
        while True:
            for message in self.messages[after:]:
                if wanted(message):
                    return message
            left_s = deadline - time.monotonic()
            if left_s <= 0:
                raise AssertionError("no such message within %g s" % timeout_s)
            async with self._news:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._news.wait(), left_s)


class Bench:
    """Async context manager around a site; see the module's docstring."""

    def __init__(self, folder: Path, watched: tuple[str, ...] = ("gatehouse/#",), **spec) -> None:
        self._watched = watched
        spec.setdefault("profile", "ideal")
        spec.setdefault("seed", 1)
        spec.setdefault("locks", 1)
        spec["gateway_settings"] = UNLIMITED | spec.get("gateway_settings", {})
        self.site = Site(SiteSpec(folder=folder / "site", **spec))
        self.book = KeyBook(folder / "site" / "keys.json")

    async def __aenter__(self) -> "Bench":
        await self.site.__aenter__()
        print("seed", self.site.seed)
        self._use_air()
        self.unproven: list[str] = []  # batches of records without their mac
        self.mqtt = Observer(self.site.mqtt_host, self.site.mqtt_port, self.ack, self._watched)
        self.signs = OwnerSigns(self.site, self.mqtt)
        return self

    async def __aexit__(self, *exc) -> None:
        await self.mqtt.close()
        for board in self.site.boards:
            print("crashes of %s: %s" % (board.name, board.crashes))
        if exc[0]:
            self.print_lines()
        await self.site.__aexit__(*exc)
        assert not self.unproven, "batches without a mac: %s" % self.unproven[:2]

    def print_lines(self) -> None:
        """The last lines of every board, for a test that has failed."""
        for board in self.site.boards:
            print("--- %s\n%s" % (board.name, "\n".join(list(board.lines)[-60:])))

    @property
    def gateway(self) -> Board:
        return self.site.gateways[0]

    @property
    def lock(self) -> Board:
        return self.site.locks[0]

    def topic(self, leaf: str, lock: Board | None = None, gateway: Board | None = None) -> str:
        """A topic of the first gateway's, or of another's, about a lock."""
        return "gatehouse/%s/lock/%s/%s" % ((gateway or self.gateway).id, (lock or self.lock).id, leaf)

    # --- the owner beside the lock

    async def pair(self, lock: Board | None = None, remote_unlock: bool = True) -> Entry:
        """Touch the lock and pair with it, as `gatehouse pair` does."""
        self._use_air()
        return await owner.pair(self.site, lock or self.lock, self.book, remote_unlock)

    def _use_air(self) -> None:
        """bleak has one air at a time; another bench may have been there."""
        bleak_air.install(self.site.radio.hci_port)

    @contextlib.asynccontextmanager
    async def beside(self, entry: Entry):
        """A local link to a paired lock, logged in as its administrator."""
        self._use_air()
        found = await sightings.scan(lambda heard: heard.mac == entry.mac, HANG_S)
        assert found, "%s is not heard" % entry.mac
        async with lock_link.connect(found, bytes.fromhex(entry.aes)) as link:
            await link.login(entry.admin_ps, entry.unlock_key)
            yield link

    async def adopt(self, lock: Board | None = None, remote_unlock: bool = True) -> Entry:
        """Pair, then hand the keys to the gateway."""
        entry = await self.pair(lock, remote_unlock)
        await self.hand_over(entry)
        return entry

    async def hand_over(self, entry: Entry) -> None:
        """Hand the keys of a paired lock to the gateway."""
        await owner.hand_over(self.site, self.gateway, entry)
        await self.gateway.wait_line("clock synced", HANG_S)  # `exp` and drift mean nothing before

    # --- the owner at MQTT

    async def ask(
        self,
        op: str,
        args: dict | None = None,
        lock: Board | None = None,
        timeout_s: float = HANG_S,
        gateway: Board | None = None,
        signed: bool = True,
        **more,
    ):
        """Send a command and return its one result. It is signed, by the owner, and so must be the result."""
        ident = owner_signs.id_of(more.pop("id", None) or secrets.token_hex(16))
        request = {"id": ident, "op": op} | ({"args": args} if args is not None else {}) | more
        topic = self.topic("rsp", lock, gateway)
        for tries in range(3):
            seen = len(self.mqtt.messages)
            await self.send(request, lock, gateway, signed)
            reply = await self.mqtt.wait(
                lambda m: m.topic == topic and m.value["id"] == ident and "ok" in m.value, timeout_s, seen
            )
            if not signed or reply.value["code"] not in owner_signs.AGAIN or tries == 2:
                break
            self.signs.end(gateway or self.gateway)
        assert not signed or self.is_proven(reply, gateway), reply.text
        return reply.value

    async def send(
        self, request: dict, lock: Board | None = None, gateway: Board | None = None, signed: bool = True
    ) -> None:
        """Publish a command, signed by the owner; its id is `id_of` what `request` calls it."""
        request = request | {"id": owner_signs.id_of(request["id"])}
        sent: dict | str = request
        if signed:
            is_long = request["op"] in owner_signs.LONG
            sent = await self.signs.sign(gateway or self.gateway, (lock or self.lock).id, request, is_long)
        await self.mqtt.publish(self.topic("cmd", lock, gateway), sent)

    def is_proven(self, message: Message, gateway: Board | None = None) -> bool:
        """Whether a message was made by the gateway for its owner."""
        (pin,) = [each for each in self.site.pins() if each.id == (gateway or self.gateway).id]
        return envelope.verify(pin.command_key, message.topic, message.text.encode())

    def ack(self, message: Message) -> str:
        """What a recorder of the owner's says when it has kept a batch."""
        _, gateway, _, lock, _ = message.topic.split("/")
        (pin,) = [each for each in self.site.pins() if each.id == gateway]
        signer = Signer(pin, now_s=self.site.now)
        if not signer.proves_records(lock, message.text.encode()):
            self.unproven.append(message.text)
        return str(signer.acknowledgement(lock, read_batch(message.text)))

    def results(self, ident: str | None, lock: Board | None = None) -> list[dict]:
        """Every result so far with this id."""
        return [value for value in self._told(ident, lock) if "ok" in value]

    def progress(self, ident: str, lock: Board | None = None) -> list[dict]:
        """`data` of every message so far on the way to the result with this id."""
        return [value["data"] for value in self._told(ident, lock) if "ok" not in value]

    def _told(self, ident: str | None, lock: Board | None) -> list[dict]:
        topic = self.topic("rsp", lock)
        wanted = (ident, ident and owner_signs.id_of(ident))  # as a stranger wrote it, and as the owner signed it
        return [m.value for m in self.mqtt.messages if m.topic == topic and m.value["id"] in wanted]

    def records(self, lock: Board | None = None) -> list[dict]:
        """Every record so far, as (epoch, item) pairs flattened, doubles included."""
        found = []
        for message in self.mqtt.messages:
            if message.topic == self.topic("records", lock):
                batch = message.value
                found += [{"epoch": batch["epoch"], "gap": batch.get("gap"), **item} for item in batch["items"]]
        return found

    # --- evidence

    def moves(self, lock: Board | None = None, since: int = 0) -> list[tuple[str, str]]:
        """What the bolt did, by the mechanics: (from, to) of every movement after the first `since`."""
        return [(move[1], move[2]) for move in (lock or self.lock).movements[since:]]

    async def until(self, true: Callable[[], object], what: str, timeout_s: float = HANG_S) -> None:
        """Wait for something that no message tells."""
        deadline = time.monotonic() + timeout_s
        while not true():
            assert time.monotonic() < deadline, "not within %g s: %s" % (timeout_s, what)
            await asyncio.sleep(0.02)

    async def until_linkless(self) -> None:
        """Wait until nobody is connected to anybody. The next link may come up at once: no preparation for a leap."""
        await self.until(lambda: not self.site.radio.links_up(), "all links down")

    async def until_at_rest(self, *bolts: str, lock: Board | None = None) -> None:
        """Wait until the lock itself says that its bolt is here: it must rest a moment to be believed."""
        lock = lock or self.lock
        async with asyncio.timeout(HANG_S):
            while (await lock.panel({"do": "state"}))["bolt"] not in bolts:
                pass

    @contextlib.contextmanager
    def soon(self, seconds: float, lock: Board | None = None):
        """What is waited for inside has to happen before the lock has advertised itself for so long.

        The limit is in the lock's advertisements, not in seconds: a machine that is busy is late with them, too.
        """
        mac = (lock or self.lock).mac
        before = self.site.radio.adverts(mac)
        yield
        count = self.site.radio.adverts(mac) - before
        print("after %d advertisements" % count)
        assert count * ADVERT_S <= seconds, "%d advertisements, more than %g s of them" % (count, seconds)

    async def leap(self, seconds: float) -> None:
        """Let time pass, see `Site.leap`; returns when the gateways that were at the broker answer there again.

        A leap over its keepalive ends a gateway's connection to the broker, and with it what was asked meanwhile.
        """
        there = [each for each in self.site.gateways if each.is_running and self._is_there(each)]
        await self.site.leap(seconds)
        for gateway in there:
            await self.until_answers(gateway)

    def _is_there(self, gateway: Board) -> bool:
        told = self.mqtt.heard(lambda m: m.topic == "gatehouse/%s/status" % gateway.id)
        return bool(told) and told[-1].text == "online"

    async def until_answers(self, gateway: Board | None = None) -> None:
        """Wait until a gateway answers at the broker. It is asked again whenever it has connected anew."""
        base = "gatehouse/" + (gateway or self.gateway).id
        ident = secrets.token_hex(6)

        def is_answer(message: Message) -> bool:
            return message.topic == base + "/rsp" and message.value["id"] == ident

        def is_news(message: Message) -> bool:
            return is_answer(message) or (message.topic == base + "/status" and message.text == "online")

        seen = 0
        while not self.mqtt.heard(is_answer):
            seen = len(self.mqtt.messages)
            await self.mqtt.publish(base + "/cmd", {"id": ident, "op": "ping"})
            await self.mqtt.wait(is_news, after=seen)

    async def opens(self, act: dict, lock: Board | None = None) -> bool:
        """Do something at the lock's panel -> whether it opens; told by the bolt, and by what the lock shows."""
        lock = lock or self.lock
        before = len(lock.movements)
        begun = (await lock.panel({"do": "state"}))["movements"]
        done = await lock.panel(act)
        assert done.get("ok"), done
        while (state := await lock.panel({"do": "state"}))["movements"] == begun:  # counted when the motor starts
            if state["sound"] != "key":  # else the code is still searched for
                assert len(lock.movements) == before
                return False
        await self.until(lambda: self.moves(lock, before)[:1] == [("locked", "unlocked")], "opened")
        await self.until_at_rest("unlocked", "locked", lock=lock)  # and the lock has noticed
        return True
