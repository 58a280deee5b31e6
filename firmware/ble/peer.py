"""A lock that we are connected to as central: its GATT handles, its notifications. Owns one link's two inboxes.

aioble 0.6 is not used for this part: its discovery neither ends when the link is lost nor has a time-out, and it keeps
one notification per characteristic. `radio` feeds the inboxes from its interrupt handler; every wait here ends at a
deadline or when the link does.
"""

import asyncio

from firmware.lib.compat import const
from firmware.lib.errors import LinkError, LinkTimeout
from firmware.system.inbox import Inbox
from firmware.system.timing import remaining_ms, sleep_ms, wait_for_ms

_WRITE = b"\xf2\xff"  # FFF2 and FFF4 as they travel, least significant octet first
_NOTIFY = b"\xf4\xff"
_CCCD = b"\x02\x29"

IRQ_SERVICE_RESULT = 9
IRQ_SERVICE_DONE = 10
IRQ_CHARACTERISTIC_RESULT = 11
IRQ_CHARACTERISTIC_DONE = 12
IRQ_DESCRIPTOR_RESULT = 13
IRQ_DESCRIPTOR_DONE = 14
_IRQ_READ_RESULT = const(15)
IRQ_READ_DONE = 16
IRQ_WRITE_DONE = 17

_NOTIFICATIONS = const(64)  # four frames of the largest size
_EVENTS = const(16)
_MAX_RESULTS = const(64)  # of one discovery: a lock has a handful of services
_ATT_ERROR = const(0x100)  # NimBLE: above it, an error that the peer's server has answered
_BUSY_PAUSE_MS = const(8)
_BUSY_LIMIT = const(250)


