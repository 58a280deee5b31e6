"""What goes out to the broker: results and events in a short queue that outlives a lost connection; the known state of
each lock, `…/state` and `…/availability`, retained; stored records in batches. Owns the queue and when something is
published; what is known is the registry's, what was read that of `records`.

Results are few, because commands come over the same broker; when there are too many the oldest are dropped and counted.
A change of a lock waits only for the broker: several meanwhile become one message. A batch is kept until it is
acknowledged (security.md EVT-1), and sent at least once: a consumer recognises repeats by (lock, epoch, rec, date).
"""

import asyncio

from firmware.gateway.diagnostics import time_text
from firmware.gateway.records import BATCH
from firmware.lib import envelope, reports
from firmware.lib.compat import const
from firmware.lib.errors import LinkTimeout, NetError, ProtocolError
from firmware.lib.strict_json import Reader
from firmware.system.timing import remaining_ms, sleep_ms

_DEPTH = const(32)
_UNACKED_MAX = const(6)  # states and batches go beside them
_PAUSE_MS = const(250)
_RESEND_S = const(30)
_RESEND_MAX_S = const(600)


class Outgoing:
    """`mqtt` has `offer`, and `submit`, which raises NetError while there is no connection."""

    def __init__(self, mqtt, log, depth=_DEPTH):
        self._mqtt = mqtt
        self._log = log.area("outgoing")
        self._depth = depth
        self._queue = []
        self._unacked = []  # what awaits the receipts of the first ones of the queue
        self._filled = asyncio.Event()
        self.dropped = 0

    def publish(self, topic, payload, retain=False, is_low_priority=False, qos=1):
        """Publish after all that was queued before; what needs no receipt passes by while the connection takes it.
        Low-priority messages may use half of the queue."""
        if not qos and self._mqtt.offer(topic, payload, retain):
            return
        if is_low_priority and len(self._queue) >= self._depth // 2:
            self.dropped += 1
            return
        if len(self._queue) >= self._depth:
            self._queue.pop(len(self._unacked))
            self.dropped += 1
            self._log.warn("dropped", total=self.dropped)
        self._queue.append((topic, payload, retain, qos))
        self._filled.set()

    def __len__(self):
        return len(self._queue)

    @property
    def is_behind(self):
        """So much waits that the answers to more work than is accepted already might find no room."""
        return len(self._queue) >= self._depth // 4

    async def run(self, lease):
        """Publish for ever; what was not acknowledged is sent again once the broker is back."""
        self._unacked.clear()
        while True:
            if not self._queue:
                self._filled.clear()
                await lease.wait(self._filled)
                continue
            lease.suspend()  # the connection has the deadline of what is not acknowledged
            try:
                await self._step()
            except NetError:  # also of a broker that dawdles, which is no fault of the board
                self._unacked.clear()
                await lease.sleep_ms(_PAUSE_MS)

    async def _step(self):
        """Send one more, or wait until the oldest has arrived: a broker's receipt takes long beside a message."""
        count = len(self._unacked)
        if count < min(len(self._queue), _UNACKED_MAX):
            self._unacked.append(None)
            self._unacked[count] = await self._mqtt.submit(*self._queue[count])
            return
        if self._unacked[0] is not None:
            await self._unacked[0].acknowledged()
        self._unacked.pop(0)
        self._queue.pop(0)


