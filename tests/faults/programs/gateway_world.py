"""A gateway on a chip whose power may go: its own modules from the broker's callback to the link, wired as its app
does. Fakes are at the outer seams: the link to a lock, the broker, the network's time.
"""

import asyncio
import json

from firmware.gateway import provisioning
from firmware.gateway.admission import Ids, Rates
from firmware.gateway.background import Clocks
from firmware.gateway.bridge import Bridge
from firmware.gateway.diagnostics import Failures, Metrics
from firmware.gateway.gateway_ops import GatewayOps
from firmware.gateway.job_store import JobStore
from firmware.gateway.jobs import Jobs
from firmware.gateway.outgoing import States, Uploads
from firmware.gateway.records import Records
from firmware.gateway.registry import Registry
from firmware.gateway.requests import Answers, Context
from firmware.gateway.scheduler import Scheduler
from firmware.gateway.session import Session
from firmware.lib import sealed, x25519
from firmware.lib.errors import ConfigError
from firmware.lib.topics import Topics
from firmware.system import config
from firmware.system.journal import Journal
from firmware.system.supervisor import Lease
from firmware.system.timing import ticks_add, ticks_ms
from firmware.system.vault import Vault
from tests.faults.programs import cuts
from tests.faults.programs.cuts import DATA, board, differences, misfits
from tests.unit.gateway_rig import ADDRESS, Broker, LinkedLock, Now, Outbox, UnixClock, quiet_log
from tests.unit.tasks import cancel

GATEWAY = "001122334455"
SETTINGS = DATA + "/settings.json"
_SECRET = bytes(range(1, 33))
_PUBLIC = x25519.public_key(_SECRET)
_BY_RULES = ("records", "floor")


class Opening:
    """The link: always there."""

    def __init__(self, world, lock):
        self._session = Session(world.far, lock, world.registry, 0)

    async def __aenter__(self):
        return self._session

    async def __aexit__(self, kind, err, trace):
        pass


