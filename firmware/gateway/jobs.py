"""Durable requests: kept on flash, carried out when their lock is near, each with one final result. Owns the list of
those that wait, and when the radio is used for them; how they are kept is `job_store`, what they do an operation.

A request is stored before anything is sent, and marked before the first frame that changes something. Order is kept for
each lock: a later request is not begun before the one ahead has ended. A failure of the link keeps a request; a refusal
by the lock is final and ends it. Its id is known as long as it waits, however often it is sent again.

Lifetimes: `keep`, else seven days; of an unsigned request without `keep` at most until `exp`. They count in the time of
day where the clock was trusted when the request came, else in seconds since the gateway started.
Source: mqtt.md 1; domain.md 3.2 (states), 6.7; security.md CMD-4, CMD-5, DEL-1.
"""

from firmware.gateway.admission import Refusal
from firmware.gateway.job_store import MAX_JOBS, NORMAL, DurableJob, DurableRequest
from firmware.gateway.operations import table
from firmware.gateway.scheduler import Expired, Unknown
from firmware.lib.compat import const
from firmware.lib.errors import FirmwareError, LinkError, LockRefused
from firmware.system.timing import ticks_add, ticks_ms

_LIFE_S = const(604800)
_FRESH_S = const(60)  # a lock that was not heard for so long is not tried
_FIRST_MS = const(20000)
_AGAIN_MS = const(10000)
_IN_FLIGHT = const(6)  # of the scheduler's places, one for each lock
_FRUITLESS = const(3)  # of these for locks that were not reached last time
_PATIENCE = const(20)  # contacts that fail before the pauses grow
_PAUSE_S = const(2)
_PAUSE_MAX_S = const(600)
_FAULTS = const(3)  # answers that make no sense, or faults of ours, before it ends
_KEEPING = ("busy", "expired", "outcome_unknown", "no_clock")
_COUNTED_S = const(500000)  # a tick is no older


