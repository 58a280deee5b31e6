"""One JSON object per line in, one JSON object per line out, on the board's serial port. Owns stdin and stdout.

What does not begin with `{` is ignored without an answer: log lines, which share the port, may be echoed back by a
terminal. A reply is one line that begins with `{`; a log line never does. What begins so and is no object that can be
read is answered with `bad_request`.
"""

import asyncio
import json
import select
import sys

from firmware.lib.compat import const, loads_object
from firmware.lib.errors import FirmwareError

_MAX_LINE = const(4096)  # all settings at once, with a token of 512 bytes in each of two
_BURST = const(128)  # bytes that may be read before other tasks get a turn
BAD = ()  # in place of a request that cannot be read


class Lines:
    """Bytes -> objects, BAD for a line that begins as one and cannot be read: it is no JSON, too deep, or longer than
    `max_line`, of which the rest is dropped."""

    def __init__(self, max_line=_MAX_LINE):
        self._max_line = max_line
        self._line = bytearray()
        self._is_overlong = False

    def feed(self, octet):
        """Take one byte (an int); return the object of the line it ends, else None."""
        if octet != 10 and octet != 13:
            if len(self._line) >= self._max_line:
                self._is_overlong = True
            else:
                self._line.append(octet)
            return None
        line, self._line = self._line, bytearray()
        is_overlong, self._is_overlong = self._is_overlong, False
        if line.lstrip()[:1] != b"{":
            return None
        try:
            return BAD if is_overlong else loads_object(bytes(line).decode())
        except (ValueError, UnicodeError, MemoryError):  # more than this board has room for is no request
            return BAD


async def answer(handler, request):
    """The reply to `request`: what `handler` (plain or async) returns, or a dict that says what went wrong; with the
    `seq` of the request where it has one, so that a late reply is taken for nothing else."""
    if request is BAD:
        return {"ok": False, "code": "bad_request", "msg": "no JSON object that can be read"}
    mark = request.pop("seq", None)
    reply = await _reply(handler, request)
    return reply if mark is None else dict(reply, seq=mark)


async def _reply(handler, request):
    try:
        reply = handler(request)
        if hasattr(reply, "send"):
            reply = await reply
        return reply
    except FirmwareError as err:
        return {"ok": False, "code": err.code, "msg": str(err)}
    except Exception as err:  # the boundary that turns failures into replies
        return {"ok": False, "code": "internal", "msg": type(err).__name__}


async def serve(handler, lease):
    """Answer requests for ever.

    Reads byte by byte what has arrived: `readline` would block a board until the line ends.
    """
    octets = sys.stdin.buffer
    reader = asyncio.StreamReader(octets)
    poll = select.poll()
    poll.register(octets, select.POLLIN)
    lines = Lines()
    while True:
        lease.suspend()
        octet = await reader.read(1)
        lease.renew()
        for left in range(_BURST, 0, -1):
            if not octet:  # the other end is gone, and nothing will ever come again
                await lease.wait(asyncio.Event())
            request = lines.feed(octet[0])
            if request is not None:
                sys.stdout.write(json.dumps(await answer(handler, request)) + "\n")
            if left == 1 or not poll.poll(0):
                break  # with every byte that was read used
            octet = octets.read(1)
