"""A gateway between broker and link: bridge, scheduler, operations, and a lock at the other end of a fake link."""

import asyncio
import json

from firmware.gateway import log_tail
from firmware.gateway.admission import Ids, Rates
from firmware.gateway.background import Clocks
from firmware.gateway.bridge import Bridge
from firmware.gateway.diagnostics import Failures, Metrics, time_text
from firmware.gateway.gateway_ops import GatewayOps
from firmware.gateway.issuers import Issuers
from firmware.gateway.job_store import JobStore
from firmware.gateway.jobs import Jobs
from firmware.gateway.outgoing import States, Uploads
from firmware.gateway.records import Records
from firmware.gateway.registry import Registry
from firmware.gateway.requests import Answers, Context
from firmware.gateway.scheduler import Scheduler
from firmware.gateway.session import Session
from firmware.lib import reports, x25519
from firmware.lib.envelope import OWNER, sign, verify
from firmware.lib.errors import LinkError
from firmware.lib.topics import Topics
from firmware.system.journal import Journal
from firmware.system.supervisor import Lease
from tests.unit.gateway_rig import (
    ADDRESS,
    Broker,
    LinkedLock,
    Now,
    Outbox,
    UnixClock,
    fresh_folder,
    known_lock,
    nvs,
    quiet_log,
    run,
    stop,
    vault,
)

GATEWAY = "001122334455"
LOCK = ADDRESS.hex()
_SECRET = bytes(range(32))


class Opening:
    def __init__(self, rig, lock):
        self._rig = rig
        self._lock = lock

    async def __aenter__(self):
        rig = self._rig
        rig.opened += 1
        if rig.unreachable:
            rig.unreachable -= 1
            raise LinkError("could not connect")
        return Session(rig.far, self._lock, rig.registry, 0)

    async def __aexit__(self, kind, err, trace):
        pass


