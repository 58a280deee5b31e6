"""Several gateways, each with one lock of its own, on one site: their stories run side by side."""

import asyncio
import collections
from collections.abc import Callable

from firmware.lib import frame
from firmware.lib.errors import ProtocolError
from firmware.lib.frame import Reassembler
from host_tools.owner.keybook import Entry
from host_tools.sim.air.air import Air, LinkRecord
from host_tools.sim.air.faults import SIDES
from host_tools.sim.site import owner
from tests.system.bench import HANG_S, Bench, Message
from tests.system.owner_signs import id_of

_VALUE_AT = 7  # behind the headers of L2CAP and ATT
_VALUES = (0x52, 0x1B)  # Write Command, Notification


class FrameTap:
    """Every whole frame that was sent on the air, as (number of the link, sender's side, command)."""

    def __init__(self, air: Air) -> None:
        self.frames: list[tuple[int, str, int]] = []
        self._parts: dict[tuple[int, str], Reassembler] = collections.defaultdict(Reassembler)
        air.taps.append(self._take)

    def _take(self, link: LinkRecord, side: str, octets: bytes) -> None:
        if len(octets) > _VALUE_AT and octets[4] in _VALUES:
            for raw in self._parts[link.number, side].feed(octets[_VALUE_AT:]):
                try:
                    self.frames.append((link.number, side, frame.decode(raw).command))
                except ProtocolError:
                    continue


class Post:
    """A gateway and a lock that it serves: those with one number, unless the lock has another."""

    def __init__(self, bench: Bench, index: int, lock: int | None = None) -> None:
        self.bench = bench
        self.gateway = bench.site.gateways[index]
        self.lock = bench.site.locks[index if lock is None else lock]
        self.entry: Entry | None = None

    async def adopt(self) -> "Post":
        """Pair, hand over, and wait for a clock that `exp` can be judged by."""
        self.entry = await self.bench.pair(self.lock)
        await owner.hand_over(self.bench.site, self.gateway, self.entry)
        await self.gateway.wait_line("clock synced")
        return self

    def topic(self, leaf: str) -> str:
        return "gatehouse/%s/lock/%s/%s" % (self.gateway.id, self.lock.id, leaf)

    async def ask(self, op: str, args: dict | None = None, timeout_s: float = HANG_S, **more) -> dict:
        """Send a command and return its one result."""
        return await self.bench.ask(op, args, self.lock, timeout_s, self.gateway, **more)

    def results(self, ident: str) -> list[dict]:
        """Every result so far with this id."""
        return [
            m.value
            for m in self.bench.mqtt.heard(lambda m: m.topic == self.topic("rsp"))
            if m.value["id"] == id_of(ident) and "ok" in m.value
        ]

    def told(self, leaf: str) -> Message | None:
        """The newest message on one of the lock's topics."""
        found = self.bench.mqtt.heard(lambda m: m.topic == self.topic(leaf))
        return found[-1] if found else None

    def records(self) -> list[tuple[int, dict]]:
        """Every record so far as (epoch, item), doubles included."""
        found = []
        for message in self.bench.mqtt.heard(lambda m: m.topic == self.topic("records")):
            found += [(message.value["epoch"], item) for item in message.value["items"]]
        return found

    @property
    def is_linked(self) -> bool:
        """Whether anybody has a link to the lock."""
        return any(link.record.peripheral == self.lock.mac for link in self.bench.site.radio.air.links)

    def packets(self, after: int) -> dict[str, int]:
        """Data packets by sender on the lock's links with a greater number than `after`."""
        links = self.bench.site.radio.links(self.lock.mac, after)
        return {side: sum(link.packets[side] for link in links) for side in SIDES}

    async def turn(self, to: str) -> None:
        """Turn the bolt by hand; on return the lock knows."""
        self.lock.mechanics.turn(to)
        while (await self.lock.panel({"do": "state"})).get("bolt") != to:
            await asyncio.sleep(0.02)

    async def open_at_the_keypad(self) -> None:
        """The owner opens with the admin passcode: one movement, one record more."""
        assert self.entry
        await self.turn("locked")
        moved = len(self.lock.movements)
        await self.lock.panel({"do": "keys", "digits": self.entry.admin_passcode + "#"})
        await self.bench.until(lambda: len(self.lock.movements) > moved, "opened at the keypad")

    async def until(self, true: Callable[[], object], what: str, timeout_s: float = HANG_S) -> bool:
        """Wait for something; False when it did not come."""
        try:
            await self.bench.until(true, what, timeout_s)
        except AssertionError:
            return False
        return True

    async def until_quiet(self, for_s: float = 0.3) -> None:
        """Wait until the lock has been without a link for a moment: nobody has anything left to do with it."""
        loop = asyncio.get_running_loop()
        since_s = loop.time()
        until_s = since_s + HANG_S
        while loop.time() - since_s < for_s:
            if self.is_linked:
                since_s = loop.time()
            assert loop.time() < until_s, "somebody is linked to %s for ever" % self.lock.name
            await asyncio.sleep(0.02)
