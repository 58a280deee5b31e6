"""Many locks at one gateway: `scale.py SEED LOCKS EVENTS COMMANDS`, with its own bridge, scheduler, planner, buffers
and queue of messages; links and broker are made up, and five times as fast as on the air.

At once: EVENTS records have come together in the logs of LOCKS locks while the broker was away; it comes back, a
recorder acknowledges what it gets, and the owner sends COMMANDS, 50 a minute, some to one lock in a row; meanwhile
people go in and out. Judged: what is kept stays below its limits, every record arrives, the oldest of a lock first;
every command is answered once, with `ok`, in the order in which they came within their urgency; nothing is dropped.
"""

import asyncio
import gc
import json
import random
import sys

from firmware.gateway.admission import Rates
from firmware.gateway.background import Background
from firmware.gateway.outgoing import Outgoing, Uploads
from firmware.gateway.session import Session
from firmware.lib.errors import NetError
from firmware.lib.topics import Topics
from firmware.system.supervisor import Lease
from firmware.system.timing import ticks_diff, ticks_ms
from tests.unit.command_rig import GATEWAY, Rig
from tests.unit.gateway_rig import LinkedLock, fresh_folder, known_lock, quiet_log
from tests.unit.tasks import cancel
from tests.unit.test_gateway_records import unlocked

KEY = bytes(range(32))
_FASTER = 5
_CONNECT_MS = 400 // _FASTER
_RECEIPT_MS = 150 // _FASTER
_EXCHANGE_MS = 60 // _FASTER
_COMMAND_MS = 60000 // 50 // _FASTER
_MAX_OF_LOCK = 2048 + 25  # documented, and the slice of a log that is being read
_MAX_OF_ALL = 4096 + 25
_MAX_QUEUE = 17
_HANG_MS = 600000


def draw(below):
    return random.getrandbits(24) % below


class Far(LinkedLock):
    """A lock that takes its time."""

    async def exchange(self, command, plain=b"", timeout_ms=6000):
        await asyncio.sleep_ms(_EXCHANGE_MS)
        return await super().exchange(command, plain, timeout_ms)


class Opening:
    def __init__(self, world, lock):
        self._world = world
        self._lock = lock

    async def __aenter__(self):
        await asyncio.sleep_ms(_CONNECT_MS)
        return Session(self._world.far[self._lock.id], self._lock, self._world.rig.registry, 0)

    async def __aexit__(self, kind, err, trace):
        pass


class Wire:
    """The broker with a recorder behind it: away at first."""

    def __init__(self, world):
        self._world = world
        self.is_up = False

    async def publish(self, topic, payload, retain=False, qos=0):
        if not self.is_up:
            raise NetError("no broker")
        await self.acknowledged()
        self._world.arrived(topic, payload)

    async def submit(self, topic, payload, retain=False, qos=0):
        if not self.is_up:
            raise NetError("no broker")
        self._world.arrived(topic, payload)
        return self

    async def acknowledged(self):
        await asyncio.sleep_ms(_RECEIPT_MS)


