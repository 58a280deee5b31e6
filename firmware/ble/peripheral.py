"""The lock's end of the radio: database, advertising, and the one link that a central opened. Moves chunks; frames are
the session's business. `radio` hands it the stack and, before the stack sees them, the events.
"""

import asyncio

from firmware.lib import frame
from firmware.lib.advert import SERVICE
from firmware.lib.compat import const
from firmware.lib.errors import LinkError, LinkTimeout
from firmware.system.inbox import Inbox
from firmware.system.timing import remaining_ms, sleep_ms, ticks_add, ticks_diff, ticks_ms

_IRQ_CENTRAL_CONNECT = const(1)
_IRQ_CENTRAL_DISCONNECT = const(2)
_IRQ_GATTS_WRITE = const(3)

_READ = const(0x02)
_WRITE = const(0x08 | 0x04)  # with response and without
_NOTIFY = const(0x10)

# Flags; 16-bit service list with 0x1910, which may be left out; manufacturer data follow (lock-ble-link.md 2.1).
_FLAGS = b"\x02\x01\x06"
_SERVICES = b"\x03\x03\x10\x19"
_MANUFACTURER = b"\xff"
_NAME = b"\x09"
_MANUFACTURER_LEN = const(15)  # and more with some makers
_ADVERT = const(31)
_MAX_NAME = const(29)
_CHUNK = const(20)
_CHUNKS = const(64)
_BUFFER = const(512)  # of writes that have not been read
_RENEW_MS = const(60000)  # advertising is restarted this often, in case the stack has stopped it
_RETRY_MS = const(1000)
_BUSY_PAUSE_MS = const(8)
_SEND_MS = const(3000)
_CLOSE_MS = const(2000)


class Connection:
    """A link that a central opened. `inbox` holds what it wrote, in order, and is closed when the link ends."""

    def __init__(self, peripheral, handle):
        self._peripheral = peripheral
        self.handle = handle
        self.inbox = Inbox(_CHUNKS)
        self.connection = None  # what the stack's `advertise` returned
        self.epoch = 0  # its number since start-up, so that state can be tied to it

    @property
    def link(self):
        """(handle, epoch): unique, because the stack reuses handles."""
        return self.handle, self.epoch

    def is_connected(self):
        return not self.inbox.is_closed

    @property
    def dropped(self):
        """Chunks lost because the inbox was full."""
        return self.inbox.dropped

    async def receive(self, timeout_ms):
        """The next chunk that the central wrote, in order. Raises LinkTimeout, or LinkError once the link has ended."""
        try:
            octets = await self.inbox.get_within(timeout_ms)
        except asyncio.TimeoutError:
            raise LinkTimeout("nothing was written")
        if octets is None:
            raise LinkError("link lost")
        return octets

    def nudge(self):
        """End a `receive` that waits, as if its time were up: there is something to send."""
        self.inbox.nudge()

    async def send(self, raw_frame):
        """Notify a whole frame in chunks that public clients reassemble (lock-ble-link.md 3.3). Raises LinkError."""
        deadline_ms = ticks_add(ticks_ms(), _SEND_MS)
        for chunk in frame.chunks(raw_frame, _CHUNK, True):
            while True:
                if not self.is_connected():
                    raise LinkError("link lost")
                try:
                    self._peripheral.notify(self, chunk)
                    break
                except OSError:  # no buffer free
                    if not remaining_ms(deadline_ms):
                        raise LinkError("notification failed")
                    await sleep_ms(_BUSY_PAUSE_MS)

    async def disconnect(self):
        """End the link and wait for its end, at most 2 s."""
        began_ms = ticks_ms()
        if self.is_connected():
            self._peripheral.drop(self)
        while self.is_connected():
            if ticks_diff(ticks_ms(), began_ms) > _CLOSE_MS:
                self.inbox.close()  # the caller does not wait for a stack that never reports the end
                return
            await sleep_ms(_BUSY_PAUSE_MS)


