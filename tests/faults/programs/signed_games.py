"""Signed commands under attack, against the real bridge: `signed_games.py SEED N GAME`.

GAME "envelope": one valid signed command each time, with members altered, dropped, doubled or reordered, bytes flipped
or cut: none may be accepted but the untouched one. "replay": whole messages again, on another lock or gateway, after a
reconnect, after 121 s, after a restart. "strangers": imports by who has no key, or a key that is not an issuer's.
"unsigned": the envelope's members without their mac. Judged by what the bolt does and what the registry holds.
"""

import asyncio
import json
import random
import sys

from firmware.gateway.admission import Rates
from firmware.lib import envelope, sealed, x25519
from firmware.system.supervisor import Lease
from tests.unit.command_rig import GATEWAY, LOCK, Rig
from tests.unit.gateway_rig import fresh_folder
from tests.unit.tasks import cancel

KEY = bytes(range(32))
_SECRET = bytes(range(32))
_OTHER_LOCK = "aabbcc112234"
_HEX = "0123456789abcdef"


def draw(below):
    return random.getrandbits(24) % below


def pick(items):
    return items[draw(len(items))]


class Games:
    def __init__(self, game):
        self.rig = rig = Rig("games-" + game, rates=Rates(10**6, 10**6, 10**6), owner=KEY, is_unsigned_allowed=False)
        owner = rig.issuers.get("owner")
        owner.rates = Rates(10**6, 10**6, 10**6)
        rig.bridge._admits = lambda limit: True  # here every message counts
        vacate = rig.ids._vacate
        rig.ids._vacate = lambda share, is_strict: vacate(share, False)  # here the oldest id goes
        self.game = game
        self.jobs = []
        rig.scheduler.submit = self._submit
        self.failures = []
        self.accepted = 0
        self.codes = {}
        self.seq = 10000

    def _submit(self, job):
        self.jobs.append(job)
        job.finish(None, None)
        return True

    async def deliver(self, payload, topic=None, retained=False):
        """What came of a message -> how many jobs it led to."""
        rig = self.rig
        rig.bridge.enqueue(topic or rig.topics.lock(LOCK, "cmd"), payload, retained, 1)
        while len(rig.bridge):
            await asyncio.sleep(0)
        for turn in range(5000):  # what is sealed takes many turns to open
            await asyncio.sleep(0)
            if turn >= 3 and (rig.out.put_in or self.jobs):
                break
        for _, text in rig.out.put_in:
            body = json.loads(text)
            code = body.get("code", "alarm")
            self.codes[code] = self.codes.get(code, 0) + 1
        rig.out.put_in.clear()
        rig.out.steps.clear()
        made = len(self.jobs)
        self.jobs = []
        return made

    # --- the envelope

    def members(self):
        """A valid request as a list of members, in an order of its own."""
        now_s = self.rig.clock.unix_s
        self.seq += 1 + draw(3)
        found = [
            ("id", "%032x" % self.seq),
            ("op", pick(("unlock", "lock", "unlock"))),
            ("exp", now_s + 5 + draw(20)),
            ("iss", "owner"),
            ("nonce", self.rig.issuers.nonce()),
            ("seq", self.seq),
            ("iat", now_s - draw(5)),
        ]
        for place in range(len(found) - 1, 0, -1):
            other = draw(place + 1)
            found[place], found[other] = found[other], found[place]
        return found

    @staticmethod
    def text(members):
        return "{" + ",".join(['"%s":%s' % (name, json.dumps(value)) for name, value in members]) + "}"

    def altered(self, members, mac):
        """The payload with one thing wrong, its mac kept."""
        kind = draw(8)
        members = list(members)
        at = draw(len(members))
        name, value = members[at]
        if kind == 0:
            other = value + 1 + draw(9) if isinstance(value, int) else value[:-1] + pick("0123456789abcdefghij")
            if other == value:
                other = value + "0"
            members[at] = name, other
        elif kind == 1:
            del members[at]
        elif kind == 2:
            members.insert(draw(len(members) + 1), members[at])
        elif kind == 3:
            other = (at + 1 + draw(len(members) - 1)) % len(members)
            members[at], members[other] = members[other], members[at]
        elif kind == 4:
            members.insert(draw(len(members) + 1), pick((("args", {}), ("keep", 60), ("mac", "00"), ("x", 1))))
        text = self.text(members)[:-1] + ',"mac":"' + mac + '"}'
        raw = bytearray(text.encode())
        if kind == 5:
            place = draw(len(raw))
            raw[place] ^= 1 << draw(8)
        elif kind == 6:
            place = draw(len(raw))
            raw = raw[:place] + raw[place + 1 + draw(4) :]
        elif kind == 7:
            place = draw(len(raw))
            raw = raw[:place] + bytes((pick(b' ,"0:}{\\'),)) + raw[place:]
        return bytes(raw)

    async def envelope(self, count):
        rig = self.rig
        topic = rig.topics.lock(LOCK, "cmd")
        for number in range(count):
            members = self.members()
            good = envelope.sign(KEY, topic, self.text(members)).encode()
            bad = self.altered(members, str(good[-66:-2], "ascii"))
            if bad == good:
                continue
            if await self.deliver(bad):
                self.failures.append("accepted: %r" % bad)
            if number % 16 == 0:
                self.accepted += await self.deliver(good) == 1
                if not self.accepted:
                    self.failures.append("the untouched one was refused")
            self.turn(number)

    def turn(self, number):
        """Time goes on; now and then the session ends."""
        self.rig.now.s += 1
        self.rig.clock.unix_s += 1
        self.rig.lock.seen_s = self.rig.now.s
        if number % 97 == 96:
            self.rig.issuers.renew()

    # --- whole messages again

    async def replay(self, count):
        rig = self.rig
        other = rig.topics.lock(_OTHER_LOCK, "cmd")
        far = "gatehouse/001122334456/lock/%s/cmd" % LOCK
        for number in range(count):
            members = self.members()
            good = envelope.sign(KEY, rig.topics.lock(LOCK, "cmd"), self.text(members)).encode()
            kind = draw(7)
            if kind == 0:
                made = await self.deliver(good, other)
            elif kind == 1:
                good = envelope.sign(KEY, far, self.text(members)).encode()
                made = await self.deliver(good)
            elif kind == 2:
                made = await self.deliver(good, None, True)
            elif kind == 3:
                rig.issuers.renew()
                made = await self.deliver(good)
            elif kind == 4:
                rig.clock.unix_s += 121
                made = await self.deliver(good)
            else:
                self.accepted += await self.deliver(good)
                if kind == 5:  # once more, also when its id is long forgotten
                    if draw(2):
                        rig.now.s += 601
                        rig.clock.unix_s += 601
                    made = await self.deliver(good)
                else:  # another command with the same number, or one too far behind
                    changed = [
                        (name, "%032x" % (1 << 60 | number) if name == "id" else value) for name, value in members
                    ]
                    if draw(2):
                        changed = [(name, value - 64 - draw(99) if name == "seq" else value) for name, value in changed]
                        changed = [(name, max(0, value) if name == "seq" else value) for name, value in changed]
                    text = self.text(changed)
                    made = await self.deliver(envelope.sign(KEY, rig.topics.lock(LOCK, "cmd"), text).encode())
            if made:
                self.failures.append("kind %d: %r" % (kind, good))
            self.turn(number)

    # --- strangers

    async def strangers(self, count):
        rig = self.rig
        topic = rig.topics.gateway("cmd")
        public = x25519.public_key(_SECRET)
        rig.gateway_ops._public = public
        for number in range(count):
            address = LOCK if number % 4 == 0 else "%012x" % (0x010203000000 + number % 63)
            bundle = {"mac": address, "aes": "%032x" % draw(1 << 24), "admin_ps": 1, "unlock_key": 2}
            id = "%032x" % number
            now_s = rig.clock.unix_s
            request = {"id": id, "op": "import", "iat": now_s}
            request["sealed"] = sealed.seal(json.dumps(bundle).encode(), public, id, "import", topic, now_s)
            kind = number % 5
            if kind:
                request.update({"iss": "owner", "nonce": rig.issuers.nonce(), "seq": number, "exp": now_s + 60})
            if kind == 4:
                request["iss"] = pick(("stranger", "Owner", "owner ", "", "owner2"))
            payload = json.dumps(request)
            if kind == 2:
                payload = payload[:-1] + ',"mac":"' + "".join([pick(_HEX) for _ in range(64)]) + '"}'
            elif kind > 2:
                payload = envelope.sign(bytes([draw(256) for _ in range(32)]), topic, payload)
            if await self.deliver(payload.encode(), topic):
                self.failures.append("an import was tried: kind %d" % kind)
            forget = json.dumps({"id": "f%d" % number, "op": "forget", "args": {"mac": LOCK}})
            if number % 7 == 0:
                await self.deliver(forget.encode(), topic)
            if len(rig.registry) != 1 or rig.registry.by_id(LOCK).aes != bytes(range(16)):
                self.failures.append("the keys changed: kind %d" % kind)
            self.turn(number)
        request.update({"iss": "owner", "nonce": rig.issuers.nonce(), "seq": count, "id": "%032x" % (1 << 99)})
        request.update({"iat": rig.clock.unix_s, "exp": rig.clock.unix_s + 60})
        text = sealed.seal(json.dumps(bundle).encode(), public, request["id"], "import", topic, request["iat"])
        request["sealed"] = text
        self.accepted = await self.deliver(envelope.sign(KEY, topic, json.dumps(request)).encode(), topic)

    async def run(self, count):
        task = asyncio.create_task(self.rig.bridge.run(Lease()))
        await getattr(self, self.game)(count)
        if task.done():
            self.failures.append("the bridge ended")
        await cancel(task)
        if not self.accepted:
            self.failures.append("no good one was accepted: nothing was tried")
        figures = {"accepted_good": self.accepted}
        for code in sorted(self.codes):
            figures[code] = self.codes[code]
        return {"n": count, "failures": self.failures, "figures": figures}


assert GATEWAY
random.seed(int(sys.argv[1]))
game = json.loads(sys.argv[3])
fresh_folder("games-" + game)
print(json.dumps(asyncio.run(Games(game).run(int(sys.argv[2])))))
