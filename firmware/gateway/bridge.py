"""MQTT requests in, jobs out, and for each request exactly one result. Owns the rules of DESIGN 4 on what is taken.

Order of checks: form, retained, repeated id, rate, operation, expiry, permission, lock, arguments, room in the queue.
Nothing here touches the radio. What is refused for want of room or rate is answered and not remembered: it did not act,
and a flood of it must not wear the flash.
"""

import asyncio
import gc
import json

from firmware.gateway import dedupe
from firmware.gateway.clocks import NoClock
from firmware.gateway.operations import table
from firmware.gateway.rates import Rate
from firmware.gateway.refusals import Busy, Conflict, Forbidden, RateLimited, Retained, UnknownLock
from firmware.gateway.requests import CommandJob, Request
from firmware.gateway.scheduler import Expired, Unknown
from firmware.lib import commands, reports, topics
from firmware.lib.compat import const
from firmware.lib.errors import BadRequest, FirmwareError
from firmware.system.timing import ticks_add, ticks_diff, ticks_ms

_DEPTH = const(12)
_COMMAND_S = const(30)
_LONG_S = const(120)  # reading a whole log, enrolling a finger
_MOST_VOLATILE_S = const(30)  # security.md CMD-3: however late `exp` is
_MOST_S = const(120)
_ALARMS_PER_MIN = const(4)
_ADMIT_MS = const(20000)  # opening sealed arguments takes seconds on a board


