"""Links to locks: connect within a deadline, find the characteristics, move bytes. Leaves frames to `link`."""

import asyncio

from firmware.ble.peer import Peer
from firmware.lib.advert import SERVICE
from firmware.lib.compat import const
from firmware.lib.errors import GaveWay, LinkError, LinkTimeout
from firmware.system.timing import remaining_ms, sleep_ms, ticks_add, ticks_diff, ticks_ms

# Many short attempts: every second one fails with 0x3E however near the lock is, and the next may do (hardware-facts.md
# F3, F6). The chip reports a failure sooner than these.
_FIRST_MS = const(1800)
_NEXT_MS = const(2500)
_PAUSE_MS = const(20)  # the next advertisement may be a burst's last (hardware-facts.md F4)
_REFUSED_MS = const(250)  # the same after an attempt that the stack ended at once
_AT_ONCE_MS = const(10)
_LAST_MS = const(50)  # too short for an attempt
_SETTLE_MS = const(100)  # between the subscription and the first request to a foreign lock (hardware-facts.md F36)
_CHUNK = const(20)  # no MTU exchange is assumed (lock-ble-link.md 3.2)
_REMEMBERED = const(32)
_BATTERY_SERVICE = const(0x180F)


class Channel:
    """An open link to a lock. `inbox` holds its notifications and is closed when the link ends. Before `settled_ms`, a
    tick, an answer may be lost; None: there is no such time.
    """

    def __init__(self, peer, write_handle, settled_ms=None):
        self._peer = peer
        self._write_handle = write_handle
        self.inbox = peer.inbox
        self.settled_ms = settled_ms

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
    def __init__(self, central, *target):
        self._central = central
        self._target = target
        self._peer = None

    async def __aenter__(self):
        self._peer, handles = await self._central.open(*self._target)
        return Channel(self._peer, handles[0], self._peer.settled_ms)

    async def __aexit__(self, kind, err, trace):
        await self._central.close(self._peer)


class Central:
    """Opens links, one attempt at a time, several links side by side if the stack has room."""

    def __init__(self, radio, log):
        self._radio = radio
        self._log = log.area("central")
        radio.make_peer = Peer
        self._handles = {}  # address -> (write, notify, CCCD), from the link before
        self._mute = set()  # addresses of peers that said nothing on the link before

    def connect(self, address, addr_type, deadline_ms, is_eager=False, gives_way=None):
        """`async with central.connect(address, addr_type, deadline_ms) as channel:` with a tick as deadline.

        Short attempts follow each other until the deadline, or until `gives_way()` is true after one. Raises LinkError
        when the peer is no lock, LinkTimeout when it was not reached in time, GaveWay. No link is left behind, whatever
        happens inside. `is_eager`, for a peer known to take it: where the handles are known, the channel may be written
        to before the peer has acknowledged the subscription, or even the link; then the first wait for an answer finds
        out.
        """
        return _Connecting(self, bytes(address), addr_type, deadline_ms, is_eager, gives_way)

    def recall(self, address):
        """The handles (to write, of notifications, of their CCCD) that worked last time, or None."""
        return self._handles.get(address)

    def remember(self, address, handles):
        """Use handles that were stored elsewhere, until they bring no answer."""
        if address not in self._handles and len(self._handles) >= _REMEMBERED:
            self._handles.pop(next(iter(self._handles)))
        self._handles[address] = handles

    async def open(self, address, addr_type, deadline_ms, is_eager=False, gives_way=None):
        """(Peer, its handles), subscribed. Raises as `connect`; the caller closes."""
        began_ms = tried_ms = ticks_ms()
        attempts = 0
        why = LinkError("the radio was busy too long")
        async with self._radio.turn(remaining_ms(deadline_ms)):
            while remaining_ms(deadline_ms) > _LAST_MS:
                if attempts and gives_way and gives_way():
                    raise GaveWay("more urgent work")
                if attempts:
                    is_refused = ticks_diff(ticks_ms(), tried_ms) < _AT_ONCE_MS
                    await sleep_ms(min(_REFUSED_MS if is_refused else _PAUSE_MS, remaining_ms(deadline_ms)))
                    if remaining_ms(deadline_ms) <= _LAST_MS:
                        break
                limit_ms = _NEXT_MS if attempts else _FIRST_MS
                attempts += 1
                tried_ms = ticks_ms()
                try:
                    peer = await self._radio.open(address, addr_type, min(remaining_ms(deadline_ms), limit_ms))
                except LinkError as err:
                    why = err
                    continue
                handles = None
                try:
                    handles = await self._prepare(peer, deadline_ms, is_eager)
                    ms = ticks_diff(ticks_ms(), began_ms)
                    self._log.info("connected", addr=address, attempts=attempts, ms=ms)
                    return peer, handles
                except LinkError as err:
                    why = err
                    if peer.is_up() and self._handles.pop(address, None) is None:
                        raise
                finally:
                    if handles is None:
                        await self.close(peer)
        self._log.info("not_reached", addr=address, attempts=attempts, err=why)
        raise LinkTimeout("not reached in %d attempts: %s" % (attempts, why))

    async def _prepare(self, peer, deadline_ms, is_eager):
        handles = self._handles.get(peer.address)
        if handles is not None and is_eager:
            peer.begin_to_subscribe(handles[1], handles[2])
            return handles
        if handles is None:
            handles = await peer.discover(self._radio.uuid(SERVICE), deadline_ms)
        settled_ms = ticks_add(ticks_ms(), _SETTLE_MS)
        await peer.subscribe(handles[1], handles[2], deadline_ms)
        if not is_eager:
            if peer.address in self._mute:
                await peer.wake(self._radio.uuid(_BATTERY_SERVICE), deadline_ms)
            peer.settled_ms = settled_ms
        if not peer.is_up():
            raise LinkError("link lost")
        self.remember(peer.address, handles)
        return handles

    async def close(self, peer):
        """End a link. Handles that brought no answer on a link that stood are not trusted again: an update of the lock
        may have moved them. An attempt that failed (0x3E) says nothing about them."""
        if peer.is_established:
            self._radio.health.linked()
        self._mute.discard(peer.address)
        if not peer.has_answered and (peer.is_established or peer.is_up()):
            self._handles.pop(peer.address, None)
            if len(self._mute) < _REMEMBERED:
                self._mute.add(peer.address)
        try:
            await peer.close()
        except asyncio.CancelledError:
            self._log.debug("close_cancelled", addr=peer.address)  # the disconnect was requested; no link remains
            raise
        self._log.debug("closed", addr=peer.address, dropped=peer.inbox.dropped)
