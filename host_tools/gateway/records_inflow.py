"""Records on their way from a gateway into the owner's store."""

import asyncio
from collections.abc import AsyncIterator

from host_tools.gateway.client import Gateways
from host_tools.gateway.records_store import RecordStore, read_batch

QUIET_S = 2.0  # after the gateway has read the lock, its batches arrive within this


class Inflow:
    """Batches of one lock on their way into the store; each is acknowledged when it is on the disk."""

    def __init__(self, store: RecordStore, gateways: Gateways, ident: str) -> None:
        self._store = store
        self._gateways = gateways
        self._ident = ident
        self._batches: asyncio.Queue[tuple[str, str]] = asyncio.Queue()
        self.new = 0

    async def start(self) -> None:
        def heard(sender: str, _lock: str, _leaf: str, text: str) -> None:
            self._batches.put_nowait((sender, text))

        await self._gateways.watch(("records",), heard, self._ident)

    async def _next(self, quiet_s: float | None) -> list[dict]:
        sender, text = await asyncio.wait_for(self._batches.get(), quiet_s)
        batch = read_batch(text)
        self.new += self._store.keep(self._ident, batch)
        await self._gateways.acknowledge(sender, self._ident, batch.epoch, batch.last)
        return batch.items

    async def keep(self, quiet_s: float | None) -> None:
        """Until no batch has come for so long."""
        while True:
            try:
                await self._next(quiet_s)
            except TimeoutError:
                return

    async def items(self) -> AsyncIterator[dict]:
        """Records as they come, for ever."""
        while True:
            for item in await self._next(None):
                yield item