class Jobs:
    """`store` is a JobStore, of which the requests are loaded at once; `now_s` is a clock that only rises."""

    def __init__(self, store, context, scheduler, answers, now_s, log):
        self._store = store
        self._context = context
        self._scheduler = scheduler
        self._answers = answers
        self._now_s = now_s
        self._log = log.area("jobs")
        self._waiting = []  # requests in the order in which they came
        self._ended = []  # slots that the flash did not let go of
        self._contacts: dict = {}  # lock id -> failures in a row, second of the last, second before which to wait
        self._next = 1
        self._load()
        scheduler.planners.append(self.look)

    def __len__(self):
        return len(self._waiting)

    def _load(self):
        """What was kept when the gateway last stopped."""
        loaded = []
        for slot, kept, is_marked in self._store.load():
            try:
                request = DurableRequest(slot, kept, self._now_s(), self._answers)
            except (KeyError, TypeError, ValueError):
                self._log.error("job_damaged", slot=slot)
                continue
            request.was_sent = request.is_marked = is_marked
            request.began_ms = None  # nobody counted while the gateway was off
            loaded.append((request.number, request))
        if self._store.damaged:
            self._log.error("jobs_damaged", count=self._store.damaged)
        for number, request in sorted(loaded, key=lambda pair: pair[0]):
            self._next = number + 1
            self._waiting.append(request)
            payload = self._answers.ids.kept(request.key, request.digest)
            if payload is not None:  # it had ended; whether its result was published is not known
                request.publish(payload)
                self._remove(request)
            elif self._lock(request) is None:
                self._stop(request, Refusal("cancelled", "the lock was removed from this gateway"))
        if self._waiting:
            self._log.info("jobs_wait", count=len(self._waiting))

    def _lock(self, request):
        return self._context.registry.by_id(request.lock_id)

    # --- coming in

    def accept(self, request, lock):
        """Keep a checked request of a durable operation, and begin. Raises Refusal."""
        if len(self._waiting) >= MAX_JOBS:
            raise Refusal("busy", "%d operations wait for their locks already" % MAX_JOBS)
        command = request.command
        clock = self._context.clock
        life_s = command.keep or _LIFE_S
        if request.iss is None and command.keep is None and command.exp is not None:
            life_s = min(life_s, command.exp - clock.now())
        kept = {
            "n": self._next,
            "id": command.id,
            "op": command.op,
            "lock": lock.id,
            "iss": request.iss,
            "args": command.args,
            "digest": request.digest.hex(),
            "until": clock.now() + life_s if clock.trusted else None,
            "life": life_s,
        }
        try:
            slot = self._store.add(kept)
        except OSError as err:
            self._log.crash("job_not_kept", err)
            raise Refusal("busy", "the gateway's flash has no room to keep it")
        try:
            later = DurableRequest(slot, kept, self._now_s(), self._answers)
            self._waiting.append(later)
        except MemoryError:  # the request comes again
            self._store.drop(slot)
            raise
        self._next += 1
        request.hand_on()
        self._supersede(later)
        self._log.info("job_kept", op=later.op, lock=later.lock_id, waiting=len(self._waiting))
        later.progress(self.describe(later), False)
        self.look()

    def _supersede(self, later):
        """End what a later request makes pointless, unless it may have acted or is about to."""
        for request in list(self._waiting):
            if request is later or request.lock_id != later.lock_id or request.was_sent or self.is_running(request):
                continue
            if request.is_pointless(later):
                self._withdraw(request)
                self._stop(request, Refusal("cancelled", "a later request made it pointless"))

    def repeated(self, request):
        """Whether a waiting request with this id has the same content, None when there is none; its state is published
        again."""
        for known in self._waiting:
            if known.key == request.key:
                if known.digest != request.digest:
                    return False
                known.progress(self.describe(known), False)
                return True
        return None

    def find(self, id, lock_id=None):
        """The waiting request with this id, or None."""
        for request in self._waiting:
            if request.id == id and lock_id in (None, request.lock_id):
                return request
        return None

    def of(self, lock_id):
        """The requests of a lock, in order."""
        return [request for request in self._waiting if request.lock_id == lock_id]

    def age_s(self, request):
        """Seconds since the request came, or since the gateway started."""
        return self._now_s() - request.since_s

    def is_running(self, request):
        """Whether it has the radio."""
        return request.job is not None and request.job is self._scheduler.current

    def describe(self, request):
        """Members of a progress message: the state of a request."""
        word, number = request.pending()
        lock = self._lock(request)
        members = {"state": word, "job_state": number, "attempts": request.attempts}
        members["near"] = lock is not None and self._is_fresh(lock)
        if request.last:
            members["last"] = request.last
        return members

    # --- being done

    def look(self):
        """Begin what can be begun, and end what is too late."""
        for slot in list(self._ended):
            self._drop(slot)
        for request in list(self._waiting):
            if not request.job and self._is_over(request):
                self._stop(request, Expired("the lock did not come near in time"))
        behind = set()  # locks for which nothing further may be begun
        flying = fruitless = 0
        for request in self._waiting:
            if request.job:
                behind.add(request.lock_id)
                flying += 1
                fruitless += request.lock_id in self._contacts
        for is_fruitless in (False, True):
            for request in list(self._waiting):
                id = request.lock_id
                if id in behind or (id in self._contacts) != is_fruitless:
                    continue
                behind.add(id)
                if flying < _IN_FLIGHT and fruitless < (_FRUITLESS if is_fruitless else _IN_FLIGHT):
                    if self._begin(request):
                        flying += 1
                        fruitless += is_fruitless

    def _is_over(self, request):
        clock = self._context.clock
        if request.until is not None and clock.trusted and clock.now() >= request.until:
            return True
        return self.age_s(request) >= request.life_s

    def _is_fresh(self, lock):
        age_s = self._context.registry.age_s(lock)
        return age_s is not None and age_s <= _FRESH_S

    def _begin(self, request):
        """Give a request to the scheduler, if it can be done now; True if it was accepted."""
        lock = self._lock(request)
        if lock is None or not self._is_fresh(lock):
            return False
        contact = self._contacts.get(request.lock_id)
        if contact and (self._now_s() < contact[2] or lock.seen_s <= contact[1]):
            return False
        if table.rules(request.op, True) & table.NEEDS_CLOCK and not self._context.clock.trusted:
            return False
        args = self._store.args(request.slot)
        if args is None:
            self._end(request, None, FirmwareError("the arguments can no longer be read"))
            return False
        deadline_ms = ticks_add(ticks_ms(), _AGAIN_MS if contact else _FIRST_MS)
        job = DurableJob(self, request, lock, deadline_ms, args, self._context)
        request.job = job  # before it is queued: an end may follow at once
        if not self._scheduler.submit(job):
            request.job = None
            return False
        return True

    def mark(self, request):
        """Its first frame that changes something is about to leave."""
        if not request.is_marked:
            self._store.mark(request.slot, request.tag)
            request.is_marked = True

    # --- ending

    def ended(self, job, result, err):
        """One round of a job has ended: the request is done, or to be tried again, or has ended otherwise."""
        request = job.request
        request.job = None
        request.attempts += job.attempts
        if err is None or self._is_final(request, err):
            self._contacts.pop(request.lock_id, None)
            if request.faults >= _FAULTS:  # no answer of the lock says that nothing was done
                self._stop(request, err)
            else:
                self._end(request, result, err)
            return
        request.last = err.code if isinstance(err, FirmwareError) else "internal"
        request.job_number, request.job_kept = job.number, job.kept
        if self._lock(request) is not job.lock:
            self._stop(request, Refusal("cancelled", "the lock was imported anew"))
        elif request.is_withdrawn:
            self._stop(request, Refusal("cancelled", "withdrawn"))
        elif self._is_over(request):
            self._stop(request, Expired("the lock could not be reached in time"))
        else:
            self._failed(request, job)

    def _is_final(self, request, err):
        if isinstance(err, LinkError) or getattr(err, "code", "") in _KEEPING:
            return False
        if not isinstance(err, FirmwareError) or err.code in ("protocol", "internal"):
            request.faults += 1
            return request.faults >= _FAULTS
        return True

    def _failed(self, request, job):
        """Keep the request, and do not try its lock for a while; later requests for the lock wait, too."""
        for other in self._waiting:
            if other.lock_id == request.lock_id and other.number > request.number:
                self._withdraw(other)
        if not job.attempts and job.fault is None:
            return  # it has not had the radio
        failures = self._contacts.get(request.lock_id, (0,))[0] + 1
        now_s = self._now_s()
        pause_s = min(_PAUSE_S << min(9, max(0, failures - _PATIENCE)), _PAUSE_MAX_S)
        self._contacts[request.lock_id] = failures, now_s, now_s + pause_s
        if failures <= 3 or failures % 10 == 0:
            request.progress(self.describe(request))

    def _withdraw(self, request):
        """Take it back from the scheduler; False when it has the radio."""
        if request.job is None:
            return True
        if not self._scheduler.withdraw(request.job):
            return False
        request.attempts += request.job.attempts
        request.job = None
        return True

    def _stop(self, request, err):
        """End a request that is not carried on: by `err`, unless it may have acted."""
        if request.was_sent:
            err = Unknown("it may have been done, and is not looked at any more: %s" % err)
        self._end(request, None, err)

    def _end(self, request, result, err):
        """The one end of a request: its result is kept and published before it is forgotten."""
        request.job_state = NORMAL if err is None else request.failed()[1]
        if self.age_s(request) > _COUNTED_S:
            request.began_ms = None
        request.answer(result, err, request.attempts)
        self._remove(request)

    def _remove(self, request):
        self._waiting.remove(request)
        self._ended.append(request.slot)
        self._drop(request.slot)

    def _drop(self, slot):
        try:
            self._store.drop(slot)
        except OSError as err:  # again later: kept longer, it must not be taken up at the next start
            self._log.warn("job_not_dropped", slot=slot, err=err)
            return
        self._ended.remove(slot)

    # --- being withdrawn

    def cancel_all(self, lock, err):
        """End every request for a lock that is no longer served as it was, kept on flash or not."""
        for request in self.of(lock.id):
            if self._withdraw(request):
                self._stop(request, err)
            else:
                request.is_withdrawn = True
        self._scheduler.cancel(lock, err)

    def cancel(self, lock, id):
        """Withdraw one request, kept on flash or not -> (whether it will not happen, whether it is being done). Raises
        LockRefused."""
        request = self.find(id, lock.id)
        if request is None:
            return self._cancel_other(lock, id)
        if not self._withdraw(request):
            request.is_withdrawn = True
            return False, True
        was_sent = request.was_sent
        self._stop(request, Refusal("cancelled", "withdrawn by the owner"))
        return not was_sent, False

    def _cancel_other(self, lock, id):
        """A request that is not kept on flash, and waits for its turn. Raises LockRefused."""
        scheduler = self._scheduler
        for job in scheduler.waiting():
            if job.lock is lock and job.request and job.request.command.id == id:
                scheduler.withdraw(job)
                if job.was_sent:
                    job.finish(None, Unknown("withdrawn after it may have arrived"))
                else:
                    job.finish(None, Refusal("cancelled", "withdrawn by the owner"))
                return not job.was_sent, False
        job = scheduler.current
        if job and job.lock is lock and job.request and job.request.command.id == id:
            return False, True
        raise LockRefused("no such request waits", None, "not_found")