class World:
    def __init__(self, locks, events):
        self.rig = rig = Rig("scale", owner=KEY, rates=Rates(10**6, 10**6, 10**6))
        rig.issuers.get("owner").rates = Rates(10**6, 10**6, 10**6)
        rig.ids.is_strict = False
        self.failures = []
        self.results = {}
        self.sent = []  # (id, whether urgent, tick) in the order of sending
        self.done = []
        self.records = {}
        self.acks = []
        self.events = 0
        self.most = self.most_of_lock = self.longest = 0
        self.topics = Topics(GATEWAY)
        self.wire = Wire(self)
        self.outgoing = Outgoing(self.wire, quiet_log())
        rig.answers.outgoing = self.outgoing
        rig.records._outgoing = self.outgoing
        self.uploads = Uploads(rig.registry, rig.records, self.topics, self.wire, rig.now, quiet_log(), True)
        rig.context.uploads = self.uploads
        rig.records.on_stored = self.uploads.wake
        rig.scheduler._opener = lambda lock, until_ms, gives_way: Opening(self, lock)
        Background(rig.registry, rig.scheduler, rig.records, rig.context.clocks, rig.now, quiet_log())
        rig.registry.remove(rig.lock)
        self.far = {}
        self.locks = []
        for number in range(locks):
            lock = known_lock(bytes((0xAA, 0xBB, 0xCC, 0, 0, number)))
            rig.registry.add(lock)
            far = self.far[lock.id] = Far()
            far.records = [unlocked(each, 1780000000 + each) for each in range(events // locks)]
            self.locks.append(lock)
            self.records[lock.id] = []
        self.total = events // locks * locks

    def arrived(self, topic, payload):
        if topic.endswith("/event"):
            self.events += 1
        elif topic.endswith("/records"):
            batch = json.loads(payload)
            lock = topic.split("/")[3]
            if batch["gap"]:
                self.failures.append("%d records of %s told as lost" % (batch["gap"], lock))
            known = self.records[lock]
            for item in batch["items"]:
                if item["rec"] == len(known):
                    known.append(item["rec"])
                elif item["rec"] > len(known):
                    self.failures.append("record %d of %s before %d" % (item["rec"], lock, len(known)))
            self.acks.append((lock, json.dumps({"epoch": batch["epoch"], "from": batch["from"], "to": batch["to"]})))
        elif topic.endswith("/rsp"):
            result = json.loads(payload)
            if "ok" in result:
                if result["id"] in self.results:
                    self.failures.append("answered twice")
                self.results[result["id"]] = result["code"], ticks_ms()
                self.done.append(result["id"])

    def look(self):
        """Time goes on, every lock is heard, and nothing is beyond its limits."""
        rig = self.rig
        waiting = [rig.records.waiting(lock)[0] for lock in self.locks]
        self.most = max(self.most, sum(waiting))
        self.most_of_lock = max(self.most_of_lock, max(waiting))
        self.longest = max(self.longest, len(rig.scheduler))
        if sum(waiting) > _MAX_OF_ALL or max(waiting) > _MAX_OF_LOCK or len(rig.scheduler) > _MAX_QUEUE:
            self.failures.append("beyond the limits: %s kept, %d jobs" % (waiting, len(rig.scheduler)))
        for lock in self.locks:
            lock.seen_s = rig.now.s
        for lock, text in self.acks:
            self.uploads.record_key = lambda: None
            self.uploads.acknowledged(rig.registry.by_id(lock), text.encode())
        self.acks = []

    async def clock(self):
        began_ms = ticks_ms()
        began_s, unix_s = self.rig.now.s, self.rig.clock.unix_s
        while True:
            await asyncio.sleep_ms(20)
            passed_s = ticks_diff(ticks_ms(), began_ms) * _FASTER // 1000
            self.rig.now.s, self.rig.clock.unix_s = began_s + passed_s, unix_s + passed_s
            self.look()
            self.rig.scheduler.wake()
            self.uploads.wake()

    async def commands(self, count):
        rig = self.rig
        for number in range(count):
            lock = self.locks[0] if number % 10 < 4 else self.locks[draw(len(self.locks))]
            op = ("unlock", "lock", "state")[draw(3)]
            rig._seq += 1
            payload = rig.signed(op, lock.id)
            self.sent.append((json.loads(payload)["id"], op != "state", ticks_ms()))
            rig.send("cmd", payload, False, lock.id)
            for _ in range(draw(4)):
                self.event(self.locks[draw(len(self.locks))])
            await asyncio.sleep_ms(draw(2 * _COMMAND_MS))

    def event(self, lock):
        """Somebody opens: a fresh record, and the lock says that it has one."""
        records = self.far[lock.id].records
        records.append(unlocked(len(records), self.rig.clock.unix_s))
        self.total += 1
        self.rig.records.want(lock)

    async def until(self, true, what):
        began_ms = ticks_ms()
        while not true():
            if ticks_diff(ticks_ms(), began_ms) > _HANG_MS:
                self.failures.append("never: " + what)
                return
            await asyncio.sleep_ms(20)

    def is_read(self):
        """Whether the gateway has read all that it may keep."""
        rig = self.rig
        return all([rig.records._is_full(lock) or not rig.records.is_due(lock) for lock in self.locks])

    async def run(self, count):
        rig = self.rig
        runs = (rig.bridge.run, rig.scheduler.run, rig.scheduler.watch, self.outgoing.run, self.uploads.run)
        tasks = [asyncio.create_task(job(Lease())) for job in runs]
        for lock in self.locks:
            rig.records.want(lock)
        tasks.append(asyncio.create_task(self.clock()))
        await self.until(self.is_read, "all read that may be kept")
        kept = self.most
        self.wire.is_up = True
        await self.commands(count)
        await self.until(lambda: len(self.results) >= count, "every command answered")
        await self.until(lambda: self.total == sum([len(each) for each in self.records.values()]), "every record")
        for task in tasks:
            await cancel(task)
        return self.judge(count, kept)

    def judge(self, count, kept):
        arrived = sum([len(each) for each in self.records.values()])
        if arrived != self.total:
            self.failures.append("%d records of %d arrived" % (arrived, self.total))
        for id, _, _ in self.sent:
            code = self.results.get(id, ("nothing", 0))[0]
            if code != "ok":
                self.failures.append("a command was answered " + code)
        for urgent in (True, False):
            asked = [id for id, is_urgent, _ in self.sent if is_urgent == urgent]
            done = [id for id in self.done if id in asked]
            if done != asked:
                self.failures.append("not in the order in which they came")
        times = sorted([ticks_diff(self.results[id][1], at_ms) for id, _, at_ms in self.sent if id in self.results])
        dropped = self.rig.bridge.dropped + self.rig.ids.dropped + self.outgoing.dropped
        if dropped:
            self.failures.append("%d dropped" % dropped)
        figures = {
            "records": arrived,
            "kept_at_most": self.most,
            "before_the_broker_came": kept,
            "jobs_at_most": self.longest,
            "p95_s": times[len(times) * 95 // 100] * _FASTER / 1000 if times else None,
            "events": self.events,
            "messages_dropped": self.outgoing.dropped,
        }
        return {"n": count + self.total, "failures": self.failures[:9], "figures": figures}


gc.threshold(1 << 20)
random.seed(int(sys.argv[1]))
fresh_folder("scale")
print(json.dumps(asyncio.run(World(int(sys.argv[2]), int(sys.argv[3])).run(int(sys.argv[4])))))
