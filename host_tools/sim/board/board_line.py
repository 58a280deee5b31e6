"""The TCP port on which simulated boards' shims (`shims/_board.py`) reach the site: JSON arrays, one a line."""

import asyncio
import json
from collections.abc import Callable

from host_tools.sim.board.board import Board
from host_tools.sim.board.line_port import LinePort


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
