"""The lock's end of the radio, on aioble: database, advertising, the one link that a central opened. Part of `radio`,
which hands it the modules and, before aioble sees them, the events.
"""

import asyncio

from firmware.ble.peer import SERVICE
from firmware.lib.compat import const
from firmware.system.inbox import Inbox
from firmware.system.timing import sleep_ms

_IRQ_CENTRAL_CONNECT = const(1)
_IRQ_CENTRAL_DISCONNECT = const(2)
_IRQ_GATTS_WRITE = const(3)

_CHUNKS = const(64)
_RETRY_MS = const(1000)


class Served:
    """A link that a central opened to us. `inbox` holds what it wrote, in order, and is closed when the link ends."""

    def __init__(self, handle):
        self.handle = handle
        self.inbox = Inbox(_CHUNKS)
        self.connection = None  # aioble's

    def is_up(self):
        return not self.inbox.is_closed


class Server:
    """`aioble` is the module, `ble` the bluetooth.BLE object, `uuid` makes UUIDs, `forward` is aioble's own handler."""

    def __init__(self, aioble, ble, uuid, forward, log):
        self._aioble = aioble
        self._ble = ble
        self._uuid = uuid
        self._forward = forward
        self._log = log
        self._central = None
        self._is_advertising = False
        self._rx = None

    def register(self, identity):
        """Register the lock's database (lock-ble-link.md 3.1). Every readable value has at least one byte."""
        aioble = self._aioble
        uuid = self._uuid
        lock = aioble.Service(uuid(SERVICE))
        # append: on a port that delivers interrupts late, a read returns all that was written since the last one.
        self._rx = aioble.BufferedCharacteristic(
            lock, uuid(0xFFF2), write=True, write_no_response=True, max_len=512, append=True
        )
        self._tx = aioble.Characteristic(lock, uuid(0xFFF4), notify=True)
        device = aioble.Service(uuid(0x180A))
        for number, text in (
            (0x2A29, identity.manufacturer),
            (0x2A24, identity.model),
            (0x2A27, identity.hardware),
            (0x2A26, identity.firmware),
        ):
            aioble.Characteristic(device, uuid(number), read=True, initial=(text or "-").encode())
        battery = aioble.Service(uuid(0x180F))
        self._battery = aioble.Characteristic(battery, uuid(0x2A19), read=True, initial=b"\x64")
        aioble.register_services(lock, device, battery)

    def write_battery(self, level_pct):
        """The value of the battery service."""
        self._battery.write(bytes((level_pct,)))

    async def advertise(self, content, timeout_ms):
        """Advertise until a central connects -> Served, or None when none came or it has gone again.

        `content()` gives (interval in ms, advertisement, scan response). It is asked when advertising begins, which may
        be some turns of the loop after the call; from then on news come by `refresh_advert`.
        """
        served = connection = None
        self._central = None
        self._is_advertising = True
        interval_ms, adv, resp = content()
        try:
            connection = await self._aioble.advertise(
                interval_ms * 1000, adv_data=adv, resp_data=resp, timeout_ms=timeout_ms
            )
            if connection is None:  # aioble 0.6 swallows the cancellation
                raise asyncio.CancelledError
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
        if not served.is_up():  # gone before aioble could see it: tell it again, so that it forgets the link
            self._forward(_IRQ_CENTRAL_DISCONNECT, (served.handle, 0, bytes(6)))
            return None
        return served

    def refresh_advert(self, interval_ms, adv, resp):
        """New content at once, under the running `advertise`, whose wait for a central goes on undisturbed."""
        if not self._is_advertising or self._central is not None:
            return
        try:
            self._ble.gap_advertise(interval_ms * 1000, adv_data=adv, resp_data=resp, connectable=True)
        except OSError as err:  # a central is connecting this moment; the next `advertise` has the new content
            self._log.debug("refresh_failed", err=err)

    def notify(self, served, octets):
        """One notification. Raises OSError while the stack has no buffer, TypeError when aioble has lost the link."""
        self._tx.notify(served.connection, octets)

    def drop(self, served):
        """Ask for the end of a link that a central opened."""
        try:
            self._ble.gap_disconnect(served.handle)
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
                self._ble.gap_disconnect(args[0])
                return None
            self._central = Served(args[0])
        elif event == _IRQ_CENTRAL_DISCONNECT:
            if central is not None and central.handle == args[0]:
                central.inbox.close()
        elif event == _IRQ_GATTS_WRITE:
            octets = self._rx.read() if self._rx else b""
            if octets and central is not None and central.handle == args[0]:
                central.inbox.put(bytes(octets))
            return None
        try:
            return self._forward(event, args)
        except AttributeError:  # aioble from before micropython-lib #471: the link dropped before advertise() resumed
            return None