class States:
    """`clock` has `now()` and `trusted`; `topics` is a lib.topics.Topics."""

    def __init__(self, registry, topics, mqtt, clock):
        self._registry = registry
        self._topics = topics
        self._mqtt = mqtt
        self._clock = clock
        self._dirty = set()  # addresses of locks whose state is to be published
        self._shown = {}  # address -> whether it was said to be online
        self._gone = set()
        self._woken = asyncio.Event()
        self.announcer = None  # tells Home Assistant what there is, one device at a time between the states

    def mark(self, lock):
        """The lock's state has changed. Before the first sighting none is known."""
        if lock.seen_s is not None:
            self._dirty.add(lock.address)
            self._woken.set()

    def mark_all(self):
        """The broker may have lost what it kept: publish again all that is known."""
        self._shown.clear()
        for lock in self._registry.all():
            if lock.seen_s is not None:
                self._dirty.add(lock.address)
        self._woken.set()

    def withdraw(self, lock):
        """Take back what is retained for a lock that is no longer served."""
        self._dirty.discard(lock.address)
        self._shown.pop(lock.address, None)
        self._gone.add(lock.address)
        self._woken.set()

    def wake(self):
        """Time has passed: a lock may have become absent."""
        self._woken.set()

    async def run(self, lease):
        """Publish for ever."""
        while True:
            try:
                await self.publish(lease)
                if self.announcer:
                    await self.announcer.step(lease)
            except NetError:
                await lease.sleep_ms(_PAUSE_MS)
                continue
            self._woken.clear()
            if self._dirty or self._gone:
                continue
            await lease.wait(self._woken)

    async def publish(self, lease):
        """One round. Raises NetError while there is no broker; what was not sent stays news."""
        while self._gone:
            address = next(iter(self._gone))
            for leaf in ("state", "availability"):
                await self._sent(address, leaf, b"", lease)
            self._gone.discard(address)
        for lock in self._registry.all():
            is_present = self._registry.presence(lock)
            if is_present is not None and self._shown.get(lock.address) != is_present:
                await self._sent(lock.address, "availability", "online" if is_present else "offline", lease)
                self._shown[lock.address] = is_present
            if lock.address in self._dirty:
                self._dirty.discard(lock.address)
                try:
                    await self._state_sent(lock, lease)
                except NetError:
                    self._dirty.add(lock.address)
                    raise

    def _sent(self, address, leaf, payload, lease):
        """Awaitable that publishes under a lock's topic."""
        lease.suspend()  # the connection has the deadline
        return self._mqtt.publish(self._topics.lock(address.hex(), leaf), payload, True, 1)

    def _state_sent(self, lock, lease):
        return self._sent(lock.address, "state", self._payload(lock), lease)

    def _payload(self, lock):
        members = {
            "door": lock.door,
            "battery": lock.battery,
            "rssi": lock.rssi_dbm,
            "signal": reports.signal(lock.rssi_dbm),
            "tamper": None if lock.tampered is None else "on" if lock.tampered else "off",
            "auto_lock_s": lock.auto_lock_s,
            "sound": None if "sound" not in lock.settings else "on" if lock.settings["sound"] else "off",
            "settings": self._settings(lock),
            "last": lock.last,
            "drift": lock.drift,
            "seq": lock.seq,
        }
        members.update(self._registry.standing(lock))
        age_s = members["age_s"]
        members["ts"] = None if age_s is None else time_text(self._clock, age_s)
        return reports.state(**members)

    @staticmethod
    def _settings(lock):
        settings = {key: lock.settings[key] for key in lock.settings if key != "sound"}
        if lock.switch is not None:
            settings["remote_unlock"] = lock.switch
        return settings


