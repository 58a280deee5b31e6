"""SNTP servers for the simulated site: they tell the site's time (real time plus leaps), the wrong time, or nothing."""

import asyncio
import struct
import time
from collections.abc import Callable, Sequence
from typing import Any

_TO_1900 = 2208988800


class NtpServer(asyncio.DatagramProtocol):
    """`lie_s` is added to what it tells, one after the other when it is a sequence; while `is_silent` it answers
    nothing. Answers leave `delay_s` late and tell the time of their leaving."""

    def __init__(self, now: Callable[[], float] = time.time) -> None:
        self._now = now
        self._transport: asyncio.DatagramTransport | None = None
        self.host = ""
        self.port = 0
        self.is_silent = False
        self.is_reachable = True  # by Wi-Fi
        self.lie_s: float | Sequence[float] = 0.0
        self.delay_s = 0.0
        self.asked = 0

    async def start(self, host: str = "127.0.0.1", port: int = 0) -> None:
        """Open the port; 0 takes a free one."""
        loop = asyncio.get_running_loop()
        self._transport, _ = await loop.create_datagram_endpoint(lambda: self, local_addr=(host, port))
        self.host, self.port = self._transport.get_extra_info("sockname")[:2]

    def stop(self) -> None:
        """Close the port."""
        if self._transport:
            self._transport.close()
            self._transport = None

    def datagram_received(self, data: bytes, addr) -> None:
        """Answer a client's packet (RFC 4330); anything else is dropped."""
        if not self.is_reachable or len(data) < 48 or data[0] & 7 != 3:
            return
        self.asked += 1
        if self.is_silent or self._transport is None:
            return
        lies = self.lie_s if isinstance(self.lie_s, Sequence) else (self.lie_s,)
        lie_s = lies[self.asked % len(lies)]
        if self.delay_s:
            asyncio.get_running_loop().call_later(self.delay_s, self._answer, data, addr, lie_s)
        else:
            self._answer(data, addr, lie_s)

    def _answer(self, data: bytes, addr, lie_s: float) -> None:
        if self._transport is None:
            return
        stamp = self._now() + lie_s + _TO_1900
        wire = struct.pack(">II", int(stamp) & 0xFFFFFFFF, int(stamp % 1 * 0x100000000))
        version = data[0] & 0x38
        head = struct.pack(">BBbbII4s", version | 4, 2, 6, -20, 0, 0, b"SIM\0")
        self._transport.sendto(head + wire + data[40:48] + wire + wire, addr)


class _OfAll:
    """A member of every server: set for all of them, read from the first."""

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    def __get__(self, site: "NtpServers", owner: type) -> Any:
        return getattr(site.servers[0], self._name)

    def __set__(self, site: "NtpServers", value: Any) -> None:
        for server in site.servers:
            setattr(server, self._name, value)


class NtpServers:
    """The site's `servers`, three that must agree. What is set here is set for all of them, what is read is the first
    one's; one that lies alone is `servers[n]`."""

    is_silent = _OfAll()
    is_reachable = _OfAll()
    lie_s = _OfAll()
    delay_s = _OfAll()

    def __init__(self, now: Callable[[], float] = time.time, count: int = 3) -> None:
        self.servers = [NtpServer(now) for _ in range(count)]

    async def start(self, host: str = "127.0.0.1") -> None:
        """Open their ports."""
        for server in self.servers:
            await server.start(host)

    def stop(self) -> None:
        """Close them."""
        for server in self.servers:
            server.stop()

    @property
    def hosts(self) -> list[str]:
        """What a gateway's `ntp_hosts` says."""
        return ["%s:%d" % (server.host, server.port) for server in self.servers]

    @property
    def port(self) -> int:
        return self.servers[0].port

    @property
    def asked(self) -> int:
        """How often, all together."""
        return sum(server.asked for server in self.servers)