class Peripheral:
    """`identity` has device_name, manufacturer, model, hardware and firmware, all texts. Starts the radio."""

    def __init__(self, radio, identity, log):
        self._stack = radio.stack
        self._log = log.area("peripheral")
        self._adv = b""
        self._resp = b""
        self._interval_ms = 400
        self._epoch = 0
        self._central = None  # the one that has connected last
        self._served = None  # the one that `accept` returned
        self._second = None  # the task that waits for another one beside it
        self._is_advertising = False
        self._rx = self._tx = self._battery = None
        radio.server = self
        radio.start(identity.device_name)
        self._register(identity)

    def _register(self, identity):
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

    def set_battery(self, level_pct):
        """Level in the battery service, 0 to 100."""
        self._stack.write(self._battery, bytes((max(0, min(100, level_pct)),)))

    def set_advert(self, manufacturer, name, interval_ms, shows_service=True):
        """What to advertise; new content is on the air at once, under a running `advertise`, whose wait for a central
        goes on undisturbed. Raises ValueError when it does not fit."""
        octets = name.encode()
        head = _FLAGS + _SERVICES if shows_service else _FLAGS
        adv = head + bytes((len(manufacturer) + 1,)) + _MANUFACTURER + bytes(manufacturer)
        if len(manufacturer) < _MANUFACTURER_LEN or len(adv) > _ADVERT or not 0 < len(octets) <= _MAX_NAME:
            raise ValueError("advertisement does not fit")
        resp = bytes((len(octets) + 1,)) + _NAME + octets
        if (adv, resp, interval_ms) == (self._adv, self._resp, self._interval_ms):
            return
        self._adv = adv
        self._resp = resp
        self._interval_ms = interval_ms
        if not self._is_advertising or self._central is not None:
            return
        try:
            self._stack.ble.gap_advertise(interval_ms * 1000, adv_data=adv, resp_data=resp, connectable=True)
        except OSError as err:  # a central is connecting this moment; the next `advertise` has the new content
            self._log.debug("refresh_failed", err=err)

    async def accept(self, lease):
        """Advertise until a central connects, and return the Connection: at once if one has come by `open_again`."""
        while True:
            lease.renew(_RENEW_MS)
            second = self._second
            self._second = None
            connection = await (second or self.advertise(_RENEW_MS))
            if connection is not None and connection.is_connected():
                self._served = connection
                self._epoch += 1
                connection.epoch = self._epoch
                self._log.info("connected", epoch=self._epoch)
                return connection

    def open_again(self, is_wanted):
        """Let one more central connect while a link is up, or no longer; to be called all the time. That one waits, and
        `has_next` says so, until the link ends and `accept` returns it, or `open_again(False)` sends it away.
        """
        second = self._second
        if second is not None and (not is_wanted or (second.done() and not self.has_next)):
            self._second = None
            if not second.done():
                second.cancel()
            elif self.has_next:
                self.drop(self._central)
        if is_wanted and self._second is None:
            self._second = asyncio.create_task(self.advertise(_RENEW_MS))

    @property
    def has_next(self):
        """True if a central waits beside the one that is served."""
        central = self._central
        return central is not None and central is not self._served and central.is_connected()

    async def advertise(self, timeout_ms):
        """Advertise until a central connects -> Connection, or None when none came or it has gone again."""
        central = accepted = None
        self._central = None
        self._is_advertising = True
        try:
            accepted = await self._stack.advertise(self._interval_ms * 1000, self._adv, self._resp, timeout_ms)
            central = self._central
        except asyncio.TimeoutError:
            pass
        except OSError as err:
            self._log.warn("advertise_failed", err=err)
            await sleep_ms(_RETRY_MS)
        finally:
            self._is_advertising = False
            if central is None and self._central is not None:
                self.drop(self._central)
        if central is None:
            return None
        central.connection = accepted
        if not central.is_connected():
            self._stack.forget(central.handle)
            return None
        return central

    def notify(self, connection, octets):
        """One notification. Raises OSError while the stack has no buffer, or when the link has just ended."""
        self._stack.notify(connection, self._tx, octets)

    def drop(self, connection):
        """Ask for the end of a link."""
        try:
            self._stack.ble.gap_disconnect(connection.handle)
        except OSError:
            connection.inbox.close()

    def stop(self):
        """The radio is off."""
        for central in (self._central, self._served):
            if central:
                central.inbox.close()

    def _of(self, handle):
        for central in (self._central, self._served):
            if central is not None and central.handle == handle and central.is_connected():
                return central
        return None

    def irq(self, event, args):
        """In the interrupt handler: an event that is not the gateway's."""
        central = self._central
        if event == _IRQ_CENTRAL_CONNECT:
            if central is not None or not self._is_advertising:  # one central at a time
                self._stack.ble.gap_disconnect(args[0])
                return None
            self._central = Connection(self, args[0])
        elif event == _IRQ_CENTRAL_DISCONNECT:
            central = self._of(args[0])
            if central is not None:
                central.inbox.close()
        elif event == _IRQ_GATTS_WRITE:
            octets = b"" if self._rx is None else self._stack.read(self._rx)
            central = self._of(args[0])
            if octets and central is not None:
                central.inbox.put(bytes(octets))
            return None
        return self._stack.irq(event, args)
