"""Records on their way from gateways into the store: acknowledged when they are on the disk, and asked for by number
where the store lacks them.

Owns the walk. What is asked for has been in the lock, or in a gateway; whoever else listened took none of it away.
"""

import asyncio
from collections.abc import AsyncIterator, Callable

from host_tools.errors import HostError
from host_tools.gateway.client import Gateways, ServedLock
from host_tools.gateway.records_batch import Batch, read_batch
from host_tools.gateway.records_store import RecordStore

QUIET_S = 2.0  # after the gateway has read the lock, its batches arrive within this
_LONG_S = 130  # the gateway gives a whole log two minutes
_MAX_RANGES = 16
_MAX_ROUNDS = 50  # of one range
_MAX_WAITING = 1000  # batches; one that finds no room is not acknowledged, and comes again


class Inflow:
    """Batches of one lock. `new`: how many records of them the store did not have; `unread`: messages that are none;
    `forged`: batches without the proof that their gateway owes (mqtt.md 2), which change nothing."""

    def __init__(self, store: RecordStore, gateways: Gateways, ident: str) -> None:
        self._store = store
        self._gateways = gateways
        self._ident = ident
        self._batches: asyncio.Queue[tuple[str, Batch]] = asyncio.Queue(_MAX_WAITING)
        self.new = 0
        self.unread = 0
        self.forged = 0
        self._asked = ""  # the gateway that was asked
        self._arrived = 0

    async def start(self) -> None:
        await self._gateways.watch(("records",), self._receive, self._ident)

    def _receive(self, sender: str, _lock: str, _leaf: str, text: str) -> None:
        """Judged as it comes, so that nothing of a stranger's waits beside what is to be kept."""
        try:
            batch = read_batch(text)
        except HostError:  # anybody may publish here
            self.unread += 1
            return
        is_proven = self._gateways.proven(sender, self._ident, text)
        if is_proven is False or (is_proven is None and not self._is_expected(sender)):
            self.forged += 1
            return
        batch.proven = bool(is_proven)
        try:
            self._batches.put_nowait((sender, batch))
        except asyncio.QueueFull:
            self.unread += 1

    async def _next(self, quiet_s: float | None) -> list[dict]:
        sender, batch = await asyncio.wait_for(self._batches.get(), quiet_s)
        _demand_own_store(self._store, self._gateways, sender)
        self.new += self._store.keep(self._ident, batch)
        self._arrived += len(batch.items)
        await self._gateways.acknowledge(sender, self._ident, batch)
        return batch.items

    def _is_expected(self, sender: str) -> bool:
        """Whether a gateway may speak that cannot be held to a proof: one that was asked, or where none can be."""
        return sender == self._asked or self._gateways.signer(sender) is not None or not self._gateways.is_owner

    async def keep(self, quiet_s: float | None) -> None:
        """Until no batch has come for so long."""
        while True:
            try:
                await self._next(quiet_s)
            except TimeoutError:
                return

    async def items(self) -> AsyncIterator[dict]:
        """Records as they come; never ends."""
        while True:
            for item in await self._next(None):
                yield item

    # --- asking

    async def fetch(self, served: ServedLock) -> None:
        """What the lock has to tell and the gateway keeps, and then whatever else the store lacks. HostError."""
        self._asked = served.gateway
        _demand_own_store(self._store, self._gateways, served.gateway)
        data = (await served.command("records_read", wait_s=_LONG_S)).get("data") or {}
        await self.keep(QUIET_S)
        epoch, cursor = data.get("epoch"), data.get("cursor")
        if not isinstance(epoch, int) or not isinstance(cursor, int):
            return
        for first, last in self._store.lacking(self._ident, epoch, cursor)[-_MAX_RANGES:]:
            if await self._range(served, first, last):
                self._store.asked(self._ident, epoch, first, last)

    async def _range(self, served: ServedLock, first: int, last: int) -> bool:
        """Ask for some numbers -> whether all came that the lock holds of them."""
        arrived = self._arrived
        data = await self.upload(served, {"from": first, "to": last})
        while self._arrived - arrived < data["read"]:
            before = self._arrived
            await self.keep(QUIET_S)
            if self._arrived == before:
                return False
        return data["next"] is None

    async def upload(self, served: ServedLock, args: dict, on_step: Callable[[dict], None] | None = None) -> dict:
        """Have the lock's log sent again, in as many requests as that takes -> {"read", "new", "next"}, `next` None
        when it came to its end."""
        self._asked = served.gateway
        done = {"read": 0, "new": 0, "next": args.get("from", 0)}
        stubborn = 0
        for _ in range(_MAX_ROUNDS):
            result = await served.command("upload", args or None, False, _LONG_S, on_step)
            data = result.get("data") or {}
            done["read"] += int(data.get("read") or 0)
            done["new"] += int(data.get("new") or 0)
            await self.keep(0.2)
            at = data.get("next")
            stubborn = stubborn + 1 if at == done["next"] else 0
            done["next"] = at
            if at is None or stubborn >= 2:
                break
            args = args | {"from": at}
        return done


def _demand_own_store(store: RecordStore, gateways: Gateways, gateway: str) -> None:
    """HostError when a simulated gateway's records would come among those of the owner's own doors."""
    store.demand_fitting(gateways.is_simulated(gateway), gateway)
