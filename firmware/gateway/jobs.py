"""Durable requests: kept on flash, carried out when their lock is near, each with one final result. Owns the list of
those that wait, and when the radio is used for them; how they are kept is `job_store`, what they do an operation.

A request is stored before anything is sent, and marked before the first frame that changes something. Order is kept for
each lock: a later request is not begun before the one ahead has ended. Trouble with the link keeps a request, the
lock's no ends it. Its id is known as long as it waits, however often it is sent again.

Lifetimes: `exp`, else seven days. They count in the time of day where the clock was trusted when the request came,
else in seconds since the gateway started.
Source: DESIGN 4; domain.md 3.2 (states), 6.7; security.md CMD-4, CMD-5, DEL-1.
"""

from firmware.gateway import job_rules
from firmware.gateway.durable import DurableJob, Entry
from firmware.gateway.job_store import MOST
from firmware.gateway.operations import table
from firmware.gateway.refusals import Busy, Cancelled
from firmware.gateway.requests import Request, tell
from firmware.gateway.scheduler import Expired, Unknown
from firmware.lib import commands
from firmware.lib.compat import const
from firmware.lib.errors import FirmwareError, LinkError, LockRefused
from firmware.system.timing import ticks_add, ticks_ms

_LIFE_S = const(604800)
_FRESH_S = const(60)  # a lock that was not heard for so long is not tried
_FIRST_MS = const(30000)
_AGAIN_MS = const(10000)
_IN_FLIGHT = const(6)  # of the scheduler's places
_PATIENCE = const(20)  # contacts that fail before the pauses grow
_PAUSE_S = const(2)
_LONGEST_S = const(600)
_FAULTS = const(3)  # answers that make no sense, or faults of ours, before it ends
_KEEPING = ("busy", "expired", "outcome_unknown", "no_clock")


class _Contact:
    """How it went with one lock."""

    def __init__(self):
        self.failures = 0
        self.failed_s = -1
        self.not_before_s = 0


