"""One connection to a broker: its stream, the packets read from it, and why it ended."""

import asyncio

from firmware.lib import mqtt_packet
from firmware.lib.compat import const
from firmware.lib.errors import NetError
from firmware.net.outbox import Outbox
from firmware.system.timing import ticks_ms

_READ = const(256)


class Session:
    """Lives from the opening of the stream to its end; `outbox` is what waits to go out."""

    def __init__(self, reader, writer):
        self.reader = reader
        self.writer = writer
        self.parser = mqtt_packet.Parser()
        self.packets = []
        self.outbox = Outbox()
        self.over = asyncio.Event()
        self.fault = None
        self.heard_ms = ticks_ms()
        self.subscribe_pid = 0

    def end(self, fault):
        """Keep the first reason for the end, and wake every waiter."""
        if self.fault is None:
            self.fault = fault
            self.outbox.close()
            self.over.set()

    async def next(self):
        """The next packet. Raises NetError when the connection ends, ProtocolError for what is no packet."""
        while not self.packets:
            try:
                part = await self.reader.read(_READ)
            except (OSError, ValueError) as err:
                raise _lost(err)
            if not part:
                raise NetError("broker closed the connection")
            self.packets = self.parser.feed(part)
            self.heard_ms = ticks_ms()
        return self.packets.pop(0)

    async def write(self, part):
        """Send octets. Raises NetError when the connection ends."""
        try:
            self.writer.write(part)
            await self.writer.drain()
        except (OSError, ValueError) as err:
            raise _lost(err)


def _lost(err):
    """The NetError for what a stream raised. A TLS handshake that fails does so as ValueError (MicroPython 1.29)."""
    return NetError("connection lost: %s" % str(err).strip())