class Peer:
    """One link. `inbox` holds notifications in order of arrival and is closed when the link ends."""

    def __init__(self, ble, handle, address):
        self._ble = ble
        self.handle = handle
        self.address = address
        self.inbox = Inbox(_NOTIFICATIONS)
        self.settled_ms = None  # see central.Channel
        self.notify_handle = None
        self.has_answered = False
        self.is_established = False  # the peer's GATT server has answered: the link is established
        self._subscribing = None  # handle of the CCCD whose writing has not been acknowledged
        self._events = Inbox(_EVENTS)

    # --- called by radio's interrupt handler

    def on_event(self, event, args):
        """A GATT client event of this link; `args` are those after the handle."""
        if event == _IRQ_READ_RESULT:  # of `wake`, to which the value means nothing
            return
        status = 0
        if event in (IRQ_SERVICE_RESULT, IRQ_CHARACTERISTIC_RESULT, IRQ_DESCRIPTOR_RESULT):
            args = args[:-1] + (bytes(args[-1]),)  # a UUID whose memory is used again
        else:
            status = args[-1]
        if not status or status >= _ATT_ERROR:  # smaller ones are the stack's own, for example a lost link
            self.is_established = True
        if event == IRQ_WRITE_DONE and args[0] == self._subscribing:
            self._subscribing = None
            if args[1]:  # no notification will come: whoever waits for an answer sees a lost link
                self.inbox.close()
            return
        self._events.put((event, args))

    def on_notification(self, value_handle, octets):
        """A notification; `octets` is a view that dies with the interrupt."""
        if self.notify_handle is None or value_handle == self.notify_handle:
            self.has_answered = True
            self.inbox.put(bytes(octets))

    def lose(self):
        """The link has ended."""
        self.inbox.close()
        self._events.close()

    # --- called by tasks

    def is_up(self):
        return not self._events.is_closed

    async def discover(self, service_uuid, deadline_ms):
        """Find the lock's characteristics: handles to write, of notifications, of their CCCD. Raises LinkError."""
        ble = self._ble
        self._begin(ble.gattc_discover_services, service_uuid)
        results = await self._results(IRQ_SERVICE_RESULT, IRQ_SERVICE_DONE, deadline_ms)
        if not results:
            raise LinkError("the peer has no lock service")
        start, end, _ = results[0]
        self._begin(ble.gattc_discover_characteristics, start, end)
        write = notify = notify_end = None
        for end_handle, value_handle, _, uuid in await self._results(
            IRQ_CHARACTERISTIC_RESULT, IRQ_CHARACTERISTIC_DONE, deadline_ms
        ):
            if uuid == _WRITE:
                write = value_handle
            elif uuid == _NOTIFY:
                notify = value_handle
                notify_end = end_handle if end_handle > value_handle else end
        if write is None or notify is None:
            raise LinkError("the lock service lacks a characteristic")
        self._begin(ble.gattc_discover_descriptors, notify, notify_end)
        for handle, uuid in await self._results(IRQ_DESCRIPTOR_RESULT, IRQ_DESCRIPTOR_DONE, deadline_ms):
            if uuid == _CCCD:
                return write, notify, handle
        raise LinkError("the lock's notifications cannot be switched on")

    async def wake(self, battery_uuid, deadline_ms):
        """Read the battery level, a number that means nothing: some locks notify only after one read (hardware-facts.md
        F36). A lock without it is none the worse. Raises LinkError when the link ends."""
        self._begin(self._ble.gattc_discover_services, battery_uuid)
        for start, end, _ in await self._results(IRQ_SERVICE_RESULT, IRQ_SERVICE_DONE, deadline_ms):
            self._begin(self._ble.gattc_discover_characteristics, start, end)
            for found in await self._results(IRQ_CHARACTERISTIC_RESULT, IRQ_CHARACTERISTIC_DONE, deadline_ms):
                self._begin(self._ble.gattc_read, found[1])
                while (await self._next(deadline_ms))[0] != IRQ_READ_DONE:
                    pass
                return

    def begin_to_subscribe(self, notify_handle, cccd_handle):
        """Switch notifications on without waiting for the acknowledgement: what is written next follows in the same
        connection event. A refusal closes the inbox. Raises LinkError."""
        self.notify_handle = notify_handle
        self._subscribing = cccd_handle
        self._begin(self._ble.gattc_write, cccd_handle, b"\x01\x00", 1)

    async def subscribe(self, notify_handle, cccd_handle, deadline_ms):
        """Switch notifications on, acknowledged. Raises LinkError, LinkTimeout."""
        self.notify_handle = notify_handle
        self._begin(self._ble.gattc_write, cccd_handle, b"\x01\x00", 1)
        while True:
            event, args = await self._next(deadline_ms)
            if event == IRQ_WRITE_DONE:
                if args[1]:
                    raise LinkError("subscribing failed with status %d" % args[1])
                return

    async def write(self, handle, octets):
        """Hand `octets` to the stack, without response, waiting for room. Raises LinkError."""
        for _ in range(_BUSY_LIMIT):
            if not self.is_up():
                break
            try:
                self._ble.gattc_write(self.handle, handle, octets, 0)
                return
            except OSError:  # no buffer free, or the link has just gone
                await sleep_ms(_BUSY_PAUSE_MS)
        raise LinkError("write failed" if self.is_up() else "link lost")

    async def close(self, timeout_ms=2000):
        """Disconnect and wait until the link has ended, at most `timeout_ms`."""
        if not self.is_up():
            return
        try:
            self._ble.gap_disconnect(self.handle)
        except OSError:
            self.lose()
            return
        try:
            await wait_for_ms(self._until_lost(), timeout_ms)
        except asyncio.TimeoutError:
            self.lose()  # the caller does not wait for a stack that never reports the end

    async def _until_lost(self):
        while await self._events.get() is not None:
            pass

    def _begin(self, call, *args):
        self._events.clear()
        try:
            call(self.handle, *args)
        except OSError as err:
            raise LinkError("radio refused: %s" % err)

    async def _next(self, deadline_ms):
        try:
            item = await self._events.get_within(remaining_ms(deadline_ms))
        except asyncio.TimeoutError:
            raise LinkTimeout("no answer from the peer's GATT server")
        if item is None:
            raise LinkError("link lost")
        return item

    async def _results(self, result, done, deadline_ms):
        results: list = []
        while True:
            event, args = await self._next(deadline_ms)
            if event == result:
                if len(results) >= _MAX_RESULTS:
                    raise LinkError("the peer's database has no end")
                results.append(args)
            elif event == done:
                return results
