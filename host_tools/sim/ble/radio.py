"""The virtual radio: simulated boards and foreign BLE hosts share one air.

Stand-alone:

    python -m host_tools.sim.ble.radio --port 7333 --profile ideal

prints one line, `{"port": 7333, "hci": 40123, "seed": 0}`, and stays. Boards, in other terminals:

    export MICROPYPATH=.frozen:host_tools/sim/shims:host_tools/sim/standin SIM_RADIO=127.0.0.1:7333
    SIM_MAC=240ac4000010 micropython program_that_uses_bluetooth_or_aioble.py

and desktop programs: `gatehouse sim run --air 40123 -- PROGRAM` for those that use bleak, or any Bumble program on the
transport `tcp-client:127.0.0.1:40123`.

Inside a program (the simulator's site): `radio = Radio(seed, profile)`, `await radio.start()`, `radio.port`,
`await radio.stop()`. Time on the air is the time of the event loop that runs `start`.
"""

import argparse
import asyncio
import itertools
import json
import logging

from host_tools.sim.air.air import PROFILES, Air, LinkRecord, parse_address
from host_tools.sim.air.faults import Faults
from host_tools.sim.ble.codec import frame, read_frame
from host_tools.sim.ble.errno_words import EINVAL
from host_tools.sim.ble.hci_server import HciServer
from host_tools.sim.ble.session import Session

_STEP_S = 0.2  # between two places of a board that moves

log = logging.getLogger(__name__)


class Radio:
    """The air and its two doors: `port` for boards (two streams each), `hci_port` for foreign hosts."""

    def __init__(self, seed: int = 0, profile: str = "ideal") -> None:
        self.seed = seed
        self.air = Air(seed, profile)
        self.boards: dict[str, Session] = {}  # by Bluetooth address, aa:bb:cc:dd:ee:ff
        self.port = 0
        self._hci = HciServer(self.air)
        self._server: asyncio.Server | None = None
        self._sessions: dict[int, Session] = {}
        self._writers: set[asyncio.StreamWriter] = set()
        self._numbers = itertools.count(1)

    @property
    def hci_port(self) -> int:
        """TCP port on which every connection is a fresh HCI controller."""
        return self._hci.port

    async def start(self, host: str = "127.0.0.1", port: int = 0, hci_port: int = 0) -> None:
        """Open both ports; 0 takes a free one."""
        self._server = await asyncio.start_server(self._serve, host, port)
        self.port = self._server.sockets[0].getsockname()[1]
        await self._hci.start(host, hci_port)

    async def stop(self) -> None:
        """Switch everything off."""
        if self._server is None:
            return
        self._server.close()
        for session in tuple(self._sessions.values()):
            session.close()
        for writer in tuple(self._writers):
            writer.close()
        await self._hci.stop()
        await self._server.wait_closed()
        self._server = None

    @property
    def faults(self) -> Faults:
        """What can be done to this air on request."""
        return self.air.faults

    def links(self, lock: str | None = None, after: int = 0) -> list[LinkRecord]:
        """What passed on every link so far to `lock` (None: to anybody), failed attempts included, oldest first.

        `after`: only those with a greater `number`; the newest one's is `last_link`.
        """
        return [each for each in self.air.history if each.number > after and lock in (None, each.peripheral)]

    @property
    def last_link(self) -> int:
        """Number of the newest link or attempt, 0 before the first."""
        return self.air.history[-1].number if self.air.history else 0

    def links_up(self) -> int:
        """How many links there are, those that have fallen silent but not yet timed out included."""
        return len(self.air.links)

    def adverts(self, address: str) -> int:
        """How many advertisements the board with this Bluetooth address has sent since its radio was switched on."""
        return self.boards[address].adverts if address in self.boards else 0

    def place(self, address: str, x_m: float, y_m: float) -> None:
        """Put the board with this Bluetooth address somewhere, now or before it comes up."""
        self.air.place(parse_address(address), x_m, y_m)

    def change_profile(self, name: str) -> None:
        """Another air for everybody, links that are up included, which count their events anew. Raises ValueError."""
        if name not in PROFILES:
            raise ValueError("no air profile %r; there are: %s" % (name, ", ".join(sorted(PROFILES))))
        self.air.change_profile(PROFILES[name])

    async def walk(self, address: str, x_m: float, y_m: float, over_s: float) -> None:
        """Move the board to a place within so many seconds, in a straight line."""
        loop = asyncio.get_running_loop()
        began_s = loop.time()
        from_x, from_y = self.air.position(parse_address(address))
        part = 0.0
        while part < 1.0:
            part = min(1.0, (loop.time() - began_s) / over_s) if over_s > 0 else 1.0
            self.place(address, from_x + (x_m - from_x) * part, from_y + (y_m - from_y) * part)
            await asyncio.sleep(min(_STEP_S, over_s))

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        session = None
        self._writers.add(writer)
        try:
            first = await read_frame(reader)
            if first[0] == "events" and first[1] in self._sessions:
                session = self._sessions[first[1]]
                session.attach_events(writer)
                while await reader.read(64):
                    pass  # boards send nothing here; its end is the end of the board
            elif first[0] == "hello" and self._server is not None:
                number, session = self._open(first[1], first[2])
                writer.write(frame([0, number]))
                await session.serve(reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # the board process ended
        except asyncio.CancelledError:
            pass  # the program ends; Python 3.11's streams print a traceback for handlers that end as cancelled
        except (ValueError, IndexError, TypeError) as err:
            log.warning("board stream: %r", err)
            writer.write(frame([EINVAL]))
        finally:
            if session is not None:
                self._close(session)
            self._writers.discard(writer)
            writer.close()

    def _open(self, mac: str | None, name: str | None) -> tuple[int, Session]:
        number = next(self._numbers)
        address = parse_address(mac or "240ac4%06x" % number)
        text = bytes(address)[::-1].hex(":")
        if text in self.boards:  # started again before the end of the old process was seen
            self._close(self.boards[text])
        session = Session(self.air, address, name or text)
        self.boards[text] = self._sessions[number] = session
        return number, session

    def _close(self, session: Session) -> None:
        session.close()
        self.boards = {key: held for key, held in self.boards.items() if held is not session}
        self._sessions = {key: held for key, held in self._sessions.items() if held is not session}


async def _main(args: argparse.Namespace) -> None:
    radio = Radio(args.seed, args.profile)
    await radio.start(port=args.port, hci_port=args.hci)
    print(json.dumps({"port": radio.port, "hci": radio.hci_port, "seed": radio.seed}), flush=True)
    try:
        await asyncio.Event().wait()
    finally:
        await radio.stop()


def main() -> None:
    """Command line of the stand-alone radio."""
    parser = argparse.ArgumentParser(
        prog="python -m host_tools.sim.ble.radio", description="The virtual radio, by itself."
    )
    parser.add_argument("--port", type=int, default=0, help="TCP port for boards (default: a free one)")
    parser.add_argument("--hci", type=int, default=0, help="TCP port for foreign BLE hosts (default: a free one)")
    parser.add_argument("--profile", choices=sorted(PROFILES), default="ideal")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("-v", action="count", default=0, help="more log")
    args = parser.parse_args()
    logging.basicConfig(level=(logging.WARNING, logging.INFO, logging.DEBUG)[min(args.v, 2)])
    try:
        asyncio.run(_main(args))
    except KeyboardInterrupt:
        pass


if __name__ == "__main__":
    main()
