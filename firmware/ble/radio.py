"""The Bluetooth radio. Owns the stack: only this module imports aioble and bluetooth. Moves bytes, interprets none.

The lock's end (database, advertising, links that centrals open) is in `peripheral`, on aioble where the board has it,
else on `bluetooth.BLE` itself. There our interrupt handler runs before aioble's: 0.6 takes every central that connects,
also a second one or one for which nobody advertises, for the one that the next `advertise` is to return.

The gateway's end drives the `bluetooth.BLE` object directly and loads no aioble, 15 KB of heap. In aioble 0.6
`scan` hands out reports in the wrong order and remembers every address for ever, and `Device.connect` waits for its
whole time-out although the chip has reported the failure, and leaves a link that comes late without an owner.
"""

import asyncio

import bluetooth

from firmware.ble.health import Health
from firmware.lib.compat import const
from firmware.lib.errors import LinkError, LinkTimeout
from firmware.system.inbox import Inbox
from firmware.system.timing import Turn, ticks_diff, ticks_ms

_IRQ_SCAN_RESULT = const(5)
_IRQ_SCAN_DONE = const(6)
_IRQ_PERIPHERAL_CONNECT = const(7)
_IRQ_PERIPHERAL_DISCONNECT = const(8)
_IRQ_SERVICE_RESULT = const(9)  # the first event of a GATT client, and the last
_IRQ_WRITE_DONE = const(17)
_IRQ_NOTIFY = const(18)

# All the time: locks are heard rarely enough, some in bursts minutes apart, and a link comes up after a sighting only
# (hardware-facts.md F4 to F6). Where Wi-Fi needs the radio the chip takes it.
_SCAN_US = const(62500)

# The connection interval that we ask for: an answer takes two, and a failed attempt (0x3E) six. Links last a second or
# two, so the shortest interval costs the lock's battery little: less than a link that lasts longer. Bluetooth proxies
# on the same chip ask for it as well; the 15 ms of hardware-facts.md F6 are what another gateway has. NimBLE's own
# values, which MicroPython leaves no choice about, are good: it initiates listening all the time, and gives a link up
# after 2.56 s.
_INTERVAL_US = const(7500)
_GRACE_MS = const(300)  # beyond the stack's own time-out of an attempt
_STALE_MS = const(1000)  # a cancelled attempt is reported as failed within this time


def _serving_stack():
    try:
        import aioble
        from aioble import core
    except ImportError:  # a frozen build leaves it out
        from firmware.ble import direct_stack

        return direct_stack.Stack(bluetooth)
    from firmware.ble import aioble_stack

    return aioble_stack.Stack(aioble, core, bluetooth.UUID)


class _Turn:
    def __init__(self, radio, timeout_ms):
        self._radio = radio
        self._timeout_ms = timeout_ms

    async def __aenter__(self):
        await self._radio.acquire(self._timeout_ms)

    async def __aexit__(self, kind, err, trace):
        self._radio.release()


