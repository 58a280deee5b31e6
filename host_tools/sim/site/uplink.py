"""A gateway's way to the broker: a TCP relay that falls silent while the Wi-Fi is down, as the air does.

A weak link costs time, as it does under TCP: every part waits for `latency_s`, and one that is lost for the sender's
retransmission, which doubles with each further loss.
"""

import asyncio
import random
from collections.abc import Callable
from contextlib import suppress

_RETRANSMIT_S = 0.2
_RETRANSMIT_MAX_S = 6.4
_PORTAL = (
    b"HTTP/1.1 302 Found\r\nLocation: http://portal.invalid/login\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
)
MODES = ("through", "captive", "refused")


class Uplink:
    """Relays every connection to `port` on to the broker. Down, it holds the bytes back and breaks nothing.

    `mode` holds for new connections: `through`; `captive`, a portal answers in HTTP and closes; `refused`, they are
    reset. `latency_s` each way and `loss`, a chance, hold for every part from now on.
    """

    def __init__(self, host: str, target_port: int, seed: int = 0) -> None:
        self.latency_s = 0.0
        self.loss = 0.0
        self.mode = MODES[0]
        self.accepted = 0
        self.taps: list[Callable[[int, str, bytes], None]] = []  # (connection, "up" or "down", part) of all that comes
        self._random = random.Random(seed)
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

    def cut(self) -> None:
        """Break every connection, without closing the port."""
        for task in tuple(self._flows):
            task.cancel()

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
        self.accepted += 1
        number = self.accepted
        try:
            await self._up.wait()
            if self.mode != "through":
                if self.mode == "captive":
                    await reader.read(1024)
                    writer.write(_PORTAL)
                    await writer.drain()
                    writers.remove(writer)
                    writer.close()
                return
            there, back = await asyncio.open_connection(self._host, self._target_port)
            writers.append(back)
            up, down = self._relay(reader, back, number, "up"), self._relay(there, writer, number, "down")
            ways = [asyncio.create_task(up), asyncio.create_task(down)]
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

    async def _relay(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int, direction: str
    ) -> None:
        with suppress(OSError):
            while part := await reader.read(4096):
                for tap in self.taps:
                    tap(number, direction, part)
                await self._cross()
                writer.write(part)
                await writer.drain()
            await self._up.wait()

    async def _cross(self) -> None:
        """What one part needs to get across."""
        pause_s = _RETRANSMIT_S
        wait_s = self.latency_s
        while self.loss and self._random.random() < self.loss:
            wait_s += pause_s
            pause_s = min(2 * pause_s, _RETRANSMIT_MAX_S)
        if wait_s:
            await asyncio.sleep(wait_s)
        await self._up.wait()
