"""Whose keys a gateway takes, against the real bridge and the real sealing: `import_games.py SEED N LOCKS`.

The owner imports locks, forgets them and imports them anew; in between comes one message of a stranger's, who has heard
all of it: the owner's own messages again, in the same session, after a reconnect, after `forget`, later; for another
lock or another gateway; held back for 121 s; their sealed part in a message of his; random keys for any of LOCKS locks.
And the owner's own mistakes: other keys for a lock that is away, a wrong key for one that is near. After each message
the registry must hold what the owner had put in, and nothing else.
"""

import json
import random
import sys

from firmware.gateway.admission import Rates
from firmware.lib import envelope, sealed
from firmware.lib.errors import LinkError, LinkTimeout
from tests.unit.command_rig import LOCK, Rig
from tests.unit.gateway_rig import fresh_folder

KEY = bytes(range(32))
_MAX_HELD = 6  # genuine messages that the stranger remembers
_LATER_S = (1, 121, 601, 4000)


def draw(below):
    return random.getrandbits(24) % below


def key():
    return "".join(["%02x" % draw(256) for _ in range(16)])


class Games:
    def __init__(self, locks):
        self.rig = rig = Rig("sealed_imports", owner=KEY, rates=Rates(10**6, 10**6, 10**6))
        rig.issuers.get("owner").rates = Rates(10**6, 10**6, 10**6)
        rig.bridge._admits = lambda limit: True  # here every message counts
        rig.ids.is_strict = False
        rig.gateway_ops._max_locks = locks + 1
        rig.clock.now_ms = lambda: rig.clock.unix_s * 1000 + 900  # what is not near is soon given up
        self.locks = locks
        self.topic = rig.topics.gateway("cmd")
        self.model = {LOCK: bytes(range(16)).hex()}
        self.held = []
        self.failures = []
        self.codes = {}
        self.taken = 0
        self.number = 0

    def mac(self):
        return "%012x" % (0x010203000000 + draw(self.locks))

    # --- messages

    def sealed_request(self, op, args, topic=None, iat=None):
        """The members of a request with sealed arguments."""
        rig = self.rig
        self.number += 1
        id = "%032x" % self.number
        iat = rig.clock.unix_s if iat is None else iat
        text = sealed.seal(json.dumps(args).encode(), rig.public, id, op, topic or self.topic, iat)
        return {"id": id, "op": op, "iat": iat, "sealed": text}

    def signed(self, members, topic=None, key=KEY):
        whole = dict(members, iss="owner", nonce=self.rig.issuers.nonce(), seq=1000 + self.number)
        whole.setdefault("iat", self.rig.clock.unix_s)
        whole.setdefault("exp", whole["iat"] + 1)
        return envelope.sign(key, topic or self.topic, json.dumps(whole)).encode()

    def deliver(self, payload, lock=None):
        """Its code."""
        rig = self.rig
        before = len(rig.out.put_in)
        rig.send("cmd", payload, False, lock)
        told = rig.work(before + 1)
        code = told[before]["code"] if len(told) > before else "silence"
        rig.out.put_in = []
        self.codes[code] = self.codes.get(code, 0) + 1
        return code

    # --- the owner

    def bundle(self, mac, aes):
        return {"mac": mac, "aes": aes, "admin_ps": 1, "unlock_key": 2}

    def own_import(self, mac=None):
        """The owner imports a lock that is away, or imports it anew."""
        mac = mac or self.mac()
        aes = self.model.get(mac) or key()
        payload = self.signed(self.sealed_request("import", self.bundle(mac, aes)))
        self.held = (self.held + [payload])[-_MAX_HELD:]
        code = self.deliver(payload)
        if code == "ok":
            self.model[mac] = aes
            self.taken += 1
        else:
            self.failures.append("the owner's import: " + code)

    def own_forget(self, mac):
        self.number += 1
        code = self.deliver(self.signed({"id": "%032x" % self.number, "op": "forget", "args": {"mac": mac}}))
        if code == "ok":
            self.model.pop(mac, None)
        else:
            self.failures.append("the owner's forget: " + code)

    def full(self):
        """A full gateway is the owner's to clear."""
        for number in range(self.locks):
            mac = "%012x" % (0x010203000000 + number)
            if mac not in self.model:
                self.own_import(mac)
        payload = self.signed(self.sealed_request("import", self.bundle("0a0b0c0d0e0f", key())))
        self.expect(self.deliver(payload), "refused", "one lock too many")
        stranger = {"id": "s", "op": "forget", "args": {"mac": LOCK}}
        self.expect(self.deliver(json.dumps(stranger).encode()), "forbidden", "a stranger's forget")
        self.own_forget("%012x" % 0x010203000000)
        self.own_import("%012x" % 0x010203000000)

    def expect(self, code, wanted, what):
        if code != wanted:
            self.failures.append("%s: %s, not %s" % (what, code, wanted))

    # --- mistakes

    def away(self):
        """Other keys for a verified lock that is not near."""
        self.rig.lock.seen_s = None
        code = self.deliver(self.signed(self.sealed_request("import", self.bundle(LOCK, key()))))
        self.expect(code, "not_near", "other keys of a verified lock that is away")
        self.rig.lock.seen_s = self.rig.now.s

    def wrong_key(self):
        """It is near, and answers nobody who has not its key: a wrong key, told as one."""
        fault = LinkTimeout if draw(2) else LinkError
        plain = self.rig.far.exchange

        async def silent(command, body=b"", timeout_ms=6000):
            raise fault("nothing came")

        self.rig.far.exchange = silent
        self.rig.lock.seen_s = self.rig.now.s
        members = self.sealed_request("import", self.bundle(LOCK, key()))
        code = self.deliver(self.signed(dict(members, exp=members["iat"] + 60)))
        self.expect(code, "auth", "a wrong key")
        self.rig.far.exchange = plain

    # --- the stranger

    def stranger(self, kind):
        rig = self.rig
        if kind == 0:  # random keys, under the owner's name
            members = self.sealed_request("import", self.bundle(self.mac() if draw(4) else LOCK, key()))
            forged = bytes([draw(256) for _ in range(32)])
            return self.deliver(self.signed(members, key=forged) if draw(2) else json.dumps(members).encode())
        if kind == 1:  # signed and sealed for another gateway
            far = "gatehouse/001122334456/cmd"
            return self.deliver(self.signed(self.sealed_request("import", self.bundle(LOCK, key()), far), far))
        if kind == 2:  # held back
            payload = self.signed(self.sealed_request("import", self.bundle(self.mac(), key())))
            self.pass_s(121)
            return self.deliver(payload)
        payload = self.held[draw(len(self.held))]
        if kind == 3:  # to a lock
            return self.deliver(payload, LOCK)
        if kind == 4:  # its sealed part in a message of his own, under its id or another
            told = json.loads(payload)
            members = {name: told[name] for name in ("id", "op", "iat", "sealed")}
            if draw(2):
                members["id"] = "x%d" % self.number
            return self.deliver(json.dumps(members).encode())
        if kind == 5:
            rig.issuers.renew()
        elif kind == 6:
            self.pass_s(_LATER_S[draw(4)])
        return self.deliver(payload)  # as it was

    def pass_s(self, seconds):
        self.rig.now.s += seconds
        self.rig.clock.unix_s += seconds
        self.rig.lock.seen_s = self.rig.now.s

    def judge(self, what):
        kept = {lock.id: lock.aes.hex() for lock in self.rig.registry.all()}
        if kept != self.model:
            self.failures.append("%s: the registry holds other keys" % what)
            self.model = kept
        if not self.rig.registry.by_id(LOCK).verified:
            self.failures.append("%s: the keys that the lock accepted count as unproven" % what)

    def run(self, count):
        self.own_import()
        for number in range(count):
            if number % 8 == 3:
                self.own_import()
            elif number % 8 == 5 and len(self.model) > 1:
                self.own_forget([mac for mac in self.model if mac != LOCK][0])
            elif number % 16 == 7:
                self.away()
            elif number % 16 == 15:
                self.wrong_key()
            else:
                kind = draw(8)
                code = self.stranger(kind)
                if code == "silence":
                    self.failures.append("kind %d was not answered" % kind)
            self.judge("message %d" % number)
            self.pass_s(1)
        self.full()
        self.judge("a full gateway")
        figures = {"taken_of_the_owner": self.taken, "locks": self.locks}
        for code in sorted(self.codes):
            figures[code] = self.codes[code]
        return {"n": count, "failures": self.failures, "figures": figures}


random.seed(int(sys.argv[1]))
fresh_folder("sealed_imports")
print(json.dumps(Games(int(sys.argv[3])).run(int(sys.argv[2]))))
