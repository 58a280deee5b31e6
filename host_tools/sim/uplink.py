"""A gateway's way to the broker: a TCP relay that falls silent while the Wi-Fi is down, as the air does."""

import asyncio
from contextlib import suppress


class Uplink:
    """Relays every connection to `port` on to the broker. Down, it holds the bytes back and breaks nothing."""

    def __init__(self, host: str, target_port: int) -> None:
        self._host = host
        self._target_port = target_port
        self._server: asyncio.Server | None = None
        self._flows: set[asyncio.Task] = set()
        self._up = asyncio.Event()
        self._up.set()
        self.port = 0

    async def start(self) -> None:
        """Listen on a free port."""
        self._server = await asyncio.start_server(self._accept, self._host, 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Break every connection."""
        if self._server:
            self._server.close()
        flows = tuple(self._flows)
        for task in flows:
            task.cancel()
        await asyncio.gather(*flows, return_exceptions=True)

    def switch(self, is_up: bool) -> None:
        """Let bytes through, or hold them."""
        if is_up:
            self._up.set()
        else:
            self._up.clear()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._flows.add(task)
        writers = [writer]
        try:
            await self._up.wait()
            there, back = await asyncio.open_connection(self._host, self._target_port)
            writers.append(back)
            ways = [asyncio.create_task(self._relay(reader, back)), asyncio.create_task(self._relay(there, writer))]
            try:
                await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for way in ways:
                    way.cancel()
                await asyncio.gather(*ways, return_exceptions=True)
        except (OSError, asyncio.CancelledError):
            pass
        finally:
            self._flows.discard(task)
            for each in writers:
                with suppress(OSError):
                    each.transport.abort()

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while part := await reader.read(4096):
                await self._up.wait()
                writer.write(part)
                await writer.drain()
            await self._up.wait()
