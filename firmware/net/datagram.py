"""One question and one answer by UDP, without blocking the loop. Owns the socket of that exchange."""

import asyncio
import socket

from firmware.lib.errors import NetError
from firmware.system.timing import wait_for_ms


async def ask(address, port, request, timeout_ms, max_bytes=512, from_anybody=False):
    """Send `request` to the IPv4 `address` and return the first answer, at most `max_bytes` long. Raises NetError.

    Only datagrams from there are seen, unless `from_anybody`, as for a multicast.
    """
    sock = None
    try:
        where = socket.getaddrinfo(address, port, 0, socket.SOCK_DGRAM)[0][-1]
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
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
