"""Unlock requests delivered twice, out of order, a day late, changed, or after a reset: `mqtt_repeats.py SEED N`.

Each of N ids is sent once and then again some times, at moments between the first second and the tenth minute, or a day
later, in any order among the others, sometimes after the gateway was started anew on the same flash, sometimes with
another content. A lock at the other end counts its movements by id.
"""

import json
import random
import sys

from firmware.gateway.admission import Rates
from tests.unit.command_rig import Rig

_OPEN_S = 10
_DAY_S = 86400


class Repeats:
    def __init__(self):
        self.rig = None
        self.failures = []
        self.executed = {}
        self.codes = {}
        self.resets = 0
        self.start()

    def start(self):
        """A gateway on the same flash; its uptime begins at 0, the time of day goes on."""
        before = self.rig
        rates = Rates(10**6, 10**6, 10**6)
        self.rig = rig = Rig("repeats", before.folder if before else None, rates, now_s=10 if before else 1000)
        if before:
            rig.clock.unix_s = before.clock.unix_s + 3
            self.resets += 1

    def later(self, seconds):
        self.rig.now.s += seconds
        self.rig.lock.seen_s = self.rig.now.s
        self.rig.clock.unix_s += seconds

    def deliver(self, request):
        """Send it and note what moved and what was answered."""
        rig = self.rig
        moved = rig.far.moved
        rig.out.put_in.clear()
        rig.far.asked.clear()
        rig.send("cmd", request)
        body = [each for each in rig.work(1) if "code" in each][-1]
        self.codes[body["code"]] = self.codes.get(body["code"], 0) + 1
        ident = request["id"]
        self.executed[ident] = self.executed.get(ident, 0) + rig.far.moved - moved
        if rig.far.moved - moved and rig.clock.unix_s >= request["exp"]:
            self.failures.append("%s moved past its exp" % ident)
        return body

    def play(self, count):
        waiting = []  # (when, request, the first answer)
        for number in range(count):
            op = "unlock" if number & 1 else "lock"
            request = {"id": "r-%d" % number, "op": op, "exp": self.rig.clock.unix_s + _OPEN_S}
            first = self.deliver(request)
            if first["code"] != "ok":
                self.failures.append("%s: %s" % (request["id"], first))
            for _ in range(random.getrandbits(2)):
                delay_s = random.getrandbits(3) if random.getrandbits(1) else random.getrandbits(9) % 500
                waiting.append((self.rig.clock.unix_s + delay_s, request, first))
            if random.getrandbits(3) == 0:
                waiting.append((self.rig.clock.unix_s + _DAY_S, request, None))
            if random.getrandbits(2) == 0:
                other = dict(request, op="lock" if op == "unlock" else "unlock")
                if self.deliver(other)["code"] != "conflict":
                    self.failures.append("%s with another content was no conflict" % request["id"])
            self.later(1 + random.getrandbits(2))
            if random.getrandbits(4) == 0:
                self.start()
            waiting = self.due(waiting)
        while waiting:  # and all that is still under way
            self.later(max(1, min(when for when, _, _ in waiting) - self.rig.clock.unix_s))
            waiting = self.due(waiting)
        for ident in self.executed:
            if self.executed[ident] != 1:
                self.failures.append("%s moved %d times" % (ident, self.executed[ident]))

    def due(self, waiting):
        """Deliver what has come through by now, in any order; -> the rest."""
        now_s = self.rig.clock.unix_s
        ready = [each for each in waiting if each[0] <= now_s]
        while ready:
            _, request, first = ready.pop(random.getrandbits(16) % len(ready))
            body = self.deliver(request)
            if first is not None and body != first:
                self.failures.append("%s: first %s, then %s" % (request["id"], first["code"], body["code"]))
            if first is None and body["code"] not in ("expired", "ok"):
                self.failures.append("%s a day later: %s" % (request["id"], body["code"]))
        return [each for each in waiting if each[0] > now_s]


random.seed(int(sys.argv[1]))
repeats = Repeats()
repeats.play(int(sys.argv[2]))
total = sum(repeats.codes.values())
ids = len(repeats.executed)
figures = {"deliveries": total, "executions_per_id": "%.3f" % (sum(repeats.executed.values()) / ids)}
figures["resets"] = repeats.resets
figures["codes"] = repeats.codes
print(json.dumps({"n": ids, "failures": repeats.failures, "figures": figures}))
