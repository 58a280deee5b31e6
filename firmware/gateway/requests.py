"""Requests, their answers, and the job that a request for a lock becomes. Owns how an answer is composed, kept under
its id, counted and published; leaves to the bridge what may act, and to the operations what is done.

Whoever holds a request answers it, once. Source: mqtt.md 1 (exactly one final `rsp` per id).
"""

import gc
import json

from firmware.gateway import admission
from firmware.gateway.admission import Refusal
from firmware.gateway.operations import table
from firmware.gateway.scheduler import COMMAND, URGENT, Job, Unknown
from firmware.lib import envelope, reports
from firmware.lib.compat import const
from firmware.lib.errors import FirmwareError
from firmware.system.timing import ticks_diff, ticks_ms

_PROGRESS_MS = const(250)


class Answers:
    """Where the answers of all requests go: `ids` keeps them, `metrics` and `failures` count them, `outgoing` publishes
    them, signed where the request was, by the key that `issuers` has. Made once, by the composition root."""

    def __init__(self, ids, metrics, failures, outgoing, topics, log, issuers=None):
        self.issuers = issuers
        self.ids = ids
        self.metrics = metrics
        self.failures = failures
        self.outgoing = outgoing
        self.topics = topics
        self.log = log.area("bridge")


class Request:
    """A command on its way, with where it came from and when (a tick; None: not known). `answers` takes its one answer;
    `digest` is eight bytes of the hash of its content, given for one that came before the last start; `iss` is the name
    of the issuer whose signature was verified, None for an unsigned one."""

    has_row = True  # its id is remembered, as far as it has one
    is_open = False  # its id is taken, and no other module has accepted it
    is_answered = False
    is_volatile = False
    proof = None  # an `issuers.Signed` for one that is carried out as signed
    topic = None  # as published
    is_second_class = False  # unsigned at a gateway that has an owner
    job_state = None  # of a durable one that has ended

    def __init__(self, command, lock_id, began_ms, answers, digest=b"", iss=None):
        self.command = command
        self.lock_id = lock_id
        self.began_ms = began_ms
        self.iss = iss
        self._answers = answers
        self.digest = digest or (b"" if command.id is None else command.digest(lock_id or "")[:8])

    # --- its id

    @property
    def key(self):
        """Under which its id is remembered: who signs has ids of its own, which nobody else can use up."""
        return self.command.id if self.iss is None else "%s %s" % (self.iss, self.command.id)

    def begin(self, share=admission.ALL):
        """Take the id, in a share of the table -> True. False for a repeat that needs nothing more: the request is
        being worked on, or its result has been published again. Raises Refusal, `rate_limited` where the share is full,
        and Unknown where the first one's result cannot be read."""
        if self.command.id is None:
            self.is_open = True
            return True
        known, payload = self._answers.ids.look(self.key, self.digest, share)
        if known == admission.FULL:
            raise Refusal("rate_limited", "too many requests in ten minutes")
        if known == admission.CONFLICT:
            raise Refusal("conflict", "the id was used for another request")
        if known == admission.LOST:
            raise Unknown("the request was worked on, and its result cannot be read any more")
        if known == admission.KNOWN:
            self.publish(payload)
        self.is_open = known == admission.NEW
        return self.is_open

    def hand_on(self):
        """Another module has accepted the request and will answer it."""
        self.is_open = False

    def release(self):
        """Forget the id of a request that no other module has accepted: it may come again."""
        if self.is_open:
            self.is_open = False
            if self.command.id is not None and self.has_row:
                self._answers.ids.drop(self.key)

    def mark(self):
        """The request is about to act: a reset from here on must not lead to a second time (security.md CMD-5)."""
        command = self.command
        if command.id is not None and self.has_row:
            note = json.dumps([command.id, command.op, self.lock_id, self.iss]).encode()
            self._answers.ids.start(self.key, self.digest, note)

    # --- its answer

    def answer(self, result=None, err=None, attempts=0):
        """The one result: composed, kept under the id, counted, published. A second one changes nothing."""
        if self.is_answered:
            self._answers.log.error("answered_twice", op=self.command.op, lock=self.lock_id or "-")
            return
        try:
            self._answer(result, err, attempts)
        except MemoryError:  # what the lock did is done: its result must not be lost
            gc.collect()
            self._answer(result, err, attempts)

    def _answer(self, result, err, attempts):
        payload = self._compose(result, err, attempts)
        if self.command.id is not None and self.has_row:
            try:
                self._answers.ids.done(self.key, self.digest, payload.encode())
            except OSError as fault:  # the id stays taken, so that the request cannot act twice
                self._answers.log.crash("result_not_kept", fault)
        self.is_open = False
        self._report(payload, err, attempts)
        self.is_answered = True

    def refuse(self, err, is_low_priority=False):
        """A result that is not kept: the request did not act, and its id may come again. It goes without a receipt, so
        that a burst of requests is answered as fast as it comes."""
        self.release()
        self._report(self._compose(None, err, 0), err, 0, is_low_priority, 0)
        self.is_answered = True

    def progress(self, members, is_low_priority=True):
        """Publish a message that is not the last one of the request; without an id there is none."""
        command = self.command
        if command.id is not None:
            self.publish(reports.progress(command.id, command.op, members), is_low_priority)

    def publish(self, payload, is_low_priority=False, qos=1):
        """Put a message on the topic of this request's results."""
        topics = self._answers.topics
        topic = topics.lock(self.lock_id, "rsp") if self.lock_id else topics.gateway("rsp")
        issuer = self._answers.issuers.get(self.iss) if self.iss is not None else None
        if issuer is not None:
            if not isinstance(payload, str):
                payload = payload.decode()
            payload = envelope.sign(issuer.key, topic, payload)
        self._answers.outgoing.publish(topic, payload, False, is_low_priority or self.is_second_class, qos)

    def passed_ms(self):
        """Since the request came; None for one that came before the last start, or so long ago that ticks wrap."""
        return None if self.began_ms is None else ticks_diff(ticks_ms(), self.began_ms)

    def _compose(self, result, err, attempts):
        command = self.command
        ms = self.passed_ms()
        if err is None:
            return reports.success(command.id, command.op, ms, attempts, result, self.job_state)
        return reports.failure(command.id, command.op, err, ms, attempts, result, self.job_state)

    def _report(self, payload, err, attempts, is_low_priority=False, qos=1):
        answers = self._answers
        op = self.command.op
        code = "ok" if err is None else err.code if isinstance(err, FirmwareError) else "internal"
        ms = self.passed_ms()
        answers.log.info(
            "result", op=op, lock=self.lock_id or "-", code=code, ms="-" if ms is None else ms, attempts=attempts
        )
        answers.metrics.record(op, code, ms)
        answers.failures.record(self.lock_id, op, code)
        self.publish(payload, is_low_priority, qos)


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
    """An operation on a lock, for a request."""

    before = None
    kept = None  # what an operation must know when it is tried again
    number = 0
    uid = 0  # sent to the lock
    is_recorded = False  # the lock's log has its record
    was_refused = False  # once, and was begun anew
    _is_marked = False
    _published = None  # (state, press) of the last progress, and its tick

    def __init__(self, lock, deadline_ms, request, context):
        super().__init__(lock, deadline_ms, request)
        self.op = request.command.op
        self.args = request.command.args
        self.priority = URGENT if request.is_volatile and not request.is_second_class else COMMAND
        self.context = context

    def mark(self):
        """A reset from here on must not lead to a second time."""
        if not self._is_marked:
            self.request.mark()
            self._is_marked = True

    def progress(self, members):
        """Publish how far it is; `members` hold no secrets. Called often, it publishes now and then, but each change of
        `state` and each `press` at once.
        """
        key = members.get("state"), members.get("press")
        now_ms = ticks_ms()
        if self._published and self._published[0] == key and ticks_diff(now_ms, self._published[1]) < _PROGRESS_MS:
            return
        self._published = key, now_ms
        self.request.progress(members)

    async def run(self, session):
        return await table.run(self, session)

    async def after(self, session):
        if self.request.is_volatile:
            await session.verify()

    def finish(self, result, err):
        self.request.answer(result, err, self.attempts)
