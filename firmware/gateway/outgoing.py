"""Messages on their way to the broker: results and events. Owns a short queue that outlives a lost connection.

Results are few, because commands come over the same broker; when there are too many the oldest are dropped and counted.
"""

import asyncio

from firmware.lib.compat import const
from firmware.lib.errors import NetError

_DEPTH = const(32)
_PAUSE_MS = const(250)
_PUBLISH_MS = const(60000)  # the connection ends an unacknowledged message well before


class Outgoing:
    """`mqtt` has `publish`, which raises NetError while there is no connection."""

    def __init__(self, mqtt, log, depth=_DEPTH):
        self._mqtt = mqtt
        self._log = log.area("outgoing")
        self._depth = depth
        self._queue = []
        self._filled = asyncio.Event()
        self.dropped = 0

    def put(self, topic, payload, retain=False, is_spare=False, qos=1):
        """Publish after all that was put before. What is spare has only half of the room."""
        if is_spare and len(self._queue) >= self._depth // 2:
            self.dropped += 1
            return
        if len(self._queue) >= self._depth:
            self._queue.pop(0)
            self.dropped += 1
            self._log.warn("dropped", total=self.dropped)
        self._queue.append((topic, payload, retain, qos))
        self._filled.set()

    def __len__(self):
        return len(self._queue)

    async def run(self, lease):
        """Publish for ever; what was not acknowledged is sent again once the broker is back."""
        while True:
            if not self._queue:
                self._filled.clear()
                await lease.wait(self._filled)
                continue
            item = self._queue[0]
            try:
                lease.renew(_PUBLISH_MS)
                await self._mqtt.publish(*item)
            except NetError:  # also of a broker that dawdles, which is no fault of the board
                await lease.sleep_ms(_PAUSE_MS)
                continue
            if self._queue and self._queue[0] is item:
                self._queue.pop(0)
