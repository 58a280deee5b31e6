"""Opens sessions: waits for the lock's first sign of life, connects, gives the link its keys. Owns no link for longer
than the context it hands out.
"""

import asyncio

from firmware.gateway.scheduler import NotNear
from firmware.gateway.session import Session
from firmware.lib.errors import LinkError, LinkTimeout
from firmware.system.timing import remaining_ms, wait_for_ms


class Links:
    """`central` is a ble.central.Central, `make_link(channel, key, header, own_lock)` makes a ble.link.Link."""

    def __init__(self, central, make_link, registry):
        self._central = central
        self._make_link = make_link
        self._registry = registry

    def open(self, lock, until_ms, gives_way=None):
        """`async with links.open(lock, until_ms) as session:` Raises NotNear, LinkError; GaveWay when `gives_way()` was
        true between two attempts."""
        return _Opening(self, lock, until_ms, gives_way)

    async def enter(self, lock, until_ms, gives_way):
        """(context to leave, Session)"""
        try:
            await wait_for_ms(self._registry.until_sighted(lock), remaining_ms(until_ms))
        except asyncio.TimeoutError:
            raise NotNear("no advertisement of the lock")
        if lock.handles and not self._central.recall(lock.address):
            self._central.remember(lock.address, tuple(lock.handles))
        # Only our own lock is known to take a request together with the subscription; public clients pause in between
        # (lock-ble-link.md 10).
        context = self._central.connect(lock.address, lock.addr_type, until_ms, lock.is_own, gives_way)
        try:
            channel = await context.__aenter__()
        except LinkTimeout as err:
            raise LinkError("could not connect: %s" % err)
        header = (lock.scene, lock.group, lock.org)
        link = self._make_link(channel, lock.aes, header, lock.is_own, lock.pin)
        self._registry.linked(lock.address)
        return context, Session(link, lock, self._registry, until_ms)

    def leaving(self):
        """A link is about to be closed."""
        self._registry.linked(None)

    def left(self, lock):
        """A link to the lock has ended: keep its attribute handles on flash if they are new, or forget them."""
        handles = self._central.recall(lock.address)
        if handles is None:
            lock.handles = None  # the file may keep them: after a restart they are worth one try
        elif not lock.handles or tuple(lock.handles) != tuple(handles):
            lock.handles = handles
            self._registry.save(lock)


class _Opening:
    def __init__(self, links, *target):
        self._links = links
        self._target = target
        self._lock = target[0]

    async def __aenter__(self):
        self._context, session = await self._links.enter(*self._target)
        return session

    async def __aexit__(self, kind, err, trace):
        self._links.leaving()
        self._lock.advert = None  # what it advertises from now on is news, even if it looks as before
        await self._context.__aexit__(kind, err, trace)
        self._links.left(self._lock)
