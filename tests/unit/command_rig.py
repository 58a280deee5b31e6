"""A gateway between broker and link: bridge, scheduler, operations, and a lock at the other end of a fake link."""

import asyncio
import json

from firmware.gateway.bridge import Bridge
from firmware.gateway.clocks import Clocks
from firmware.gateway.dedupe import Dedupe
from firmware.gateway.diagnostics import Metrics
from firmware.gateway.failures import Failures
from firmware.gateway.gateway_ops import GatewayOps
from firmware.gateway.job_store import JobStore
from firmware.gateway.jobs import Jobs
from firmware.gateway.rates import Rates
from firmware.gateway.records import Records
from firmware.gateway.registry import Registry
from firmware.gateway.requests import Context
from firmware.gateway.scheduler import Scheduler
from firmware.gateway.session import Session
from firmware.gateway.states import States
from firmware.gateway.tools import Tools
from firmware.gateway.uploads import Uploads
from firmware.lib import x25519
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


class Owner:
    """The settings that matter here."""

    expiry_s = 10
    unsigned_unlock = True


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

    def __init__(self, name, folder=None):
        log = quiet_log()
        self.folder = folder or fresh_folder(name)
        self.now = Now()
        self.clock = UnixClock()
        self.out = Outbox()
        self.far = LinkedLock()
        self.opened = 0
        self.unreachable = 0
        self.public = x25519.public_key(_SECRET) if name == "sealed" else bytes(32)
        tools = self.tools = Tools()
        tools.settings = Owner()
        tools.now_s = self.now
        tools.most_locks = 2
        tools.topics = Topics(GATEWAY)
        tools.metrics = Metrics()
        tools.failures = Failures(lambda: None)
        tools.clock = self.clock
        tools.outgoing = self.out
        self.vault = vault(self.folder + "/locks")
        tools.registry = self.registry = Registry(self.vault, self.now, log)
        tools.dedupe = Dedupe(Journal(self.folder + "/ids", 64, 8), self.now)
        tools.rates = Rates(6, 60, 30)
        tools.clocks = Clocks(self.clock, self.registry, log)
        tools.records = Records(
            self.folder + "/records", self.registry, tools.clocks, self.clock, self.out, tools.topics, self.now, log
        )
        tools.states = States(self.registry, tools.topics, Broker(), self.clock, self.now)
        tools.scheduler = Scheduler(lambda lock, until_ms, gives_way: Opening(self, lock), self.registry, log, 0)
        tools.context = Context(
            self.registry,
            self.clock,
            tools.clocks,
            tools.records,
            Uploads(self.registry, tools.records, tools.topics, Broker(), self.now, log),
            tools.scheduler.is_wanted,
            tools.failures,
            tools.metrics,
            lambda: {"id": GATEWAY, "version": "0.1.0"},
        )
        tools.gateway_ops = GatewayOps(tools, _SECRET, self.public, lambda: {"id": GATEWAY})
        self.changes = []
        tools.on_locks = lambda: self.changes.append(1)
        tools.jobs = Jobs(tools, JobStore(self.folder + "/jobs", nvs(self.folder + "/locks")), log)
        self.bridge = Bridge(tools, log)
        tools.jobs.load()
        self.lock = known_lock()
        self.registry.add(self.lock)
        self.lock.seen_s = self.now.s
        self.lock.state = 0

    def send(self, leaf, payload, retained=False, lock=LOCK):
        if not isinstance(payload, bytes):
            payload = json.dumps(payload).encode()
        names = self.tools.topics
        self.bridge.take(names.lock(lock, leaf) if lock else names.gateway(leaf), payload, retained, 1)

    def start(self):
        """The tasks of its jobs."""
        tools = self.tools
        runs = (self.bridge.run, tools.scheduler.run, tools.scheduler.watch)
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
