"""The HCI port: every TCP connection is a fresh radio chip on the air, spoken to in H4 (UART) framing.

A foreign BLE host takes part through it: Bumble's transport `tcp-client:HOST:PORT`, or a bleak program by `bleak_air`.
"""

import asyncio
import itertools
import logging

from bumble import core, hci
from bumble.transport.common import PacketParser

from host_tools.sim.air.air import Air
from host_tools.sim.air.controller import RadioController

log = logging.getLogger(__name__)

_READ = 4096


class _Writer:
    """Packet sink: what the controller says to its host."""

    def __init__(self, writer: asyncio.StreamWriter) -> None:
        self._writer = writer

    def on_packet(self, packet: bytes) -> None:
        if not self._writer.is_closing():
            self._writer.write(packet)


class HciServer:
    """Serves the port; each connection gets a locally administered address, from 02:00:00:00:00:01 on."""

    def __init__(self, air: Air) -> None:
        self._air = air
        self._numbers = itertools.count(1)
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self.port = 0

    async def start(self, host: str, port: int = 0) -> None:
        self._server = await asyncio.start_server(self._serve, host, port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
            for writer in tuple(self._writers):
                writer.close()
            await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        number = next(self._numbers)
        address = hci.Address(number.to_bytes(5, "little") + b"\x02", hci.Address.PUBLIC_DEVICE_ADDRESS)
        chip = RadioController(f"hci{number}", self._air, address)
        chip.set_packet_sink(_Writer(writer))
        parser = PacketParser(chip)
        self._writers.add(writer)
        try:
            while chunk := await reader.read(_READ):
                parser.feed_data(chunk)
        except (ConnectionError, core.InvalidPacketError) as err:
            log.info("%s: %r", chip.name, err)
        finally:
            chip.power_off()
            self._writers.discard(writer)
            writer.close()
