"""Publishes stored records in batches, and keeps each until it is acknowledged (security.md EVT-1). At least once: a
consumer recognises repeats by (lock, epoch, rec).
"""

import asyncio

from firmware.gateway.records import BATCH
from firmware.lib import reports
from firmware.lib.compat import const
from firmware.lib.errors import LinkTimeout, NetError, ProtocolError
from firmware.lib.strict_json import Reader
from firmware.system.timing import remaining_ms, sleep_ms

_RESEND_S = const(30)
_PAUSE_MS = const(250)
_PUBLISH_MS = const(60000)  # the connection ends an unacknowledged message well before


class Uploads:
    """`by_consumer`: a consumer's `…/records/ack` moves the cursor, else the broker's PUBACK does (mqtt.md 1)."""

    def __init__(self, registry, keeper, topics, mqtt, now_s, log, by_consumer=False):
        self._registry = registry
        self._keeper = keeper
        self._topics = topics
        self._mqtt = mqtt
        self._now_s = now_s
        self._log = log.area("uploads")
        self._by_consumer = by_consumer
        self._offered_s = {}
        self._woken = asyncio.Event()

    def wake(self, lock=None):
        """There may be something to send, or time has passed."""
        self._woken.set()

    def acknowledged(self, lock, payload):
        """`…/records/ack`: {"epoch","to"}. Anything else is ignored: an acknowledgement asks for nothing."""
        try:
            body = Reader(payload).read()
            epoch, number = body["epoch"], body["to"]
        except (ProtocolError, KeyError):
            self._log.warn("ack_ignored", lock=lock.id)
            return
        if self._by_consumer:
            buffer = self._keeper.buffer(lock)
            seq = buffer.find(epoch, number)
            if seq is not None:
                buffer.acknowledge(seq)
                self.wake()

    def offer_again(self, lock):
        """Somebody asks for the records: what was offered and not acknowledged goes out again now."""
        buffer = self._keeper.buffer(lock)
        buffer.offered = buffer.sent
        self.wake()

    async def run(self, lease):
        """Upload for ever: one batch of each lock in turn."""
        while True:
            self._woken.clear()
            try:
                again = False
                for lock in self._registry.all():
                    lease.renew(_PUBLISH_MS)
                    again = await self.offer(lock) or again
            except NetError:  # also when the broker is slow to acknowledge
                await lease.sleep_ms(_PAUSE_MS)
                continue
            if not again:
                await lease.wait(self._woken)

    async def offer(self, lock):
        """Send the next batch of a lock; True if there may be more to send."""
        keeper = self._keeper
        waiting, is_offered = keeper.waiting(lock)
        if not waiting or (waiting < BATCH and keeper.reading is lock):
            return False
        is_offered = is_offered and self._by_consumer
        if is_offered and self._now_s() - self._offered_s.get(lock.address, 0) < _RESEND_S:
            return False
        buffer = keeper.buffer(lock)
        if is_offered:
            buffer.offered = buffer.sent  # nobody acknowledged it: offer it again
        entries = self._next(buffer)
        if not entries:
            return False
        items = [keeper.item(lock, entry.number, entry.raw, entry.who) for entry in entries]
        payload, count = reports.batch(entries[0].epoch, items, entries[0].gap)
        last = entries[count - 1].seq
        await self._mqtt.publish(self._topics.lock(lock.id, "records"), payload, False, 1)
        if self._registry.get(lock.address) is None:
            return False
        buffer = keeper.buffer(lock)  # another object, if others were opened meanwhile
        if self._by_consumer:
            buffer.offered = max(buffer.offered, last)
            self._offered_s[lock.address] = self._now_s()
        else:
            buffer.acknowledge(last)
        return buffer.pending() > 0

    async def send(self, lock, epoch, items, until_ms):
        """Publish items of one epoch, all of them with the broker on return, without moving any cursor; while there is
        no broker, wait until the tick `until_ms`. Raises LinkTimeout."""
        topic = self._topics.lock(lock.id, "records")
        while items:
            payload, count = reports.batch(epoch, items)
            try:
                await self._mqtt.publish(topic, payload, False, 1)
            except NetError:
                if not remaining_ms(until_ms):
                    raise LinkTimeout("the broker is away")
                await sleep_ms(_PAUSE_MS)
                continue
            items = items[count:]

    def _next(self, buffer):
        """Up to a batch of entries without an epoch's end or a gap inside."""
        entries: list = []
        for entry in buffer.unsent(buffer.sent):
            if entries and (entry.gap or entry.epoch != entries[0].epoch):
                break
            entries.append(entry)
            if len(entries) == BATCH:
                break
        return entries
