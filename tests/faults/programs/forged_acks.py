"""Acknowledgements of records that nobody of the owner's has made, against the real buffer: `forged_acks.py SEED N`.

A batch is out; of a good acknowledgement of it one thing is changed: a member altered, dropped, doubled, moved, added,
a byte flipped or cut, the key, the lock, the gateway. None may move the cursor. Now and then the good one comes, which
must.
"""

import gc
import json
import random
import sys

from firmware.lib import envelope
from tests.unit.test_gateway_records import Rig, unlocked

KEY = envelope.record_key(bytes(range(32)))
_EVERY = 25


def draw(below):
    return random.getrandbits(24) % below


class World:
    def __init__(self):
        self.rig = rig = Rig("forged-acks", True)
        rig.uploads.record_key = lambda: KEY
        rig.far.records = []
        self.number = 0
        self.failures = []
        self.taken = 0
        self.topic = rig.uploads._topics.lock(rig.lock.id, "records/ack")

    def batch(self):
        """Some more records, read and sent: the batch that is out."""
        rig = self.rig
        for _ in range(3 + draw(12)):
            rig.far.records.append(unlocked(self.number, 1780000000 + 60 * self.number))
            self.number += 1
        rig.read()
        rig.far.asked.clear()
        rig.now.s += 700
        rig.upload()
        return json.loads(rig.broker.sent[-1][1])

    @staticmethod
    def text(members):
        return "{" + ",".join(['"%s":%s' % (name, json.dumps(value)) for name, value in members]) + "}"

    def forged(self, batch):
        members = self.members(batch) + [("iat", 1790000000)]
        good = envelope.sign(KEY, self.topic, self.text(members))
        mac = good[-66:-2]
        kind = draw(11)
        at = draw(5)
        name, value = members[at]
        more = "0" if name == "date" else 1 + draw(9)
        if kind == 0:
            members[at] = name, value + more
        elif kind == 1:
            del members[at]
        elif kind == 2:
            members.insert(draw(6), (name, value + more if draw(2) else value))
        elif kind == 3:
            members.insert(draw(4) if at == 4 else 4, members.pop(at))
        elif kind == 4:
            members.insert(draw(6), ("more", 1))
        if kind < 5:
            if members == self.members(batch) + [("iat", 1790000000)]:
                return None
            return (self.text(members)[:-1] + ',"mac":"' + mac + '"}').encode()
        raw = bytearray(good.encode())
        place = draw(len(raw))
        if kind == 5:
            raw[place] ^= 1 << draw(8)
        elif kind == 6:
            raw = raw[:place]
        elif kind == 7:
            return envelope.sign(bytes([draw(256) for _ in range(32)]), self.topic, self.text(members)).encode()
        elif kind == 8:
            return envelope.sign(bytes(range(32)), self.topic, self.text(members)).encode()  # the key of commands
        elif kind == 9:
            parts = self.topic.split("/")
            parts[1 if draw(2) else 3] = "%012x" % draw(1 << 24)
            return envelope.sign(KEY, "/".join(parts), self.text(members)).encode()
        else:
            return self.wrong(batch)
        return bytes(raw)

    def wrong(self, batch):
        """By who has the key, and of no batch that is out."""
        epoch, first, last = batch["epoch"], batch["from"], batch["to"]
        date = self.members(batch)[3][1]
        if draw(3) == 0:  # as it named another batch of these numbers, or none
            date = (None, "", date[:-2], date[:10] + "%02x" % (int(date[10:], 16) ^ 1 + draw(63)))[draw(4)]
            return self.signed([("epoch", epoch), ("from", first), ("to", last), ("date", date)])
        epoch, first, last = (
            (epoch + 1, first, last),
            (epoch, first + 1, last),
            (epoch, first, last + 1 + draw(65000)),
            (epoch, last, first - 1),
            (epoch, -1, last),
            (epoch, True, last),
            (epoch, str(first), last),
            (None, first, last),
        )[draw(8)]
        return self.signed([("epoch", epoch), ("from", first), ("to", last), ("date", date)])

    @staticmethod
    def members(batch):
        """What a good one says."""
        return [(name, batch[name]) for name in ("epoch", "from", "to")] + [("date", batch["items"][-1]["date"])]

    def signed(self, members):
        return envelope.sign(KEY, self.topic, self.text(members)).encode()

    def take(self, ack):
        """As the bridge does."""
        if self.rig.uploads.is_awaited(self.rig.lock, ack):
            self.rig.uploads.acknowledged(self.rig.lock, ack)

    def run(self, count):
        rig = self.rig
        batch = self.batch()
        for number in range(count):
            waiting = rig.keeper.waiting(rig.lock)
            ack = self.forged(batch)
            if ack is not None:
                self.take(ack)
                if rig.keeper.waiting(rig.lock) != waiting:
                    self.failures.append("taken: %r" % ack)
                    batch = self.batch()
            if number % _EVERY == _EVERY - 1:
                good = self.signed(self.members(batch))
                self.take(good)
                self.taken += rig.keeper.waiting(rig.lock)[0] < waiting[0]
                self.take(good)  # again: of nothing that is out
                batch = self.batch()
                rig.broker.sent.clear()
        if self.taken < count // _EVERY:
            self.failures.append("%d good ones of %d were taken" % (self.taken, count // _EVERY))
        return {"n": count, "failures": self.failures, "figures": {"good_taken": self.taken, "records": self.number}}


gc.threshold(1 << 20)
random.seed(int(sys.argv[1]))
print(json.dumps(World().run(int(sys.argv[2]))))
