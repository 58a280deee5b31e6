"""Lets MicroPython's runner of multitests use a board whose prompt has no raw mode: each test becomes its main.py.

    python -m bench.multitest_board PORT BOARD -c SCRIPT

is what the runner starts, as if it were an interpreter; `Server`, in `bench.multitests`, has the boards.
"""

import asyncio
import json
import sys
from pathlib import Path

from host_tools.sim.board import flash_image
from host_tools.sim.board.board import Board

_LIMIT = 1 << 20
_END = "*test ended*"
_MAIN = """
import sys
try:
    exec(open("/test.py").read(), {"__name__": "__main__"})
except SystemExit:
    pass
except BaseException as err:
    sys.print_exception(err)
print("%s")
"""


class Server:
    """A TCP port: one line of JSON, {"board": number, "script": text}, then the board's console both ways."""

    def __init__(self, boards: list[Board]) -> None:
        self._boards = boards
        self._server: asyncio.Server | None = None
        self.port = 0

    async def start(self) -> None:
        """Listen on a free port."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, limit=_LIMIT)
        self.port = self._server.sockets[0].getsockname()[1]

    def stop(self) -> None:
        """Close the port."""
        if self._server:
            self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = json.loads(await reader.readline())
        board = self._boards[request["board"]]
        await board.kill()
        files = {"/main.py": (_MAIN % _END).encode(), "/test.py": request["script"].encode()}
        await asyncio.to_thread(flash_image.put, Path(board.image), files)
        board.lines.clear()
        await board.start()
        typing = asyncio.create_task(self._type(reader, board))
        told = 0
        try:
            while True:
                await board.wait_line("", after=told)
                line = board.lines[told]
                told += 1
                if line == _END:
                    break
                writer.write(line.encode() + b"\n")
            await writer.drain()
        finally:
            typing.cancel()
            writer.close()

    @staticmethod
    async def _type(reader: asyncio.StreamReader, board: Board) -> None:
        while part := await reader.read(4096):
            board.type_in(part)


async def _relay(port: int, board: int, script: str) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=_LIMIT)
    writer.write(json.dumps({"board": board, "script": script}).encode() + b"\n")
    loop = asyncio.get_running_loop()

    def typed() -> None:
        part = sys.stdin.buffer.raw.read(4096)
        if part:
            writer.write(part)
        else:
            loop.remove_reader(0)

    loop.add_reader(0, typed)
    while line := await reader.readline():
        sys.stdout.buffer.write(line)
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    asyncio.run(_relay(int(sys.argv[1]), int(sys.argv[2]), sys.argv[4]))
