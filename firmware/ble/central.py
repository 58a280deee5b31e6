"""Links to locks: connect within a deadline, find the characteristics, move bytes. Leaves frames to `link`."""

import asyncio

from firmware.lib.compat import const
from firmware.lib.errors import LinkError, LinkTimeout
from firmware.system.timing import remaining_ms, sleep_ms, ticks_diff, ticks_ms

_ATTEMPT_MS = const(4000)  # a lock asleep advertises every second; failures of the chip come far sooner
_LAST_MS = const(50)  # less than this is no attempt
_PAUSE_MS = const(20)
_CHUNK = const(20)  # no MTU exchange is assumed (lock-ble-link.md 3.2)
_REMEMBERED = const(32)


class Channel:
    """An open link to a lock. `inbox` holds its notifications and is closed when the link ends."""

    def __init__(self, peer, write_handle):
        self._peer = peer
        self._write_handle = write_handle
        self.inbox = peer.inbox

    async def write(self, octets):
        """Send `octets` in chunks of 20, without response. Returns once the stack has the last. Raises LinkError."""
        for at in range(0, len(octets), _CHUNK):
            await self._peer.write(self._write_handle, octets[at : at + _CHUNK])

    def is_connected(self):
        return self._peer.is_up()

    async def disconnect(self):
        """End the link and wait for its end, at most 2 s."""
        await self._peer.close()


class _Connecting:
    def __init__(self, central, address, addr_type, deadline_ms):
        self._central = central
        self._target = address, addr_type, deadline_ms
        self._peer = None

    async def __aenter__(self):
        self._peer, handles = await self._central.open(*self._target)
        return Channel(self._peer, handles[0])

    async def __aexit__(self, kind, err, trace):
        await self._central.close(self._peer)


class Central:
    """Opens links, one attempt at a time, several links side by side if the stack has room."""

    def __init__(self, radio, log):
        self._radio = radio
        self._log = log.area("central")
        self._handles = {}  # address -> (write, notify, CCCD), from the link before

    def connect(self, address, addr_type, deadline_ms):
        """`async with central.connect(address, addr_type, deadline_ms) as channel:` with a tick as deadline.

        Attempts follow each other until the deadline. Raises LinkError when the peer is no lock, LinkTimeout when it
        was not reached in time. No link is left behind, whatever happens inside.
        """
        return _Connecting(self, bytes(address), addr_type, deadline_ms)

    async def open(self, address, addr_type, deadline_ms):
        """(Peer, its handles), subscribed. Raises as `connect`; the caller closes."""
        began_ms = ticks_ms()
        attempts = 0
        why = LinkError("the radio was busy too long")
        async with self._radio.turn(remaining_ms(deadline_ms)):
            while remaining_ms(deadline_ms) > _LAST_MS:
                attempts += 1
                try:
                    peer = await self._radio.open(address, addr_type, min(remaining_ms(deadline_ms), _ATTEMPT_MS))
                except LinkError as err:
                    why = err
                    await sleep_ms(_PAUSE_MS)
                    continue
                handles = None
                try:
                    handles = await self._prepare(peer, deadline_ms)
                    ms = ticks_diff(ticks_ms(), began_ms)
                    self._log.info("connected", addr=address, attempts=attempts, ms=ms)
                    return peer, handles
                except LinkError as err:
                    why = err
                    was_cached = self._handles.pop(address, None) is not None
                    if peer.is_up() and not was_cached:
                        raise
                finally:
                    if handles is None:
                        await self.close(peer)
        self._log.info("not_reached", addr=address, attempts=attempts, err=why)
        raise LinkTimeout("not reached in %d attempts: %s" % (attempts, why))

    async def _prepare(self, peer, deadline_ms):
        handles = self._handles.get(peer.address)
        if handles is None:
            handles = await peer.discover(self._radio.service_uuid(), deadline_ms)
        await peer.subscribe(handles[1], handles[2], deadline_ms)
        if not peer.is_up():
            raise LinkError("link lost")
        if peer.address not in self._handles and len(self._handles) >= _REMEMBERED:
            self._handles.pop(next(iter(self._handles)))
        self._handles[peer.address] = handles
        return handles

    async def close(self, peer):
        """End a link. Handles that brought no answer are not trusted again: an update may have moved them."""
        if not peer.has_answered:
            self._handles.pop(peer.address, None)
        try:
            await peer.close()
        except asyncio.CancelledError:
            self._log.debug("close_cancelled", addr=peer.address)  # the stack has been told; nothing is left behind
            raise
        self._log.debug("closed", addr=peer.address, dropped=peer.inbox.dropped)
