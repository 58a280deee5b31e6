"""The lock's end of the radio: database, advertising, the one link that a central opened. Part of `radio`, which hands
it the stack and, before the stack sees them, the events.
"""

import asyncio

from firmware.ble.peer import SERVICE
from firmware.lib.compat import const
from firmware.system.inbox import Inbox
from firmware.system.timing import sleep_ms

_IRQ_CENTRAL_CONNECT = const(1)
_IRQ_CENTRAL_DISCONNECT = const(2)
_IRQ_GATTS_WRITE = const(3)

_READ = const(0x02)
_WRITE = const(0x08 | 0x04)  # with response and without
_NOTIFY = const(0x10)

_CHUNKS = const(64)
_BUFFER = const(512)  # of writes that have not been read
_RETRY_MS = const(1000)


class Served:
    """A link that a central opened to us. `inbox` holds what it wrote, in order, and is closed when the link ends."""

    def __init__(self, handle):
        self.handle = handle
        self.inbox = Inbox(_CHUNKS)
        self.connection = None  # what the stack's `advertise` returned

    def is_up(self):
        return not self.inbox.is_closed


class Server:
    """`stack` is a `direct_stack.Stack` or an `aioble_stack.Stack`."""

    def __init__(self, stack, log):
        self._stack = stack
        self._log = log
        self._central = None
        self._is_advertising = False
        self._rx = self._tx = self._battery = None

    def register(self, identity):
        """Register the lock's database (lock-ble-link.md 3.1). Every readable value has at least one byte."""
        texts = (
            (0x2A29, identity.manufacturer),
            (0x2A24, identity.model),
            (0x2A27, identity.hardware),
            (0x2A26, identity.firmware),
        )
        # services: UUID, values; of a value: UUID, flags, what it holds at first, size of the buffer for writes
        database = (
            (SERVICE, ((0xFFF2, _WRITE, None, _BUFFER), (0xFFF4, _NOTIFY, None, 0))),
            (0x180A, [(number, _READ, (text or "-").encode(), 0) for number, text in texts]),
            (0x180F, ((0x2A19, _READ, b"\x64", 0),)),
        )
        values = self._stack.register(database)
        self._rx, self._tx = values[:2]
        self._battery = values[-1]

    def write_battery(self, level_pct):
        """The value of the battery service."""
        self._stack.write(self._battery, bytes((level_pct,)))

    async def advertise(self, content, timeout_ms):
        """Advertise until a central connects -> Served, or None when none came or it has gone again.

        `content()` gives (interval in ms, advertisement, scan response). It is asked when advertising begins, which may
        be some turns of the loop after the call; later changes come by `refresh_advert`.
        """
        served = connection = None
        self._central = None
        self._is_advertising = True
        interval_ms, adv, resp = content()
        try:
            connection = await self._stack.advertise(interval_ms * 1000, adv, resp, timeout_ms)
            served = self._central
        except asyncio.TimeoutError:
            pass
        except OSError as err:
            self._log.warn("advertise_failed", err=err)
            await sleep_ms(_RETRY_MS)
        finally:
            self._is_advertising = False
            if served is None and self._central is not None:
                self.drop(self._central)
        if served is None:
            return None
        served.connection = connection
        if not served.is_up():
            self._stack.forget(served.handle)
            return None
        return served

    def refresh_advert(self, interval_ms, adv, resp):
        """New content at once, under the running `advertise`, whose wait for a central goes on undisturbed."""
        if not self._is_advertising or self._central is not None:
            return
        try:
            self._stack.ble.gap_advertise(interval_ms * 1000, adv_data=adv, resp_data=resp, connectable=True)
        except OSError as err:  # a central is connecting this moment; the next `advertise` has the new content
            self._log.debug("refresh_failed", err=err)

    def notify(self, served, octets):
        """One notification. Raises OSError while the stack has no buffer, or when the link has just ended."""
        self._stack.notify(served, self._tx, octets)

    def drop(self, served):
        """Ask for the end of a link that a central opened."""
        try:
            self._stack.ble.gap_disconnect(served.handle)
        except OSError:
            served.inbox.close()

    def stop(self):
        """The radio is off."""
        if self._central:
            self._central.inbox.close()

    def irq(self, event, args):
        """In the interrupt handler: an event that is not the gateway's."""
        central = self._central
        if event == _IRQ_CENTRAL_CONNECT:
            if central is not None or not self._is_advertising:  # one central at a time
                self._stack.ble.gap_disconnect(args[0])
                return None
            self._central = Served(args[0])
        elif event == _IRQ_CENTRAL_DISCONNECT:
            if central is not None and central.handle == args[0]:
                central.inbox.close()
        elif event == _IRQ_GATTS_WRITE:
            octets = b"" if self._rx is None else self._stack.read(self._rx)
            if octets and central is not None and central.handle == args[0]:
                central.inbox.put(bytes(octets))
            return None
        return self._stack.irq(event, args)
