"""TCP ports of the site that speak JSON, a line each: for the shims of simulated boards (`shims/_board.py`), for panels
and for control."""

import asyncio
import json
from collections.abc import Callable
from contextlib import suppress

from host_tools.sim.board import panel
from host_tools.sim.board.board import Board


class LinePort:
    """`_talk` of a subclass serves one connection; the port closes it afterwards."""

    def __init__(self) -> None:
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self.port = 0

    async def start(self, host: str = "127.0.0.1") -> None:
        """Listen on a free port."""
        self._server = await asyncio.start_server(self._serve, host, 0)
        self.port = self._server.sockets[0].getsockname()[1]

    def stop(self) -> None:
        """Close the port and every connection."""
        if self._server:
            self._server.close()
        for writer in tuple(self._writers):
            writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        try:
            await self._talk(reader, writer)
        finally:
            self._writers.discard(writer)
            with suppress(OSError):
                writer.close()

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        raise NotImplementedError


class BoardLines(LinePort):
    """Hands every connection to the board whose MAC it names."""

    def __init__(self, find: Callable[[str], Board | None]) -> None:
        super().__init__()
        self._find = find

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
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
            if board:
                board.detach(writer)


class JsonPort(LinePort):
    """A TCP port: one JSON object per line in, `answer(object)` as one line out."""

    def __init__(self, answer) -> None:
        super().__init__()
        self._answer = answer

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while line := await reader.readline():
                try:
                    request = json.loads(line)
                except ValueError:
                    request = None
                reply = await self._answer(request) if isinstance(request, dict) else panel.wrong("not a JSON object")
                writer.write(json.dumps(reply).encode() + b"\n")
                await writer.drain()
        except (ConnectionError, ValueError):
            pass  # gone, or a line beyond any sense
