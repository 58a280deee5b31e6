"""The lock's end of the air: advertising and one central at a time. Moves chunks; frames are the session's business."""

import asyncio

from firmware.lib import frame
from firmware.lib.compat import const
from firmware.lib.errors import LinkError, LinkTimeout
from firmware.system.timing import remaining_ms, sleep_ms, ticks_add, ticks_diff, ticks_ms

# Flags; 16-bit service list with 0x1910; manufacturer data of 15 bytes follow (lock-ble-link.md 2.1).
_HEAD = b"\x02\x01\x06\x03\x03\x10\x19\x10\xff"
_NAME = b"\x09"
_MANUFACTURER_LEN = const(15)
_MAX_NAME = const(29)
_CHUNK = const(20)
_RENEW_MS = const(60000)  # advertising is restarted this often, in case the stack has stopped it
_BUSY_PAUSE_MS = const(8)
_SEND_MS = const(3000)
_CLOSE_MS = const(2000)


class Connection:
    """A link that a central opened. `epoch` is its number since start-up, so that state can be tied to it."""

    def __init__(self, server, served, epoch):
        self._server = server
        self._served = served
        self.epoch = epoch

    @property
    def link(self):
        """(handle, epoch): unique, because the stack reuses handles."""
        return self._served.handle, self.epoch

    def is_connected(self):
        return self._served.is_up()

    @property
    def dropped(self):
        """Chunks lost because the inbox was full."""
        return self._served.inbox.dropped

    async def receive(self, timeout_ms):
        """The next chunk that the central wrote, in order. Raises LinkTimeout, or LinkError once the link has ended."""
        try:
            octets = await self._served.inbox.get_within(timeout_ms)
        except asyncio.TimeoutError:
            raise LinkTimeout("nothing was written")
        if octets is None:
            raise LinkError("link lost")
        return octets

    def nudge(self):
        """End a `receive` that waits, as if its time were up: there is something to send."""
        self._served.inbox.nudge()

    async def send(self, raw_frame):
        """Notify a whole frame in chunks that public clients reassemble (lock-ble-link.md 3.3). Raises LinkError."""
        deadline_ms = ticks_add(ticks_ms(), _SEND_MS)
        for chunk in frame.chunks(raw_frame, _CHUNK, True):
            while True:
                if not self._served.is_up():
                    raise LinkError("link lost")
                try:
                    self._server.notify(self._served, chunk)
                    break
                except OSError:  # no buffer free
                    if not remaining_ms(deadline_ms):
                        raise LinkError("notification failed")
                    await sleep_ms(_BUSY_PAUSE_MS)

    async def disconnect(self):
        """End the link and wait for its end, at most 2 s."""
        began_ms = ticks_ms()
        if self._served.is_up():
            self._server.drop(self._served)
        while self._served.is_up():
            if ticks_diff(ticks_ms(), began_ms) > _CLOSE_MS:
                self._served.inbox.close()  # the caller does not wait for a stack that never reports the end
                return
            await sleep_ms(_BUSY_PAUSE_MS)


class Peripheral:
    """`identity` has device_name, manufacturer, model, hardware and firmware, all texts. The radio has been started."""

    def __init__(self, radio, identity, log):
        self._server = radio.serve()
        self._log = log.area("peripheral")
        self._adv = b""
        self._resp = b""
        self._interval_ms = 400
        self._epoch = 0
        radio.start(identity.device_name)
        self._server.register(identity)

    def set_advert(self, manufacturer, name, interval_ms):
        """What to advertise; new content is on the air at once. Raises ValueError when it does not fit."""
        octets = name.encode()
        if len(manufacturer) != _MANUFACTURER_LEN or not 0 < len(octets) <= _MAX_NAME:
            raise ValueError("advertisement does not fit")
        adv = _HEAD + bytes(manufacturer)
        resp = bytes((len(octets) + 1,)) + _NAME + octets
        if (adv, resp, interval_ms) == (self._adv, self._resp, self._interval_ms):
            return
        self._adv = adv
        self._resp = resp
        self._interval_ms = interval_ms
        self._server.refresh_advert(interval_ms, adv, resp)

    def _content(self):
        return self._interval_ms, self._adv, self._resp

    def set_battery(self, level_pct):
        """Level in the battery service, 0 to 100."""
        self._server.write_battery(max(0, min(100, level_pct)))

    async def accept(self, lease):
        """Advertise until a central connects, and return the Connection."""
        while True:
            lease.renew(_RENEW_MS)
            served = await self._server.advertise(self._content, _RENEW_MS)
            if served is not None:
                self._epoch += 1
                self._log.info("connected", epoch=self._epoch)
                return Connection(self._server, served, self._epoch)