class Jobs:
    """`tools` as the bridge has them. `conclude(request, found, err, attempts)` and `publish(request, payload)` are set
    by the bridge; then `load`."""

    def __init__(self, tools, store, log):
        self._tools = tools
        self._store = store
        self._log = log.area("jobs")
        self._entries = []  # in the order in which they came
        self._ended = []  # slots that the flash did not let go of
        self._contacts = {}
        self._next = 1
        self.conclude = self.publish = None
        tools.scheduler.planners.append(self.look)

    def __len__(self):
        return len(self._entries)

    # --- at start

    def load(self):
        """Take up what was kept when the gateway last stopped."""
        found = []
        for slot, kept, is_marked in self._store.load():
            try:
                entry = Entry(slot, kept, self._tools.now_s())
                entry.was_sent = entry.is_marked = is_marked
                entry.about = job_rules.subject(entry.op, kept["args"])
                entry.is_renaming = job_rules.is_renaming(kept["args"])
            except (KeyError, TypeError, ValueError):
                self._log.error("job_damaged", slot=slot)
                continue
            found.append((entry.number, entry))
        if self._store.damaged:
            self._log.error("jobs_damaged", count=self._store.damaged)
        for number, entry in sorted(found, key=lambda pair: pair[0]):
            self._next = number + 1
            self._entries.append(entry)
            payload = self._tools.dedupe.kept(entry.id, entry.digest)
            if payload is not None:  # it had ended; whether anybody was told, nobody knows
                self.publish(self._request(entry), payload)
                self._remove(entry)
            elif self._lock(entry) is None:
                self._end(entry, None, self._stopped(entry, Cancelled("the lock was removed from this gateway")))
        if self._entries:
            self._log.info("jobs_wait", count=len(self._entries))

    def _lock(self, entry):
        return self._tools.registry.by_id(entry.lock_id)

    # --- coming in

    def accept(self, request, lock):
        """Keep a checked request of a durable operation, and begin. Raises Busy."""
        if len(self._entries) >= MOST:
            raise Busy("%d operations wait for their locks already" % MOST)
        command = request.command
        clock = self._tools.clock
        life_s = _LIFE_S if command.exp is None else min(_LIFE_S, command.exp - clock.now())
        kept = {
            "n": self._next,
            "id": command.id,
            "op": command.op,
            "lock": lock.id,
            "args": command.args,
            "digest": request.digest[:8].hex(),
            "until": clock.now() + life_s if clock.trusted else None,
            "life": life_s,
        }
        try:
            slot = self._store.add(kept)
        except OSError as err:
            self._log.crash("job_not_kept", err)
            raise Busy("the gateway's flash has no room to keep it")
        try:
            entry = Entry(slot, kept, self._tools.now_s())
            entry.about = job_rules.subject(entry.op, command.args)
            entry.is_renaming = job_rules.is_renaming(command.args)
            self._entries.append(entry)
        except MemoryError:  # the request comes again
            self._store.drop(slot)
            raise
        self._next += 1
        request.is_open = False
        self._supersede(entry)
        self._log.info("job_kept", op=entry.op, lock=entry.lock_id, waiting=len(self._entries))
        tell(self._tools, request, self.describe(entry), False)
        self.look()

    def _supersede(self, later):
        """End what a later request makes pointless, unless it may have acted or is about to."""
        for entry in list(self._entries):
            if entry is later or entry.lock_id != later.lock_id or entry.was_sent:
                continue
            if self.is_running(entry):
                continue
            if job_rules.is_pointless(entry.op, entry.about, entry.is_renaming, later.op, later.about):
                self._withdraw(entry)
                self._end(entry, None, Cancelled("a later request made it pointless"))

    def repeated(self, id, digest):
        """A request with an id that waits: None when there is none, else whether the content is the same; the asker is
        told again how it stands."""
        entry = self.find(id)
        if entry is None:
            return None
        if entry.digest != digest[:8]:
            return False
        tell(self._tools, self._request(entry), self.describe(entry), False)
        return True

    def find(self, id, lock_id=None):
        """The entry of a waiting request, or None."""
        for entry in self._entries:
            if entry.id == id and lock_id in (None, entry.lock_id):
                return entry
        return None

    def of(self, lock_id):
        """The entries of a lock, in order."""
        return [entry for entry in self._entries if entry.lock_id == lock_id]

    def age_s(self, entry):
        """Seconds since the request came, or since the gateway started."""
        return self._tools.now_s() - entry.since_s

    def is_running(self, entry):
        """Whether it has the radio."""
        return entry.job is not None and entry.job is self._tools.scheduler.current

    def describe(self, entry):
        """How a request stands, for the asker."""
        word, number = job_rules.pending(entry.op)
        lock = self._lock(entry)
        found = {"state": word, "job_state": number, "attempts": entry.attempts}
        found["near"] = lock is not None and self._is_fresh(lock)
        if entry.last:
            found["last"] = entry.last
        return found

    # --- being done

    def look(self):
        """Begin what can be begun, and end what is too late."""
        for slot in list(self._ended):
            self._drop(slot)
        behind = set()  # locks for which nothing further may be begun
        flying = len([1 for entry in self._entries if entry.job])
        for entry in list(self._entries):
            if entry.job:
                continue
            if self._is_over(entry):
                self._end(entry, None, self._stopped(entry, Expired("the lock did not come near in time")))
            elif entry.lock_id not in behind and flying < _IN_FLIGHT and self._begin(entry):
                flying += 1
            else:
                behind.add(entry.lock_id)

    def _is_over(self, entry):
        clock = self._tools.clock
        if entry.until is not None and clock.trusted and clock.now() >= entry.until:
            return True
        return self.age_s(entry) >= entry.life_s

    def _is_fresh(self, lock):
        age_s = self._tools.registry.age_s(lock)
        return age_s is not None and age_s <= _FRESH_S

    def _begin(self, entry):
        """Give a request to the scheduler, if there is any point in it; True if it was taken."""
        tools = self._tools
        lock = self._lock(entry)
        if lock is None or not self._is_fresh(lock):
            return False
        contact = self._contacts.get(entry.lock_id)
        if contact and (tools.now_s() < contact.not_before_s or lock.seen_s <= contact.failed_s):
            return False
        if table.rules(entry.op, True) & table.NEEDS_CLOCK and not tools.clock.trusted:
            return False
        request = self._request(entry)
        request.command.args = self._store.args(entry.slot)
        if request.command.args is None:
            self._end(entry, None, FirmwareError("what was asked can be read no more"))
            return False
        limit_ms = _AGAIN_MS if contact else _FIRST_MS
        job = DurableJob(self, entry, lock, ticks_add(ticks_ms(), limit_ms), request, tools)
        entry.job = job  # before it is queued: an end may follow at once
        if not tools.scheduler.submit(job):
            entry.job = None
            return False
        return True

    def _request(self, entry):
        request = Request(commands.Command(entry.id, entry.op, {}), entry.lock_id, ticks_ms())
        request.digest = entry.digest
        return request

    def mark(self, entry):
        """Its first frame that changes something is about to leave."""
        if not entry.is_marked:
            self._store.mark(entry.slot, entry.tag)
            entry.is_marked = True

    # --- ending

    def ended(self, job, found, err):
        """The scheduler's word on one round of a job: it is done, or to be tried again, or has ended otherwise."""
        entry = job.entry
        entry.job = None
        entry.attempts += job.attempts
        if err is None or self._is_final(entry, err):
            self._contacts.pop(entry.lock_id, None)
            self._end(entry, found, err)
            return
        entry.last = err.code if isinstance(err, FirmwareError) else "internal"
        entry.number_kept, entry.step_kept = job.number, getattr(job, "kept", None)
        if self._lock(entry) is not job.lock:
            self._end(entry, None, self._stopped(entry, Cancelled("the lock was imported anew")))
        elif entry.is_withdrawn:
            self._end(entry, None, self._stopped(entry, Cancelled("withdrawn")))
        elif self._is_over(entry):
            self._end(entry, None, self._stopped(entry, Expired("the lock could not be reached in time")))
        else:
            self._failed(entry, job)

    def _is_final(self, entry, err):
        if isinstance(err, LinkError) or getattr(err, "code", "") in _KEEPING:
            return False
        if not isinstance(err, FirmwareError) or err.code in ("protocol", "internal"):
            entry.faults += 1
            return entry.faults >= _FAULTS
        return True

    def _failed(self, entry, job):
        """Keep it, and let the lock alone for a while; what came later for the lock waits, too."""
        for other in self._entries:
            if other.lock_id == entry.lock_id and other.number > entry.number:
                self._withdraw(other)
        if not job.attempts and job.fault is None:
            return  # it never had the radio
        contact = self._contacts.setdefault(entry.lock_id, _Contact())
        contact.failures += 1
        now_s = contact.failed_s = self._tools.now_s()
        pause_s = _PAUSE_S << min(9, max(0, contact.failures - _PATIENCE))
        contact.not_before_s = now_s + min(pause_s, _LONGEST_S)
        if contact.failures <= 3 or contact.failures % 10 == 0:
            tell(self._tools, self._request(entry), self.describe(entry))

    def _withdraw(self, entry):
        """Take it back from the scheduler; False when it has the radio."""
        if entry.job is None:
            return True
        if not self._tools.scheduler.withdraw(entry.job):
            return False
        entry.attempts += entry.job.attempts
        entry.job = None
        return True

    def _stopped(self, entry, err):
        """What a request ends with that is not carried on."""
        return Unknown("it may have been done, and is not looked at any more: %s" % err) if entry.was_sent else err

    def _end(self, entry, found, err):
        """The one end of a request: its result is kept and published before it is forgotten."""
        request = self._request(entry)
        request.job_state = job_rules.NORMAL if err is None else job_rules.failed(entry.op)[1]
        self.conclude(request, found, err, entry.attempts)
        self._remove(entry)

    def _remove(self, entry):
        self._entries.remove(entry)
        self._ended.append(entry.slot)
        self._drop(entry.slot)

    def _drop(self, slot):
        try:
            self._store.drop(slot)
        except OSError as err:  # again later: kept longer, it must not be taken up at the next start
            self._log.warn("job_not_dropped", slot=slot, err=err)
            return
        self._ended.remove(slot)

    # --- being withdrawn

    def cancel_all(self, lock, err):
        """End every request for a lock that is no longer served as it was."""
        for entry in self.of(lock.id):
            if self._withdraw(entry):
                self._end(entry, None, self._stopped(entry, err))
            else:
                entry.is_withdrawn = True

    def cancel(self, lock, id):
        """Withdraw one request, kept on flash or not -> (whether it will not happen, whether it is being done). Raises
        LockRefused."""
        entry = self.find(id, lock.id)
        if entry is None:
            return self._cancel_volatile(lock, id)
        if not self._withdraw(entry):
            entry.is_withdrawn = True
            return False, True
        was_sent = entry.was_sent
        self._end(entry, None, self._stopped(entry, Cancelled("withdrawn by the owner")))
        return not was_sent, False

    def _cancel_volatile(self, lock, id):
        """A request that is not kept on flash, and waits for its turn. Raises LockRefused."""
        scheduler = self._tools.scheduler
        for job in scheduler.waiting():
            request = getattr(job, "request", None)
            if job.lock is lock and request and request.command.id == id:
                scheduler.withdraw(job)
                if job.was_sent:
                    job.finish(None, Unknown("withdrawn after it may have arrived"))
                else:
                    job.finish(None, Cancelled("withdrawn by the owner"))
                return not job.was_sent, False
        request = getattr(scheduler.current, "request", None)
        if request and scheduler.current.lock is lock and request.command.id == id:
            return False, True
        raise LockRefused("no such request waits", None, "not_found")
