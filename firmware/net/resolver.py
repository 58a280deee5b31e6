"""Names to addresses. Owns the questions; nothing is kept.

Not `socket.getaddrinfo`: on an ESP32 it blocks the loop for seven seconds per name server that does not answer (lwIP:
four questions, one, one, two and three seconds apart), and the watchdog would reset the board.
"""

import os

from firmware.lib import dns_packet
from firmware.lib.compat import const
from firmware.lib.errors import NetError, ProtocolError
from firmware.net.datagram import ask

_PORT = const(53)
_MULTICAST = "224.0.0.251"
_MULTICAST_PORT = const(5353)
_ANSWER_MS = const(2000)
_TRIES = const(3)


class Resolver:
    """`server()` returns the name server's address, or None while there is none."""

    def __init__(self, server, port=_PORT):
        self._server = server
        self._port = port

    async def address(self, host):
        """The IPv4 address of `host` as text; a name in `.local` is asked by multicast. Raises NetError."""
        if dns_packet.is_address(host):
            return host
        is_local = host.endswith(".local")
        server = _MULTICAST if is_local else self._server()
        if not server:
            raise NetError("no name server")
        fault = None
        for _ in range(_TRIES):
            number = int.from_bytes(os.urandom(2), "big")
            try:
                query = dns_packet.encode_query(host, number)
                port = _MULTICAST_PORT if is_local else self._port
                return dns_packet.decode_answer(await ask(server, port, query, _ANSWER_MS, 512, is_local), number)
            except (NetError, ProtocolError) as err:
                fault = err
        raise NetError("no address for %s: %s" % (host, fault))
