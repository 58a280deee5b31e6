"""MQTT messages in, requests checked and handed on. Owns the rules of mqtt.md 1 on which requests are accepted; what a
request is answered, and how, is the business of `requests`.

Order of checks: form, retained, repeated id, rate, operation, expiry, permission, lock, arguments, room in the queue.
Nothing here touches the radio. What is refused for want of room or rate is answered and not remembered: it did not act,
and a flood of it must not wear the flash.
"""

import asyncio
import gc
import json

from firmware.gateway.admission import Rate, Refusal
from firmware.gateway.operations import table
from firmware.gateway.requests import CommandJob, Request
from firmware.gateway.scheduler import Expired, Unknown
from firmware.lib import commands
from firmware.lib.compat import const
from firmware.lib.errors import BadRequest, FirmwareError
from firmware.system.timing import ticks_add, ticks_ms

_DEPTH = const(12)
_COMMAND_S = const(30)
_LONG_S = const(120)  # reading a whole log, enrolling a finger
_VOLATILE_MAX_S = const(30)  # security.md CMD-3: however late `exp` is
_MAX_S = const(120)
_FAR_MS = const(366 * 86400000)  # nobody means that
_ALARMS_PER_MIN = const(4)
_FORGOTTEN = ("busy", "rate_limited")  # codes of results that are not kept: the id may come again
_ADMIT_MS = const(20000)  # opening sealed arguments takes seconds on a board


