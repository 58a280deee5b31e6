"""Records of a lock while the broker is away and when it comes back badly: `broker_away.py SEED N CONSUMER`.

The gateway reads N records with no broker for a week, as many as it keeps; then the broker is up and down at random,
loses acknowledgements and, where a consumer acknowledges, whole messages that it had acknowledged itself (a lost disk).
The gateway is started anew now and then. Counted: what the consumer has at the end, and how often.
"""

import gc
import json
import random
import sys

from firmware.gateway.outgoing import Uploads
from firmware.gateway.records import Records
from firmware.lib import marks
from firmware.lib.errors import NetError
from tests.unit.gateway_rig import Outbox, quiet_log
from tests.unit.test_gateway_records import Rig, unlocked

_WEEK_S = 7 * 86400
_LEAST_KEPT = 2000


class BadBroker:
    """Hands on to a consumer, unless it is away, loses the acknowledgement, or loses the message after it."""

    def __init__(self, by_consumer):
        self.by_consumer = by_consumer
        self.is_up = False
        self.got = {}
        self.gaps = 0
        self.acks = []

    async def publish(self, topic, payload, retain=False, qos=0):
        luck = random.getrandbits(4)
        if not self.is_up or luck == 0:
            raise NetError("no broker")
        if luck == 1 and self.by_consumer:
            return  # acknowledged, and then its disk was lost
        batch = json.loads(payload)
        self.gaps += batch["gap"]
        for item in batch["items"]:
            key = (batch["epoch"], item["rec"])
            self.got[key] = self.got.get(key, 0) + 1
        if self.by_consumer and luck > 3:
            self.acks.append(json.dumps({key: batch[key] for key in ("epoch", "from", "to")}))
        if luck == 2:
            raise NetError("session taken over before the PUBACK")


class World:
    def __init__(self, by_consumer):
        self.rig = rig = Rig("broker-away", by_consumer)
        self.by_consumer = by_consumer
        self.broker = BadBroker(by_consumer)
        self.starts = 0
        self.start()
        rig.far.records = []

    def start(self):
        """The gateway's part on the same flash."""
        rig = self.rig
        log = quiet_log()
        topics = rig.uploads._topics
        rig.keeper = Records(rig.folder, rig.registry, rig.clocks, rig.clock, Outbox(), topics, rig.now, log)
        rig.uploads = Uploads(rig.registry, rig.keeper, topics, self.broker, rig.now, log, self.by_consumer)
        self.starts += 1

    def read(self):
        self.rig.read()
        self.rig.far.asked.clear()

    def upload(self):
        try:
            self.rig.upload()
        except NetError:
            pass
        for ack in self.broker.acks:
            self.rig.uploads.acknowledged(self.rig.lock, ack.encode())
        self.broker.acks = []


def main(count, by_consumer):
    world = World(by_consumer)
    rig = world.rig
    failures = []
    for number in range(count):  # the lock goes on while nobody can be told
        rig.far.records.append(unlocked(number, 1780000000 + 60 * number))
        if random.getrandbits(9) == 0:
            world.read()
            rig.now.s += _WEEK_S * 512 // count
            if random.getrandbits(1):
                world.start()
    world.read()
    kept = rig.keeper.buffer(rig.lock).pending()
    if kept < min(count, _LEAST_KEPT):
        failures.append("only %d records kept" % kept)
    for _ in range(200 * count):
        world.broker.is_up = random.getrandbits(2) > 0
        rig.now.s += random.getrandbits(5) if random.getrandbits(3) else 600  # a batch comes again after so long
        world.upload()
        if random.getrandbits(6) == 0:
            world.start()
        world.read()
        if not rig.keeper.buffer(rig.lock).pending():
            break
    got = world.broker.got
    lost = [number for number in range(count) if (marks.era(rig.lock.aes), number) not in got]
    if lost or len(got) != count:
        failures.append("%d lost, from %s" % (len(lost), lost[:1]))
    if world.broker.gaps:
        failures.append("%d told as lost" % world.broker.gaps)
    figures = {"kept": kept, "lost": len(lost), "duplicates": sum(got.values()) - len(got), "starts": world.starts}
    return {"n": count, "failures": failures, "figures": figures}


gc.threshold(1 << 20)  # else what is kept is strewn over the whole heap, and nothing large finds room any more
random.seed(int(sys.argv[1]))
print(json.dumps(main(int(sys.argv[2]), json.loads(sys.argv[3]))))