class Rig:
    """A gateway from the broker's callback to the link, with one lock that was just heard, locked."""

    def __init__(self, name, folder=None, rates=None, expiry_s=10, is_unsigned_allowed=True, now_s=1000, owner=None):
        log = quiet_log()
        self.folder = folder or fresh_folder(name)
        self.now = Now(now_s)
        self.clock = UnixClock()
        self.out = Outbox()
        self.far = LinkedLock()
        self.opened = 0
        self.unreachable = 0
        self.public = x25519.public_key(_SECRET) if name[:6] == "sealed" else bytes(32)
        self.topics = Topics(GATEWAY)
        self.metrics = Metrics()
        failures = Failures(self.clock)
        self.vault = vault(self.folder + "/locks")
        self.registry = registry = Registry(self.vault, self.now, log)
        self.ids = Ids(Journal(self.folder + "/ids", 64, 11), self.now, self.vault)
        self.rates = rates or Rates(6, 60, 30)
        self.issuers = Issuers(nvs(self.folder + "/locks"), (6, 60, 30), self.now, self.folder + "/issuers")
        self.was_reset = 0
        self.tails = []
        self._seq = 1000
        if owner:
            self.issuers.own(owner)
        clocks = Clocks(self.clock, registry, log)
        self.records = Records(
            self.folder + "/records", registry, clocks, self.clock, self.out, self.topics, self.now, log
        )
        self.states = States(registry, self.topics, Broker(), self.clock)
        self.scheduler = Scheduler(lambda lock, until_ms, gives_way: Opening(self, lock), registry, log, 0)
        self.context = Context(
            registry,
            self.clock,
            clocks,
            self.records,
            Uploads(registry, self.records, self.topics, Broker(), self.now, log),
            self.scheduler.is_wanted,
            failures,
            self.metrics,
            lambda: {"id": GATEWAY, "version": "0.1.0"},
        )
        self.answers = Answers(self.ids, self.metrics, failures, self.out, self.topics, log, self.issuers)
        store = JobStore(self.folder + "/jobs", nvs(self.folder + "/locks"))
        self.jobs = Jobs(store, self.context, self.scheduler, self.answers, self.now, log)
        keys = _SECRET, self.public
        self.gateway_ops = GatewayOps(
            self.context,
            self.scheduler,
            self.jobs,
            keys,
            lambda: self.about(),
            2,
            self.issuers,
            self._reset,
            tail=self._tail,
        )
        self.bridge = Bridge(
            self.answers,
            self.context,
            self.rates,
            self.scheduler,
            self.jobs,
            self.gateway_ops,
            self.now,
            log,
            self._retained,
            expiry_s,
            is_unsigned_allowed,
            self.issuers,
        )
        self.changes = []
        for forget in (self.records.close, self.rates.forget, failures.forget, self.states.withdraw):
            registry.on("removed", forget)
        self.lock = known_lock()
        registry.add(self.lock)
        registry.on("listed", self.changes.append)
        self.lock.seen_s = self.now.s
        self.lock.state = 0

    def _reset(self):
        self.was_reset += 1

    def _tail(self, args, issuer):
        self.tails.append((log_tail.minutes(args), issuer.name))
        return {"minutes": self.tails[-1][0]}

    def about(self):
        """What the gateway says about itself."""
        return {"id": GATEWAY}

    def _retained(self, lock):
        payload = reports.event(event_type="alarm", method="retained_command", ts=time_text(self.clock))
        self.out.publish(self.topics.lock(lock.id, "event"), payload)

    def send(self, leaf, payload, retained=False, lock=LOCK):
        if not isinstance(payload, bytes):
            payload = json.dumps(payload).encode()
        names = self.topics
        self.bridge.enqueue(names.lock(lock, leaf) if lock else names.gateway(leaf), payload, retained, 1)

    def signed(self, op, lock=LOCK, key=None, iss=OWNER, **members):
        """A signed request as bytes, in the order of the members given, over what a tool would put into it."""
        self._seq += 1
        now_s = self.clock.unix_s
        request = {"id": "%032x" % self._seq, "op": op, "exp": now_s + 20, "iss": iss, "seq": self._seq, "iat": now_s}
        request["nonce"] = self.issuers.nonce(iss)
        request.update(members)
        text = json.dumps({name: request[name] for name in request if request[name] is not None})
        topic = self.topics.lock(lock, "cmd") if lock else self.topics.gateway("cmd")
        return sign(key or self.issuers.get(iss).key, topic, text).encode()

    def ask_signed(self, op, lock=LOCK, **members):
        """Send a signed request and return its result, whose signature is checked where it has one."""
        self.send("cmd", self.signed(op, lock, **members), False, lock)
        before = len(self.out.put_in)
        self.work(before + 1)
        topic, payload = self.out.put_in[-1]
        result = json.loads(payload)
        result["signed"] = [each.name for each in self.issuers.all() if verify(each.key, topic, payload.encode())]
        return result

    def start(self):
        """The tasks of its jobs."""
        runs = (self.bridge.run, self.scheduler.run, self.scheduler.watch)
        return [asyncio.create_task(run(Lease())) for run in runs]

    def work(self, until=1, limit_ms=30000):
        """Run the jobs until so many results were put out -> all of them."""

        async def serve():
            tasks = self.start()
            for _ in range(limit_ms // 5):
                if len(self.out.put_in) >= until:
                    break
                await asyncio.sleep(0.005)
            for _ in range(3):
                await asyncio.sleep(0)
            for task in tasks:
                await stop(task)

        run(serve())
        return [json.loads(payload) for _, payload in self.out.put_in]

    def ask(self, op, args=None, **members):
        """Send one command and return its result."""
        request = dict(members, op=op)
        request.setdefault("id", "id-%d-%s" % (len(self.out.put_in), op))
        if args is not None:
            request["args"] = args
        self.send("cmd", request)
        return self.work(len(self.out.put_in) + 1)[-1]