class Bridge:
    """`gateway_ops` carries out what is asked of the gateway itself, `jobs` keeps durable requests, `scheduler` takes
    the others. `expiry_s` is how long a volatile request without `exp` may wait; `is_unsigned_allowed` is the owner's
    word on requests that change something. `on_retained(lock)` is called when the broker kept a command for a lock."""

    def __init__(
        self,
        answers,
        context,
        rates,
        scheduler,
        jobs,
        gateway_ops,
        now_s,
        log,
        on_retained,
        expiry_s=20,
        is_unsigned_allowed=False,
    ):
        self._answers = answers
        self._context = context
        self._rates = rates
        self._scheduler = scheduler
        self._jobs = jobs
        self._gateway_ops = gateway_ops
        self._now_s = now_s
        self._log = log.area("bridge")
        self._on_retained = on_retained
        self._expiry_s = expiry_s
        self._is_unsigned_allowed = is_unsigned_allowed
        self._inbox = []
        self._filled = asyncio.Event()
        self._alarms = Rate(_ALARMS_PER_MIN, 60)
        self.dropped = 0

    def __len__(self):
        """How many messages wait."""
        return len(self._inbox)

    def enqueue(self, topic, payload, retained, qos):
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
        leaf, lock_id = self._answers.topics.parse_obeyed(topic) or (None, None)
        if leaf in ("cmd", "set") and payload:
            request, err = self._read(leaf, lock_id, payload, retained, ticks_ms())
            request.refuse(err or Refusal("busy", "too many requests at once"), True)

    def _read(self, leaf, lock_id, payload, retained, at_ms):
        """(request, None), or (what could be read of it, why it is refused)."""
        err: FirmwareError | None = None
        try:
            command = commands.parse_set(payload) if leaf == "set" else commands.parse(payload)
        except BadRequest as bad:
            command = commands.Command(getattr(bad, "id", None), None, {})
            err = bad
        if retained:
            err = Refusal("retained", "the message was retained")
            self._alarm(lock_id)
        return Request(command, lock_id, at_ms, self._answers), err

    def _alarm(self, lock_id):
        """Somebody left a command at the broker, where it would act at every connect (security.md CMD-6)."""
        self._log.warn("retained_command", lock=lock_id or "-")
        now_s = self._now_s()
        lock = self._context.registry.by_id(lock_id) if lock_id else None
        if lock and self._alarms.allows(now_s):
            self._alarms.count()
            self._on_retained(lock)

    async def run(self, lease):
        """Deal with messages for ever, one after the other; first with what a reset cut off."""
        for digest, note in self._answers.ids.interrupted():
            id, op, lock_id = json.loads(note)
            request = Request(commands.Command(id, op, {}), lock_id, None, self._answers, digest)
            request.answer(err=Unknown("the gateway was reset while it carried the command out"))
        while True:
            lease.renew()
            if not self._inbox:
                self._filled.clear()
                await lease.wait(self._filled)
                continue
            topic, payload, retained, at_ms = self._inbox.pop(0)
            leaf, lock_id = self._answers.topics.parse_obeyed(topic) or (None, None)
            if leaf == "records/ack":
                lock = self._context.registry.by_id(lock_id)
                if lock and not retained:
                    self._context.uploads.acknowledged(lock, payload)
            elif leaf in ("cmd", "set") and payload:  # an empty one only takes back a retained message
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
                if request:
                    request.release()
                if is_last:
                    raise
            except asyncio.CancelledError:
                if request and request.is_open:
                    request.refuse(Refusal("busy", "the gateway starts its jobs anew"))
                raise

    async def _deal_with(self, request, err, lease):
        try:
            if err is not None:
                if isinstance(err, BadRequest) and not self._rates.admit(None, None, self._now_s()):
                    err = Refusal("rate_limited", "too many requests")
                raise err
            if not self._is_new(request):
                return
        except FirmwareError as refusal:
            request.refuse(refusal)
            return
        try:
            lease.renew(_ADMIT_MS)
            await self._admit(request)
        except MemoryError:
            raise
        except Exception as fault:  # every request gets its result, also one that meets a fault of ours
            if not isinstance(fault, FirmwareError):
                self._log.crash("request_failed", fault, op=request.command.op)
            if not request.is_open:
                return  # whoever has accepted it answers it
            if isinstance(fault, Refusal) and fault.code in _FORGOTTEN:
                request.refuse(fault)
            else:
                request.answer(err=fault)

    def _is_new(self, request):
        """Take the id. False when this request needs nothing more: it runs, or its result was sent again."""
        is_same = self._jobs.repeated(request)
        if is_same is None:
            return request.begin()
        if not is_same:  # it waits for its lock, for longer than ids are remembered
            raise Refusal("conflict", "the id was used for another request")
        return False

    async def _admit(self, request):
        """Check a new request, and hand it on or answer it. Raises what the result shall be."""
        command = request.command
        clock = self._context.clock
        rules = table.rules(command.op, request.lock_id is not None)
        lock = self._context.registry.by_id(request.lock_id) if request.lock_id is not None else None
        is_real = rules is not None and (lock is not None or request.lock_id is None)
        if not self._rates.admit(command.op if is_real else None, request.lock_id, self._now_s()):
            raise Refusal("rate_limited", "too many requests")
        if rules is None:
            raise BadRequest("no such operation here")
        request.is_volatile = bool(rules & table.VOLATILE)
        deadline_ms = self._deadline(request, rules)
        if rules & table.GUARDED and not self._is_unsigned_allowed:
            raise Refusal("forbidden", "unsigned_unlock is off")
        if request.lock_id is None:
            await self._gateway_ops.run(request, deadline_ms)
            return
        if lock is None:
            raise Refusal("unknown_lock", "no keys for this lock")
        if command.sealed is not None:
            command.args = await self._gateway_ops.unseal(command)
        table.admit(command, lock)
        if rules & table.NEEDS_CLOCK and not clock.trusted:
            raise Refusal("no_clock", "the gateway's clock is not trusted")
        if rules & table.LOCAL:
            request.answer(table.answer(self._jobs, lock, command.op, command.args))
        elif rules & table.DURABLE:
            self._jobs.accept(request, lock)
        elif self._scheduler.submit(CommandJob(lock, deadline_ms, request, self._context)):
            request.hand_on()
        else:
            raise Refusal("busy", "the queue is full")

    def _deadline(self, request, rules):
        """Tick until which the request may be worked on. Raises Refusal, Expired."""
        command = request.command
        clock = self._context.clock
        if command.exp is None:
            span_s = self._expiry_s if request.is_volatile else _COMMAND_S
            if rules & table.LONG:
                span_s = _LONG_S
            return ticks_add(request.began_ms, span_s * 1000)
        if not clock.trusted:
            raise Refusal("no_clock", "exp cannot be judged: the gateway's clock is not trusted")
        left_ms = command.exp * 1000 - clock.now_ms()
        if left_ms <= 0:
            raise Expired("past its exp")
        if left_ms > _FAR_MS:
            raise BadRequest("exp lies more than a year ahead")
        max_s = _VOLATILE_MAX_S if request.is_volatile else _MAX_S  # of a durable one `jobs` sees to it
        return ticks_add(ticks_ms(), min(left_ms, max_s * 1000))
