"""A fleet of gateways, as far as records go: each has a connection of its own to the broker, and the firmware's own
buffer on flash, batches, macs, resending and acknowledgements. Its records are there from the beginning.

The clock by which batches go out again runs fast, so that a test does not wait half a minute for each lost one.
"""

import asyncio
import contextlib
import time

import aiomqtt

from firmware.gateway.lock import Lock
from firmware.gateway.outgoing import Uploads
from firmware.gateway.records import Records
from firmware.lib import dates, envelope, marks, records
from firmware.lib.errors import NetError
from firmware.lib.topics import Topics
from firmware.system.store import make_folder
from firmware.system.supervisor import Lease
from tests.unit.gateway_rig import UnixClock, quiet_log

_FAST = 20
_DAY = 1790000000


class _Vault:
    """Keeps what it is given: that flash is encrypted is tested elsewhere, and would take most of the time here."""

    def wrap(self, plain):
        return plain

    def unwrap(self, wrapped):
        return wrapped


class _Registry:
    """One lock."""

    def __init__(self, lock):
        self.lock = lock
        self.vault = _Vault()

    def all(self):
        return (self.lock,)

    def get(self, address):
        return self.lock


class _Clocks:
    """Of a lock at UTC, whose clock is right."""

    records = None

    def time_of(self, lock, number, date):
        return dates.to_unix(date), False


def fast_s():
    """Seconds of the fleet's clock."""
    return int(time.monotonic() * _FAST)


class Publisher:
    """Gateway `number` of the fleet, with one lock and so many records of it."""

    def __init__(self, folder, number, count, port):
        self.id = "24%010x" % number
        self.owner_key = b"%032d" % number
        self.record_key = envelope.record_key(self.owner_key)
        self._port = port
        address = bytes.fromhex("c0%010x" % number)
        self.lock = Lock(address, b"%016d" % number)
        self.lock.zone = "UTC0"
        self.era = marks.era(self.lock.aes)
        self.count = count
        topics = Topics(self.id)
        registry = _Registry(self.lock)
        make_folder("%s/%d" % (folder, number))
        self._keeper = Records(
            "%s/%d" % (folder, number), registry, _Clocks(), UnixClock(_DAY), None, topics, fast_s, quiet_log()
        )
        buffer = self._keeper.buffer(self.lock)
        for each in range(count):
            raw = records.encode(4, dates.from_unix(_DAY + 60 * each), 90, records.by_code(b"****"))
            buffer.append(each, raw, number << 16 | each)
        self._uploads = Uploads(registry, self._keeper, topics, self, fast_s, quiet_log(), True)
        self._uploads.record_key = lambda: self.record_key
        self._filter = topics.lock(self.lock.id, "records/ack")
        self._client = None

    @property
    def left(self):
        """How many records nobody has acknowledged."""
        return self._keeper.buffer(self.lock).pending()

    async def publish(self, topic, payload, retain=False, qos=0):
        """As the firmware's connection does. Raises NetError."""
        if self._client is None:
            raise NetError("no broker")
        try:
            await self._client.publish(topic, payload, qos=qos, retain=retain)
        except aiomqtt.MqttError as err:
            raise NetError(str(err))

    async def run(self, on_taken):
        """Connected until all is acknowledged; `on_taken(how many)` hears of it."""
        while self.left:
            with contextlib.suppress(aiomqtt.MqttError):
                async with aiomqtt.Client("127.0.0.1", self._port, identifier=self.id, keepalive=60) as client:
                    await client.subscribe(self._filter, qos=1)
                    self._client = client
                    self._uploads.offer_again()
                    works = (self._listen(client, on_taken), self._uploads.run(Lease()), self._time_passes())
                    jobs = [asyncio.create_task(each) for each in works]
                    try:
                        done, _ = await asyncio.wait(jobs, return_when=asyncio.FIRST_COMPLETED)
                        for job in done:
                            job.result()
                    finally:
                        self._client = None
                        for job in jobs:
                            job.cancel()
                        await asyncio.gather(*jobs, return_exceptions=True)
            await asyncio.sleep(0.2)

    async def _listen(self, client, on_taken):
        async for message in client.messages:
            payload = bytes(message.payload)
            if self._uploads.is_awaited(self.lock, payload):
                before = self.left
                self._uploads.acknowledged(self.lock, payload)
                if before != self.left:
                    on_taken(before - self.left)
            if not self.left:
                return

    async def _time_passes(self):
        while True:
            await asyncio.sleep(0.5)
            self._uploads.wake()
