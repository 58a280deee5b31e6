"""A long piece of work as a lock's administrator, beside it: request after request, over as many links as it takes.

A lock ends an administrator's session after two minutes and a link after five (security.md SES-1). Every request sent
here must be one that may be sent twice.
"""

import contextlib
import time

from firmware.lib.errors import LinkError
from host_tools.errors import HostError
from host_tools.near.local_link import beside
from host_tools.near.lock_link import LockLink
from host_tools.owner.keybook import Entry

_SESSION_S = 80
_TRIES = 3


class AdminLink:
    """`async with AdminLink(entry) as admin: await admin.ask(command, plain)`. Raises HostError, and FirmwareError for
    what the lock says no to."""

    def __init__(self, entry: Entry) -> None:
        self._entry = entry
        self._open: contextlib.AsyncExitStack | None = None
        self._link: LockLink | None = None
        self._until_s = 0.0

    async def __aenter__(self) -> "AdminLink":
        return self

    async def __aexit__(self, *exc) -> None:
        await self._close()

    async def _close(self) -> None:
        stack, self._open, self._link = self._open, None, None
        if stack is not None:
            await stack.aclose()

    async def link(self) -> LockLink:
        """A link with a session that will hold for a while."""
        if self._link is None or time.monotonic() >= self._until_s:
            await self._close()
            stack = contextlib.AsyncExitStack()
            self._link = await stack.enter_async_context(beside(self._entry))
            self._open = stack
            self._until_s = time.monotonic() + _SESSION_S
        return self._link

    async def ask(self, command: int, plain: bytes = b"") -> bytes:
        """One request; again on another link if it broke."""
        for left in range(_TRIES, 0, -1):
            try:
                return await (await self.link()).exchange(command, plain)
            except LinkError as err:
                await self._close()
                if left == 1:
                    raise HostError(err.code, str(err), "stay beside %s and run this again" % self._entry.name)
        raise AssertionError