class GatewayWorld:
    """The gateway, the lock it serves and the broker: all that outlives a loss of power but for the flash."""

    def __init__(self, chip, far=None):
        self._nvs = chip.key_store()
        self.far = far or LinkedLock()
        self.broker = Broker()
        self.told = []  # results that the broker has: (id, code)
        self.acked = False
        self.is_again = False
        self.out = None
        self.boot = 0
        self.wrong = []

    def ack(self):
        """Whoever asked has been told."""
        self.acked = True

    def physical(self):
        """What a copy of the flash does not hold, for `revert`."""
        return self.far.state, self.far.moved, list(self.broker.sent), list(self.told), self.boot

    def revert(self, physical):
        """As it was at `physical`."""
        self.far.state, self.far.moved, self.broker.sent, self.told, self.boot = physical

    def power_lost(self):
        """What was only in memory is gone."""
        self.out = None

    def start(self):
        """As gateway.app does, up to the answers for what a reset cut off."""
        asyncio.new_event_loop()  # the old one may have been left in the middle of a task
        log = quiet_log()
        now = self.now = Now()
        clock = UnixClock()
        boot = provisioning.boot_number(board)
        if boot <= self.boot:
            self.wrong.append("boot number %d after %d" % (boot, self.boot))
        self.boot = boot
        self.topics = topics = Topics(GATEWAY)
        metrics = Metrics()
        failures = Failures(clock)
        self.out = out = Outbox()
        self.registry = registry = Registry(Vault(DATA + "/locks", self._nvs), now, log)
        self.ids = Ids(Journal(DATA + "/ids", 64, 11), now, registry.vault)
        rates = Rates(10000, 10000, 10000)
        clocks = Clocks(clock, registry, log)
        self.records = Records(DATA + "/records", registry, clocks, clock, out, topics, now, log)
        self.uploads = Uploads(registry, self.records, topics, self.broker, now, log)
        states = States(registry, topics, self.broker, clock)
        self.scheduler = Scheduler(lambda lock, until_ms, gives_way: Opening(self, lock), registry, log, 0)
        is_wanted = self.scheduler.is_wanted
        context = Context(registry, clock, clocks, self.records, self.uploads, is_wanted, failures, metrics, dict)
        self.answers = answers = Answers(self.ids, metrics, failures, out, topics, log)
        store = JobStore(DATA + "/jobs", self._nvs)
        self.jobs = Jobs(store, context, self.scheduler, answers, now, log)
        self.gateway_ops = GatewayOps(context, self.scheduler, self.jobs, (_SECRET, _PUBLIC), dict, 4)
        self.bridge = Bridge(
            answers, context, rates, self.scheduler, self.jobs, self.gateway_ops, now, log, None, 10, True
        )
        for forget in (self.records.close, rates.forget, failures.forget, states.withdraw):
            registry.on("removed", forget)
        for lock in registry.all():
            lock.seen_s = None if self.is_away else now.s
            self.records.buffer(lock)
        self.work(0)

    @property
    def lock(self):
        """The one that was there from the beginning."""
        return self.registry.get(ADDRESS)

    def work(self, until, heard=None):
        """Run the jobs until so many results are out, or of what `heard` returns, and deliver what is."""
        asyncio.run(self._serve(until, heard or self.results))
        self.deliver()

    def deliver(self):
        """The broker takes what waits for it."""
        for topic, payload in self.out.put_in:
            if topic.endswith("rsp"):
                body = json.loads(payload)
                self.told.append((body["id"], body["code"]))
        self.out.put_in = []

    async def _serve(self, until, heard):
        jobs = [run(Lease()) for run in (self.bridge.run, self.scheduler.run, self.scheduler.watch)]
        tasks = [asyncio.create_task(job) for job in jobs]
        for _ in range(400):
            if until and len(heard()) >= until:
                break
            await asyncio.sleep_ms(0 if not until else 1)
            if not until and self.scheduler.current is None and _ > 8:
                break
        for _ in range(3):
            await asyncio.sleep_ms(0)
        for task in tasks:
            await cancel(task)

    def results(self):
        return [payload for topic, payload in self.out.put_in if topic.endswith("rsp")]

    def send(self, request):
        """The broker delivers a command to the lock."""
        self.bridge.enqueue(self.topics.lock(ADDRESS.hex(), "cmd"), json.dumps(request).encode(), False, 1)

    def ask(self, op, id, args=None):
        """One command to the lock, until its result is with the broker."""
        request = {"id": id, "op": op}
        if args is not None:
            request["args"] = args
        return self.answer(request)

    def answer(self, request):
        """The word of the result of a command to the lock."""
        self.send(request)
        self.work(1)
        cuts.done.add(request["op"])
        return self.told[-1][1]

    @staticmethod
    def sealed(id, op, args):
        """A request with sealed arguments."""
        return {"id": id, "op": op, "sealed": sealed.seal(json.dumps(args).encode(), _PUBLIC, id, op)}

    def session(self):
        """A link to the lock."""
        return Session(self.far, self.lock, self.registry, ticks_add(ticks_ms(), 60000))

    # --- what is found after a start

    def state(self):
        registry = self.registry
        try:
            kept = config.load(SETTINGS, provisioning.table()).as_dict()
        except ConfigError:
            kept = None
        floor = board.nvs_get("gatehouse", "last_time")
        lock = self.lock
        found = {
            "locks": sorted([json.dumps(sorted(lock.as_dict().items())) for lock in registry.all()]),
            "settings": kept,
            "floor": 0 if floor is None else int.from_bytes(floor, "big"),
            "records": None,
        }
        if lock is not None:
            buffer = self.records.buffer(lock)
            entries = [(entry.era, entry.number, entry.gap) for entry in buffer.unsent(buffer.sent)]
            found["records"] = (buffer.era, buffer.cursor, buffer.sent, entries)
        return found

    # --- judging

    def judge(self, before, after, found, is_acked):
        """Texts of what is wrong with `found`, when `before` or `after` should be there, and `after` if it was told."""
        wrong = misfits(before, after, found, is_acked, _BY_RULES)
        low, high = before["floor"], after["floor"] + 60  # time goes on meanwhile
        if not low <= found["floor"] <= high or (is_acked and found["floor"] == low < after["floor"]):
            wrong.append("clock floor %d, %d to %d" % (found["floor"], before["floor"], after["floor"]))
        wrong += self._judge_records(before, after, found, is_acked)
        return wrong + self._judge_movements() + self.wrong

    def _judge_records(self, before, after, found, is_acked):
        if None in (before["records"], after["records"], found["records"]):
            return []
        epoch, cursor, sent, entries = found["records"]
        wrong = []
        low = min(before["records"][:2], after["records"][:2])
        high = max(before["records"][:2], after["records"][:2])
        if not low <= (epoch, cursor) <= high:
            wrong.append("cursor %s, %s to %s" % ((epoch, cursor), low, high))
        if not before["records"][2] <= sent <= after["records"][2] or (is_acked and sent != after["records"][2]):
            wrong.append("acknowledged up to %d, %d to %d" % (sent, before["records"][2], after["records"][2]))
        if [entry for entry in entries if entry[2]]:
            wrong.append("a gap that nothing explains")
        if is_acked and (epoch, cursor, entries) != (after["records"][:2] + (after["records"][3],)):
            wrong.append("stored records %r, to be %r" % (found["records"], after["records"]))
        return wrong

    def _judge_movements(self):
        if self.far.moved > 1:
            return ["the lock moved %d times for one request" % self.far.moved]
        return []

    def judge_end(self, wanted, found):
        """The same once everything has been done, some of it again."""
        wrong = self._judge_movements() + differences(wanted, found, _BY_RULES)
        if wanted["records"] is not None and found["records"][:2] != wanted["records"][:2]:
            wrong.append("records %r, to be %r" % (found["records"], wanted["records"]))
        return wrong + self.judge_delivery()

    def judge_delivery(self):
        """Every record the lock has given is with the broker or still stored."""
        have = set()
        for topic, payload, _, _ in self.broker.sent:
            if topic.endswith("records"):
                batch = json.loads(payload)
                if batch["gap"]:
                    return ["a batch tells of a gap of %d" % batch["gap"]]
                for item in batch["items"]:
                    have.add((batch["epoch"], item["rec"]))
        lock = self.lock
        if lock is None:
            return []
        buffer = self.records.buffer(lock)
        for entry in buffer.unsent(buffer.sent):
            have.add((entry.era, entry.number))
        missing = [n for n in range(buffer.cursor) if (buffer.era, n) not in have]
        return ["records %s are nowhere" % missing[:5]] if missing and self.counts_records else []

    counts_records = True
    is_away = False  # the lock is not heard