class Uploads:
    """`by_consumer`: a consumer's `…/records/ack` moves the cursor, else the broker's PUBACK does (mqtt.md 2). One
    batch of each lock is out; unless it is acknowledged it goes out again, ever more rarely.

    `record_key()` gives the key that proves batches and acknowledgements, None while there is no owner."""

    def __init__(self, registry, keeper, topics, mqtt, now_s, log, by_consumer=False):
        self._registry = registry
        self._keeper = keeper
        self._topics = topics
        self._mqtt = mqtt
        self._now_s = now_s
        self._log = log.area("uploads")
        self._by_consumer = by_consumer
        self.record_key = lambda: None
        self._due = {}  # address of a lock -> second from which its batch may go out again << 4 | times it has
        self._woken = asyncio.Event()

    def wake(self, lock=None):
        """There may be something to send, or time has passed."""
        self._woken.set()

    def is_awaited(self, lock, payload):
        """Whether an acknowledgement can count: a batch of the lock is out, and it comes from the owner's recorder.
        Cheap for all others, of which a stranger may send any number."""
        if not self._by_consumer or not self._keeper.waiting(lock)[1]:
            return False
        key = self.record_key()
        return not key or envelope.verify(key, self._topics.lock(lock.id, "records/ack"), payload)

    def acknowledged(self, lock, payload):
        """`…/records/ack` that `is_awaited`: {"epoch","from","to","date"} of a batch, or of its first records; `date`
        is the raw one of the record `to`, twelve hex digits, which only who has no key may leave out. Anything else is
        ignored: an acknowledgement asks for nothing."""
        try:
            body = Reader(payload).read()
            epoch, first, last, date = body["epoch"], body["from"], body["to"], body.get("date")
            if not type(epoch) is type(first) is type(last) is int:
                raise ProtocolError("no numbers")
            if date is not None or self.record_key():
                date = bytes.fromhex(date)
        except (ProtocolError, KeyError, TypeError, ValueError):
            self._log.warn("ack_ignored", lock=lock.id)
            return
        seq = self._keeper.buffer(lock).find(epoch, first, last, date)
        if seq is not None:
            self._done(lock, seq)

    def _done(self, lock, seq):
        self._keeper.buffer(lock).acknowledge(seq)
        self._due.pop(lock.address, None)
        self._keeper.has_room(lock)
        self.wake()

    def offer_again(self, lock=None):
        """Somebody may listen now, to the records of a lock or of all: what was not acknowledged goes out at once."""
        if lock is None:
            self._due.clear()
        else:
            self._due.pop(lock.address, None)
        self.wake()

    async def run(self, lease):
        """Upload for ever: one batch of each lock in turn."""
        while True:
            self._woken.clear()
            try:
                again = False
                for lock in self._registry.all():
                    lease.suspend()
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
        due = self._due.get(lock.address, 0)
        if self._by_consumer and is_offered and self._now_s() < due >> 4:
            return False
        buffer = keeper.buffer(lock)
        sending, last = self._next_batch(lock, buffer)
        if sending is None:
            return False
        if self._by_consumer:  # before it is sent: the consumer may be faster than the broker's receipt
            buffer.offered = last
            times = min(due & 15, 5) + 1
            due_s = self._now_s() + min(_RESEND_S << times - 1, _RESEND_MAX_S)
            self._due[lock.address] = due_s << 4 | times
        try:
            await sending
        except NetError:
            if self._by_consumer:
                self._due[lock.address] = due & 15
            raise
        if self._registry.get(lock.address) is None:
            return False
        if self._by_consumer:
            return False
        self._done(lock, last)
        return keeper.waiting(lock)[0] > 0

    async def send(self, lock, epoch, items, until_ms):
        """Publish items of one era, all of them with the broker on return, without moving any cursor; while there is
        no broker, wait until the tick `until_ms`. Raises LinkTimeout."""
        while items:
            count = 1
            while count < len(items) and items[count]["rec"] == items[count - 1]["rec"] + 1:
                count += 1
            payload, count = reports.batch(epoch, items[:count])
            try:
                await self._publish(lock, payload)
            except NetError:
                if not remaining_ms(until_ms):
                    raise LinkTimeout("the broker is away")
                await sleep_ms(_PAUSE_MS)
                continue
            items = items[count:]

    def _publish(self, lock, payload):
        """Awaitable that sends a batch, with its mac."""
        topic = self._topics.lock(lock.id, "records")
        key = self.record_key()
        return self._mqtt.publish(topic, envelope.sign(key, topic, payload) if key else payload, False, 1)

    def _next_batch(self, lock, buffer):
        """(awaitable that sends what is next, sequence of its last record), or (None, 0). Who awaits it for long holds
        neither entries nor payload meanwhile."""
        entries = self._next(buffer)
        if not entries:
            return None, 0
        items = [self._keeper.item(lock, entry.number, entry.raw, entry.who) for entry in entries]
        payload, count = reports.batch(entries[0].era, items, entries[0].gap)
        return self._publish(lock, payload), entries[count - 1].seq

    def _next(self, buffer):
        """Up to a batch of entries with numbers in a row, of one era."""
        entries: list = []
        for entry in buffer.unsent(buffer.sent):
            if entries and (entry.gap or entry.era != entries[0].era or entry.number != entries[-1].number + 1):
                break
            entries.append(entry)
            if len(entries) == BATCH:
                break
        return entries