class Radio:
    """The one radio of a board. `on_advert(addr_type, address, kind, rssi_dbm, payload)` is called in the interrupt
    handler with views that die when it returns. With `serves` it has a `stack` for a lock's `peripheral`."""

    def __init__(self, log, serves=False):
        self._log = log.area("radio")
        self.stack = _serving_stack() if serves else None
        self._ble = bluetooth.BLE()  # there is but one
        self._turn = Turn()
        self._takers = 0
        self._idle = asyncio.Event()
        self._idle.set()
        self.on_advert = None
        self.on_scan_end = None
        self._is_scanning = False
        self._opening = None  # address of the attempt in progress
        self._opened = Inbox(4)  # its outcome: a Peer, or False
        self._cancelled_ms = None
        self._peers = {}
        self._name = None
        self.health = Health()
        self.server = None  # a lock's `peripheral`, or the `endpoints` of a gateway's add window
        self.make_peer = None  # set by a gateway's `central`

    def start(self, name=None):
        """Switch the radio on; `name` is the GAP device name, which must not be empty (lock-ble-link.md 3.1)."""
        self._name = name or self._name
        if self.stack:
            self.stack.start()
        else:
            self._ble.active(True)
        if self._name:
            self._ble.config(gap_name=self._name)
        self._ble.irq(self._irq)
        self.health.forgive()

    def stop(self):
        """Switch the radio off; every link ends."""
        if self.stack:
            self.stack.stop()
        else:
            self._ble.active(False)
        for each in tuple(self._peers.values()):
            each.lose()
        self._peers.clear()
        if self._opening is not None:
            self._opened.put(False)
        self._cancelled_ms = None
        if self.server:
            self.server.stop()

    def restart(self):
        """Off and on: links end, an attempt to connect fails, a scan ends."""
        self.stop_scan()
        self.stop()
        self.start(self._name)

    @property
    def address(self):
        """Our own address, six bytes in printed order."""
        return bytes(self._ble.config("mac")[1])

    # --- turns: whoever connects acquires the radio, and scanning pauses until its release

    def turn(self, timeout_ms=60000):
        """`async with radio.turn():` the radio is ours and does not scan. Raises LinkTimeout."""
        return _Turn(self, timeout_ms)

    async def acquire(self, timeout_ms):
        self._takers += 1
        self._idle.clear()
        try:
            await self._turn.acquire(timeout_ms)
        except asyncio.TimeoutError:
            self._release()
            raise LinkTimeout("the radio is busy")
        except asyncio.CancelledError:
            self._release()
            raise
        self.stop_scan()

    def release(self):
        self._turn.release()
        self._release()

    def _release(self):
        self._takers -= 1
        if not self._takers:
            self._idle.set()

    def is_idle(self):
        return not self._takers

    async def until_idle(self):
        """Wait until the radio is free and nobody waits for it."""
        await self._idle.wait()

    # --- scanning

    def start_scan(self):
        """Report every advertisement, also the same again, until `stop_scan`. Raises LinkError."""
        try:
            self._ble.gap_scan(0, _SCAN_US, _SCAN_US, True)
        except OSError as err:
            raise LinkError("scan refused: %s" % err)
        self._is_scanning = True
        self.health.listens(True)

    def stop_scan(self):
        """Stop reporting; nothing happens when no scan runs."""
        if not self._is_scanning:
            return
        self._is_scanning = False
        self.health.listens(False)
        try:
            self._ble.gap_scan(None)  # type: ignore[arg-type]
        except OSError as err:
            self._log.warn("scan_stop_failed", err=err)
        if self.on_scan_end:
            self.on_scan_end()

    # --- links that we open

    async def open(self, address, addr_type, timeout_ms):
        """One attempt to connect, by whoever has the turn. Returns the Peer. Raises LinkError, LinkTimeout."""
        if self._cancelled_ms is not None and ticks_diff(ticks_ms(), self._cancelled_ms) > _STALE_MS:
            self._cancelled_ms = None
        self._opened.clear()
        self._opening = bytes(address)
        link = None
        try:
            self._ble.gap_connect(addr_type, self._opening, timeout_ms, _INTERVAL_US, _INTERVAL_US)
            link = await self._opened.get_within(timeout_ms + _GRACE_MS)
            self.health.attempted()
        except OSError as err:
            self.health.attempted(is_refused=True)
            raise LinkError("radio refused: %s" % err)
        except asyncio.TimeoutError:
            self.health.attempted(is_unreported=True)
            raise LinkTimeout("no connection")
        finally:
            self._opening = None
            if link is None:
                self._abandon()
        if not link:
            raise LinkError("connection failed")
        return link

    def uuid(self, number):
        return bluetooth.UUID(number)

    def serve(self, server):
        """Events that are not a client's go to `server` from now on -> the stack, for its database."""
        self.server = server
        return self._ble

    def _abandon(self):
        late = self._opened.get_nowait()
        try:
            if late:
                self._ble.gap_disconnect(late.handle)
            elif late is None:
                self._ble.gap_connect(None)  # type: ignore[arg-type, call-arg]
                self._cancelled_ms = ticks_ms()
        except OSError:  # there is nothing left to cancel
            pass

    # --- interrupt handler: copy, queue, set, leave

    def _irq(self, event, args):
        if event == _IRQ_SCAN_RESULT:
            self.health.advertised()
            if self.on_advert and self._is_scanning:
                self.on_advert(*args)
            return None
        if event == _IRQ_NOTIFY:
            link = self._peers.get(args[0])
            if link:
                link.on_notification(args[1], args[2])
            return None
        if event == _IRQ_SCAN_DONE:
            if self._is_scanning:
                self._is_scanning = False
                self.health.listens(False)
                if self.on_scan_end:
                    self.on_scan_end()
        elif event == _IRQ_PERIPHERAL_CONNECT:
            self._connected(args[0], bytes(args[2]))
        elif event == _IRQ_PERIPHERAL_DISCONNECT:
            self._disconnected(args[0])
        elif _IRQ_SERVICE_RESULT <= event <= _IRQ_WRITE_DONE:
            link = self._peers.get(args[0])
            if link:
                link.on_event(event, args[1:])
        elif self.server:
            return self.server.irq(event, args)
        return None

    def _connected(self, handle, address):
        if address != self._opening or self.make_peer is None:
            self._ble.gap_disconnect(handle)  # came after its attempt was given up
            return
        link = self.make_peer(self._ble, handle, address)
        self._peers[handle] = link
        self._opened.put(link)

    def _disconnected(self, handle):
        link = self._peers.pop(handle, None)
        if link:
            link.lose()
        elif self._cancelled_ms is not None:
            self._cancelled_ms = None  # the end of an attempt that we cancelled, not of the present one
        elif self._opening is not None:
            self._opened.put(False)