class Bridge:
    """`tools` holds the collaborators: settings, registry, scheduler, dedupe, rates, clock, outgoing, topics, uploads,
    metrics, now_s, and `gateway_ops`, which carries out what is asked of the gateway itself."""

    def __init__(self, tools, log):
        self._tools = tools
        self._log = log.area("bridge")
        self._inbox = []
        self._filled = asyncio.Event()
        self._alarms = Rate(_ALARMS_PER_MIN, 60)
        self.dropped = 0
        tools.jobs.conclude = self._conclude
        tools.jobs.publish = self._publish

    def __len__(self):
        """How many messages wait."""
        return len(self._inbox)

    def take(self, topic, payload, retained, qos):
        """A message from the broker; called by the connection, so it only queues."""
        if len(self._inbox) >= _DEPTH:
            self.dropped += 1
            self._log.warn("dropped", total=self.dropped)
            self._turn_away(topic, payload, retained)
            return
        self._inbox.append((topic, payload, retained, ticks_ms()))
        self._filled.set()

    def _turn_away(self, topic, payload, retained):
        """There is no room for a request: it is answered, and not remembered, so that its id may be used again."""
        leaf, lock_id = self._tools.topics.parse_obeyed(topic) or (None, None)
        if leaf in ("cmd", "set") and payload:
            request, err = self._read(leaf, lock_id, payload, retained, ticks_ms())
            self._answer(request, None, err or Busy("too many requests at once"), 0, True)

    def _read(self, leaf, lock_id, payload, retained, at_ms):
        """(request, None), or (what could be read of it, why it is refused)."""
        err = None
        try:
            command = commands.parse_set(payload) if leaf == "set" else commands.parse(payload)
        except BadRequest as bad:
            command = commands.Command(getattr(bad, "id", None), None, {})
            err = bad
        if retained:
            err = Retained("the message was retained")
            self._alarm(lock_id)
        return Request(command, lock_id, at_ms), err

    def _alarm(self, lock_id):
        """Somebody left a command at the broker, where it would act at every connect (CMD-6)."""
        tools = self._tools
        self._log.warn("retained_command", lock=lock_id or "-")
        now_s = tools.now_s()
        if lock_id and tools.registry.by_id(lock_id) and self._alarms.allows(now_s):
            self._alarms.take()
            payload = reports.event(event_type="alarm", method="retained_command", ts=tools.states.now_text())
            tools.outgoing.put(tools.topics.lock(lock_id, "event"), payload)

    async def run(self, lease):
        """Deal with messages for ever, one after the other; first with what a reset cut off."""
        for digest, note in self._tools.dedupe.interrupted():
            id, op, lock_id = json.loads(note)
            request = Request(commands.Command(id, op, {}), lock_id, ticks_ms())
            request.digest = digest
            self.conclude(request, None, Unknown("the gateway was reset while it carried the command out"), 0)
        while True:
            lease.renew()
            if not self._inbox:
                self._filled.clear()
                await lease.wait(self._filled)
                continue
            topic, payload, retained, at_ms = self._inbox.pop(0)
            where = self._tools.topics.parse_obeyed(topic)
            if where is None:
                continue
            leaf, lock_id = where
            if leaf == topics.HA_STATUS:
                continue
            if leaf == "records/ack":
                lock = self._tools.registry.by_id(lock_id)
                if lock and not retained:
                    self._tools.uploads.acknowledged(lock, payload)
                continue
            if payload:  # an empty one only takes back a retained message
                await self._request(leaf, lock_id, payload, retained, at_ms, lease)

    async def _request(self, leaf, lock_id, payload, retained, at_ms, lease):
        """Deal with one message; once more from the beginning if there was no memory for it."""
        for is_last in (False, True):
            request = None
            try:
                request, err = self._read(leaf, lock_id, payload, retained, at_ms)
                await self._deal_with(request, err, lease)
                return
            except MemoryError:
                gc.collect()
                self._let_go(request)
                if is_last:
                    raise
            except asyncio.CancelledError:
                if self._let_go(request):
                    self._answer(request, None, Busy("the gateway starts its jobs anew"), 0)
                raise

    def _let_go(self, request):
        """Forget the id of a request that came to nothing, so that it may come again; False where there is none."""
        if request is None or not request.is_open:
            return False
        request.is_open = False
        if request.command.id is not None:
            self._tools.dedupe.drop(request.command.id)
        return True

    async def _deal_with(self, request, err, lease):
        try:
            if err is not None:
                if isinstance(err, BadRequest) and not self._tools.rates.take(None, None, self._tools.now_s()):
                    err = RateLimited("too many requests")
                raise err
            if not self._is_new(request):
                return
        except FirmwareError as refusal:
            self._answer(request, None, refusal, 0)
            return
        try:
            await lease.wait_for_ms(self._admit(request), _ADMIT_MS)
        except (Busy, RateLimited) as err:
            self._let_go(request)
            self._answer(request, None, err, 0)
        except FirmwareError as err:
            self.conclude(request, None, err, 0)
        except MemoryError:
            raise
        except Exception as err:  # every request gets its result, also one that meets a fault of ours
            self._log.crash("request_failed", err, op=request.command.op)
            self.conclude(request, None, err, 0)

    def _is_new(self, request):
        """Take the id. False when this request needs nothing more: it runs, or its result was sent again."""
        command = request.command
        if command.id is None:
            request.is_open = True
            return True
        request.digest = command.digest(request.lock_id or "")
        is_same = self._tools.jobs.repeated(command.id, request.digest)
        if is_same is not None:  # it waits for its lock, for longer than ids are remembered
            if not is_same:
                raise Conflict("the id was used for another request")
            return False
        known, payload = self._tools.dedupe.look(command.id, request.digest)
        if known == dedupe.CONFLICT:
            raise Conflict("the id was used for another request")
        if known == dedupe.LOST:
            raise Unknown("the request was worked on, and its result cannot be read any more")
        if known == dedupe.KNOWN:
            self._publish(request, payload)
        request.is_open = known == dedupe.NEW
        return request.is_open

    async def _admit(self, request):
        """Check a new request and queue its job. Raises what the result shall be."""
        tools = self._tools
        command = request.command
        rules = table.rules(command.op, request.lock_id is not None)
        lock = tools.registry.by_id(request.lock_id) if request.lock_id is not None else None
        is_real = rules is not None and (lock is not None or request.lock_id is None)
        if not tools.rates.take(command.op if is_real else None, request.lock_id, tools.now_s()):
            raise RateLimited("too many requests")
        if rules is None:
            raise BadRequest("no such operation here")
        request.is_volatile = bool(rules & table.VOLATILE)
        deadline_ms = self._deadline(request, rules)
        if rules & table.GUARDED and not tools.settings.unsigned_unlock:
            raise Forbidden("unsigned_unlock is off")
        if request.lock_id is None:
            await tools.gateway_ops.run(request, deadline_ms, self.conclude)
            request.is_open = False
            return
        if lock is None:
            raise UnknownLock("no keys for this lock")
        if command.sealed is not None:
            command.args = await tools.gateway_ops.unseal(command)
        table.admit(command, lock)
        if rules & table.NEEDS_CLOCK and not tools.clock.trusted:
            raise NoClock("the gateway's clock is not trusted")
        if rules & table.LOCAL:
            self.conclude(request, table.module(command.op).answer(tools.jobs, lock, command.op, command.args), None, 0)
            return
        if rules & table.DURABLE:
            tools.jobs.accept(request, lock)
            return
        if not tools.scheduler.submit(CommandJob(lock, deadline_ms, request, tools, self._done)):
            raise Busy("the queue is full")
        request.is_open = False

    def _deadline(self, request, rules):
        """Tick until which the request may be worked on. Raises NoClock, Expired."""
        tools = self._tools
        command = request.command
        if command.exp is None:
            span_s = tools.settings.expiry_s if request.is_volatile else _COMMAND_S
            if rules & table.LONG:
                span_s = _LONG_S
            return ticks_add(request.began_ms, span_s * 1000)
        if not tools.clock.trusted:
            raise NoClock("exp cannot be judged: the gateway's clock is not trusted")
        left_ms = command.exp * 1000 - tools.clock.now_ms()
        if left_ms <= 0:
            raise Expired("past its exp")
        most_s = _MOST_VOLATILE_S if request.is_volatile else _MOST_S  # of a durable one `jobs` sees to it
        return ticks_add(ticks_ms(), min(left_ms, most_s * 1000))

    # --- results

    def _done(self, job, found, err):
        self._conclude(job.request, found, err, job.attempts)

    def _conclude(self, request, found, err, attempts):
        try:
            self.conclude(request, found, err, attempts)
        except MemoryError:  # what the lock did is done: its result must not be lost
            gc.collect()
            self.conclude(request, found, err, attempts)

    def conclude(self, request, found, err, attempts):
        """The one result of a request that was new: keep it under its id, publish it, count it."""
        code, payload = self._compose(request, found, err, attempts)
        command = request.command
        if command.id is not None:
            try:
                self._tools.dedupe.done(command.id, request.digest, payload.encode())
            except OSError as fault:  # the id stays taken, so that the request cannot act twice
                self._log.crash("result_not_kept", fault)
        request.is_open = False
        self._tell(request, code, payload, attempts)

    def _answer(self, request, found, err, attempts, is_spare=False):
        """A result that is not kept."""
        code, payload = self._compose(request, found, err, attempts)
        self._tell(request, code, payload, attempts, is_spare)

    def _compose(self, request, found, err, attempts):
        command = request.command
        ms = ticks_diff(ticks_ms(), request.began_ms)
        if err is None:
            return "ok", reports.success(command.id, command.op, ms, attempts, found, request.job_state)
        code = err.code if isinstance(err, FirmwareError) else "internal"
        return code, reports.failure(command.id, command.op, err, ms, attempts, found, request.job_state)

    def _tell(self, request, code, payload, attempts, is_spare=False):
        op = request.command.op
        ms = ticks_diff(ticks_ms(), request.began_ms)
        self._log.info("result", op=op, lock=request.lock_id or "-", code=code, ms=ms, attempts=attempts)
        self._tools.metrics.note(op, code, ms)
        self._tools.failures.record(request.lock_id, op, code)
        self._publish(request, payload, is_spare)

    def _publish(self, request, payload, is_spare=False):
        names = self._tools.topics
        topic = names.lock(request.lock_id, "rsp") if request.lock_id else names.gateway("rsp")
        self._tools.outgoing.put(topic, payload, False, is_spare)
