"""Questions by UDP, and what only they answer: the addresses of names. Owns each socket for as long as its question;
nothing is kept.

Not `socket.getaddrinfo`: on an ESP32 it blocks the loop for seven seconds per name server that does not answer (lwIP:
four questions, one, one, two and three seconds apart), so that the watchdog resets the board.
"""

import asyncio
import os
import socket

from firmware.lib.compat import const, unload
from firmware.lib.errors import NetError, ProtocolError
from firmware.system.timing import wait_for_ms

_PORT = const(53)
_MULTICAST = "224.0.0.251"
_MULTICAST_PORT = const(5353)
_ANSWER_MS = const(2000)
_TRIES = const(3)
_LATE = ("firmware.lib.dns_packet",)


async def ask(address, port, request, timeout_ms, max_bytes=512, from_anybody=False):
    """Send `request` to the `address` (IPv6 where the port has it) and return the first answer, at most `max_bytes`
    long. Raises NetError.

    Only datagrams from there are seen, unless `from_anybody`, as for a multicast.
    """
    sock = None
    try:
        found = socket.getaddrinfo(address, port, 0, socket.SOCK_DGRAM)[0]
        where = found[-1]
        sock = socket.socket(found[0], socket.SOCK_DGRAM)
        sock.setblocking(False)
        if from_anybody:
            sock.sendto(request, where)
        else:
            sock.connect(where)
            sock.send(request)
        stream = asyncio.StreamReader(sock)  # type: ignore[arg-type]
        reply: bytes = await wait_for_ms(stream.read(max_bytes), timeout_ms)
        return reply or b""
    except asyncio.TimeoutError:
        raise NetError("no answer in %d ms" % timeout_ms)
    except OSError as err:
        raise NetError("cannot ask: %s" % err)
    finally:
        if sock:
            sock.close()


class Resolver:
    """`server()` returns the name server's address, or None while there is none."""

    def __init__(self, server, port=_PORT):
        self._server = server
        self._port = port

    async def address(self, host):
        """The address of `host` as text: itself, or the IPv4 address of a name, or, where it has none and the
        board can use it, the IPv6 address. A name in `.local` is asked for by multicast first, then, as home routers
        know such names, too, like any other. Raises NetError.
        """
        from firmware.lib import dns_packet  # wanted a few times a day

        unload(_LATE)
        host = dns_packet.bare(host)
        if dns_packet.is_address(host):
            return host
        fault = None
        if host.lower().endswith(".local"):
            try:
                return await self._ask(host, dns_packet, _MULTICAST, _MULTICAST_PORT, True)
            except NetError as err:
                fault = err
        server = self._server()
        if server:
            return await self._ask(host, dns_packet, server, self._port, False)
        raise fault or NetError("no name server")

    async def _ask(self, host, dns_packet, server, port, by_multicast):
        fault: NetError | ProtocolError | None = None
        for _ in range(_TRIES):
            for kind in dns_packet.KINDS:
                number = int.from_bytes(os.urandom(2), "big")
                try:
                    query = dns_packet.encode_query(host, number, kind)
                    reply = await ask(server, port, query, _ANSWER_MS, 512, by_multicast)
                    return dns_packet.decode_answer(reply, number, kind)
                except ProtocolError as err:
                    fault = fault if kind != dns_packet.KINDS[0] else err
                except NetError as err:
                    fault = err
                    if not by_multicast:  # who has no address of a kind says nothing to a multicast
                        break
        raise NetError("no address for %s: %s" % (host, fault))
