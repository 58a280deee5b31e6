"""MQTT messages in, requests checked and handed on. Owns the rules of mqtt.md 1 on which requests are accepted; what a
request is answered, and how, is the business of `requests`.

Order of checks: signature, form, retained, permission, repeated id, rate, operation, expiry, lock, arguments, room in
the queue. Nothing here touches the radio. What is refused for want of room or rate is answered and not remembered: it
did not act, and a flood of it must not wear the flash.

Once the gateway has an owner, messages are of two classes (mqtt.md 2, "Separate budgets"). A signature that verifies,
with a nonce of this session and a new number, makes the first; it has an inbox, rates and ids of its own, and is dealt
with first. All else is the second: past its budget it is counted and dropped unread, so that no flood of it costs more
than the reading of its packets.
"""

import asyncio
import gc
import json

from firmware.gateway import rights
from firmware.gateway.admission import RESERVE, SIGNED, UNSIGNED, Rate, Refusal
from firmware.gateway.operations import table
from firmware.gateway.requests import CommandJob, Request
from firmware.gateway.scheduler import Expired, Unknown
from firmware.lib import commands, envelope
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
_FORGOTTEN = ("busy", "rate_limited", "stale_nonce")  # codes of results that are not kept: the id may come again
_MEANINGLESS = ("bad_request", "forbidden", "bad_signature", "unknown_issuer")  # counted apart from what may act
_ADMIT_MS = const(20000)  # opening sealed arguments takes seconds on a board
_SIGNED_DEPTH = const(6)  # of the twelve places, once there is an owner
_RADIO_PER_MIN = const(6)  # a quarter of a second each: one command of the owner's in forty meets one
_HELLOS_PER_MIN = const(120)
_TEN_MIN_S = const(600)
_HELLO = b'"hello"'


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
        issuers=None,
        unsigned_per_min=30,
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
        self._issuers = issuers
        self._is_unsigned_allowed = is_unsigned_allowed
        self._inbox = []
        self._signed = []
        self._filled = asyncio.Event()
        self._alarms = Rate(_ALARMS_PER_MIN, 60)
        self._unread = Rate(2 * unsigned_per_min, 60)
        self._hellos = Rate(_HELLOS_PER_MIN, 60)
        per_min = unsigned_per_min if is_unsigned_allowed else max(_RADIO_PER_MIN, unsigned_per_min // 5)
        self._radio = Rate(per_min // 3, 20)  # few in a row
        self.pin = None  # a `remote_pin.Pin`, where the owner set one
        self._reserved: dict = {}  # lock id -> second of its unlock beyond the share
        self._warned_s = -60
        self.dropped = 0

    def __len__(self):
        """How many messages wait."""
        return len(self._inbox) + len(self._signed)

    def enqueue(self, topic, payload, retained, qos):
        """A message from the broker; called by the connection, so it only looks whose it is, and queues."""
        leaf, lock_id = self._answers.topics.parse_obeyed(topic) or (None, None)
        if not payload or leaf not in ("cmd", "set", "records/ack"):  # an empty one takes back a retained message
            return
        proof, err, inbox, room = None, None, self._inbox, _DEPTH
        if leaf == "records/ack":
            lock = self._context.registry.by_id(lock_id)
            if retained or lock is None or not self._context.uploads.is_awaited(lock, payload):
                self._count_drop()
                return
            if self._has_owner:
                inbox, room = self._signed, _SIGNED_DEPTH
        elif self._has_owner:
            room -= _SIGNED_DEPTH
            if leaf == "cmd" and not retained and envelope.is_signed(payload):
                try:
                    proof = self._issuers.verify(topic, payload)
                    inbox, room = self._signed, _SIGNED_DEPTH
                except Refusal as refusal:
                    err = refusal
            limit = self._hellos if leaf == "cmd" and lock_id is None and _HELLO in payload else self._unread
            if proof is None and not self._admits(limit):
                return
        message = leaf, lock_id, topic, payload, retained, ticks_ms(), proof, err
        if len(inbox) < room:
            inbox.append(message)
            self._filled.set()
            return
        self._count_drop()
        if leaf != "records/ack":  # answered, and not remembered, so that its id may be used again
            request, err = self._read(message)
            request.refuse(err or Refusal("busy", "too many requests at once"), proof is None)

    @property
    def _has_owner(self):
        return self._issuers is not None and self._issuers.has_owner

    def _admits(self, limit):
        """Count a message of the second class; False where it is one too many, and goes unread."""
        if limit.take(self._now_s()):
            return True
        self._count_drop()
        return False

    def _count_drop(self):
        self.dropped += 1
        if self._now_s() - self._warned_s >= 1:
            self._warned_s = self._now_s()
            self._log.warn("dropped", total=self.dropped)

    def _read(self, message):
        """(request, None), or (what could be read of it, why it is refused)."""
        leaf, lock_id, topic, payload, retained, at_ms, proof, err = message
        iss = proof.issuer.name if proof else None
        try:
            command = commands.parse_set(payload) if leaf == "set" else commands.parse(payload)
            if proof is None:
                if not self._has_owner and command.iss is not None:
                    err = Refusal("unknown_issuer", rights.NO_OWNER)
                elif err is None and command.iss is not None:
                    err = Refusal("bad_signature", "the payload does not end in its mac")
            elif (command.iss, command.nonce, command.seq) != (iss, proof.nonce, proof.seq):
                err = BadRequest("iss, nonce and seq must stand in the message itself, and once")
            elif command.exp is None or command.iat is None:
                err = BadRequest("a signed request has exp and iat")
        except BadRequest as bad:
            command = commands.Command(getattr(bad, "id", None), None, {})
            err = err or bad
        if retained:
            err = Refusal("retained", "the message was retained")
            self._alarm(lock_id)
        signer = getattr(err, "issuer", None)  # its mac is right, its nonce or number is not
        request = Request(command, lock_id, at_ms, self._answers, b"", signer.name if signer else iss)
        request.is_second_class = proof is None and self._has_owner
        request.proof = proof
        request.topic = topic
        return request, err

    def _alarm(self, lock_id):
        """Somebody left a command at the broker, where it would act at every connect (security.md CMD-6)."""
        self._log.warn("retained_command", lock=lock_id or "-")
        lock = self._context.registry.by_id(lock_id) if lock_id else None
        if lock and self._alarms.take(self._now_s()):
            self._on_retained(lock)

    async def run(self, lease):
        """Deal with messages for ever, one after the other; first with what a reset cut off."""
        for digest, note in self._answers.ids.interrupted():
            id, op, lock_id, iss = (json.loads(note) + [None])[:4]  # older releases noted three
            request = Request(commands.Command(id, op, {}), lock_id, None, self._answers, digest, iss)
            request.answer(err=Unknown("the gateway was reset while it carried the command out"))
        while True:
            lease.renew()
            if not self._inbox and not self._signed:
                self._filled.clear()
                await lease.wait(self._filled)
                continue
            await self._request((self._signed or self._inbox).pop(0), lease)

    async def _request(self, message, lease):
        """Deal with one message; once more from the beginning if there was no memory for it."""
        if message[0] == "records/ack":
            lock = self._context.registry.by_id(message[1])
            if lock:  # it may have been forgotten meanwhile
                self._context.uploads.acknowledged(lock, message[3])
            return
        for is_last in (False, True):
            request = None
            try:
                request, err = self._read(message)
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
                if getattr(err, "code", "") == "replayed" and self._was_answered(request):
                    return
                raise err
            if request.lock_id is None and request.command.op == "hello":
                self._gateway_ops.hello(request)
                return
            clock, ids = self._context.clock, self._answers.ids
            rights.permit(request, self._issuers, ids, clock, self._is_unsigned_allowed, self.pin)
            if not self._is_new(request):
                return
        except FirmwareError as refusal:
            if request.proof is None and refusal.code in _MEANINGLESS:
                if not self._rates.admit(None, None, self._now_s()):
                    refusal = Refusal("rate_limited", "too many requests")
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
            return self._begin(request)
        if not is_same:  # it waits for its lock, for longer than ids are remembered
            raise Refusal("conflict", "the id was used for another request")
        return False

    def _begin(self, request):
        """Take the id in the share of the request's class. A question that finds no room there is answered, and not
        remembered; each lock has room for one more unlock."""
        if not self._has_owner:
            return request.begin()
        command = request.command
        try:
            return request.begin(UNSIGNED if request.proof is None else SIGNED)
        except Refusal as full:
            rules = table.rules(command.op, request.lock_id is not None)
            if full.code != "rate_limited":
                raise
            if rules is not None and not rules & (table.VOLATILE | table.GUARDED | table.DURABLE | table.SIGNED):
                request.has_row = False
                request.is_open = True
                return True
            if request.proof is None or command.op != "unlock" or not self._reserves(request.lock_id):
                raise
        return request.begin(RESERVE)

    def _reserves(self, lock_id):
        """Whether a lock has its one unlock beyond the share left, which is used up then."""
        now_s = self._now_s()
        if (
            self._context.registry.by_id(lock_id) is None
            or now_s - self._reserved.get(lock_id, -_TEN_MIN_S) < _TEN_MIN_S
        ):
            return False
        self._reserved[lock_id] = now_s
        return True

    def _was_answered(self, request):
        """A message that came twice: its result is sent again, or will come. False when nothing is known of it."""
        if self._jobs.repeated(request):
            return True
        return self._answers.ids.is_known(request.key) and not request.begin()

    async def _admit(self, request):
        """Check a new request, and hand it on or answer it. Raises what the result shall be."""
        command = request.command
        clock = self._context.clock
        rules = table.rules(command.op, request.lock_id is not None)
        lock = self._context.registry.by_id(request.lock_id) if request.lock_id is not None else None
        is_real = rules is not None and (lock is not None or request.lock_id is None)
        rates = request.proof.issuer.rates if request.proof else self._rates
        if not rates.admit(command.op if is_real else None, request.lock_id, self._now_s()):
            raise Refusal("rate_limited", "too many requests")
        if rules is None:
            raise BadRequest("no such operation here")
        if lock is not None and request.is_second_class and not rules & table.LOCAL:
            if not self._radio.take(self._now_s()):  # the radio has one lock at a time
                raise Refusal("rate_limited", "too many unsigned requests that need the radio")
        request.is_volatile = bool(rules & table.VOLATILE)
        if request.proof:
            rights.judge_times(request, self._context.clock)
        deadline_ms = self._deadline(request, rules)
        if request.lock_id is None:
            await self._gateway_ops.run(request, deadline_ms)
            return
        if lock is None:
            raise Refusal("unknown_lock", "no keys for this lock")
        if command.sealed is not None:
            command.args = await self._gateway_ops.unseal(request)
        table.admit(command, lock)
        if rules & table.NEEDS_CLOCK and not clock.trusted:
            raise Refusal("no_clock", "the gateway's clock is not trusted")
        if rules & table.LOCAL:
            request.answer(table.answer(self._jobs, lock, command.op, command.args))
        elif rules & table.DURABLE:
            self._jobs.accept(request, lock)
        elif self._answers.outgoing.is_behind and not request.is_volatile:
            raise Refusal("busy", "answers wait for the broker")
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
