"""A request on its way through the gateway, and the job that it becomes. Owns the note that it is about to act."""

import json

from firmware.gateway.operations import table
from firmware.gateway.scheduler import COMMAND, URGENT, Job
from firmware.lib import reports
from firmware.lib.compat import const
from firmware.system.timing import ticks_diff, ticks_ms

_TELL_MS = const(250)


class Context:
    """What an operation works with besides its session: the modules of the gateway that know or keep something.

    `is_wanted(priority)` is true when more urgent work waits; `about()` says what the gateway is, without secrets.
    """

    def __init__(self, registry, clock, clocks, records, uploads, is_wanted, failures, metrics, about):
        self.registry = registry
        self.clock = clock
        self.clocks = clocks
        self.records = records
        self.uploads = uploads
        self.is_wanted = is_wanted
        self.failures = failures
        self.metrics = metrics
        self.about = about


class CommandJob(Job):
    """A lock's operation that somebody asked for."""

    def __init__(self, lock, deadline_ms, request, tools, done):
        super().__init__(lock, deadline_ms)
        self.op = request.command.op
        self.args = request.command.args
        self.priority = URGENT if request.is_volatile else COMMAND
        self.before = None
        self.kept = None  # what an operation must know when it is tried again
        self.number = 0
        self.uid = 0  # that the lock is told
        self.is_recorded = False  # the lock's log holds it
        self.context = tools.context
        self._tools = tools
        self.request = request
        self._done = done
        self._told = None  # (state, press) told last, tick
        self._is_marked = False

    def mark(self):
        """A reset from here on must not lead to a second time (security.md CMD-5)."""
        command = self.request.command
        if command.id is not None and not self._is_marked:
            note = json.dumps([command.id, command.op, self.request.lock_id]).encode()
            self._tools.dedupe.start(command.id, self.request.digest, note)
            self._is_marked = True

    def progress(self, found):
        """Tell whoever asked how far it is; `found` is a dict without secrets. Often called, it tells now and then, but
        each change of `state` and each `press` at once.
        """
        key = found.get("state"), found.get("press")
        now_ms = ticks_ms()
        if self._told and self._told[0] == key and ticks_diff(now_ms, self._told[1]) < _TELL_MS:
            return
        self._told = key, now_ms
        tell(self._tools, self.request, found)

    async def run(self, session):
        return await table.module(self.op).run(self, session)

    def finish(self, found, err):
        self._done(self, found, err)


def tell(tools, request, found, is_spare=True):
    """Publish a message that is not the last one of its request; a request without an id gets none."""
    command = request.command
    if command.id is None:
        return
    topic = tools.topics.lock(request.lock_id, "rsp") if request.lock_id else tools.topics.gateway("rsp")
    tools.outgoing.put(topic, reports.progress(command.id, command.op, found), False, is_spare)


class Request:
    """A command on its way, with where it came from and when."""

    __slots__ = ("began_ms", "command", "digest", "is_open", "is_volatile", "job_state", "lock_id")

    def __init__(self, command, lock_id, began_ms):
        self.command = command
        self.lock_id = lock_id
        self.began_ms = began_ms
        self.digest = b""
        self.is_open = False  # new, and neither answered nor given to anybody
        self.is_volatile = False
        self.job_state = None  # of a durable one that has ended
