"""A name server for the simulated site: knows the names of the house, and no other.

Owns its port. A board asks port 53 of the name server that its Wi-Fi gave it; `shims/socket.py` brings that here.
"""

import asyncio
import ipaddress
import struct

_NO_SUCH_NAME = 3
_A = b"\x00\x01\x00\x01"  # type A, class IN
_TTL_S = 60


class NameServer(asyncio.DatagramProtocol):
    """`names`: name in lower case -> IPv4 address."""

    def __init__(self, names: dict[str, str]) -> None:
        self.names = names
        self.is_reachable = True  # by Wi-Fi
        self.port = 0
        self._transport: asyncio.DatagramTransport | None = None

    async def start(self, host: str) -> None:
        """Open a free port."""
        loop = asyncio.get_running_loop()
        self._transport, _ = await loop.create_datagram_endpoint(lambda: self, local_addr=(host, 0))
        self.port = self._transport.get_extra_info("sockname")[1]

    def stop(self) -> None:
        """Close the port."""
        if self._transport:
            self._transport.close()
            self._transport = None

    def datagram_received(self, data: bytes, addr) -> None:
        """Answer a question of one name (RFC 1035); anything else is dropped."""
        end = data.find(b"\0", 12)
        if not self.is_reachable or self._transport is None or end < 0 or data[4:6] != b"\x00\x01":
            return
        question, labels, at = data[12 : end + 5], [], 12
        while at < end:
            labels.append(data[at + 1 : at + 1 + data[at]].decode("ascii", "replace").lower())
            at += 1 + data[at]
        address = self.names.get(".".join(labels))
        answers = b""
        if address and question[-4:] == _A:
            answers = b"\xc0\x0c" + _A + struct.pack(">IH", _TTL_S, 4) + ipaddress.IPv4Address(address).packed
        code = 0 if address else _NO_SUCH_NAME
        head = data[:2] + struct.pack(">HHHHH", 0x8180 | code, 1, bool(answers), 0, 0)
        self._transport.sendto(head + question + answers, addr)
