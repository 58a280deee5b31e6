"""The TCP port on which simulated boards' shims (`shims/_board.py`) reach the site: JSON arrays, one a line."""

import asyncio
import json
from collections.abc import Callable
from contextlib import suppress

from host_tools.sim.board import Board


class BoardLines:
    """Hands every connection to the board whose MAC it names."""

    def __init__(self, find: Callable[[str], Board | None]) -> None:
        self._find = find
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self.port = 0

    async def start(self, host: str = "127.0.0.1") -> None:
        """Listen on a free port."""
        self._server = await asyncio.start_server(self._serve, host, 0)
        self.port = self._server.sockets[0].getsockname()[1]

    def stop(self) -> None:
        """Hang up; the boards end."""
        if self._server:
            self._server.close()
        for writer in tuple(self._writers):
            writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        board = None
        try:
            hello = json.loads(await reader.readline())
            board = self._find(hello[1]) if hello[0] == "hello" else None
            if board is None:
                return
            board.attach(writer)
            while line := await reader.readline():
                board.on_message(*json.loads(line))
        except (ValueError, TypeError, IndexError, ConnectionError):
            pass  # not a board, or one that was killed in the middle of a line
        finally:
            self._writers.discard(writer)
            if board:
                board.detach(writer)
            with suppress(OSError):
                writer.close()
