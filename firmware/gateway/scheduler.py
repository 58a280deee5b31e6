"""The radio's work, one job at a time: unlock and lock first, then other commands, then records, then clocks.

Owns order, deadlines, attempts and the open link, which is kept for a moment for what else there is to do with the same
lock. A job whose lock is silent waits without the radio until the lock is heard: a link comes up after an advertisement
or not at all. What a job does, and what its end means, is the job's. Source: domain.md 6.7; hardware-facts.md F6.
"""

import asyncio

from firmware.lib.compat import const
from firmware.lib.errors import AuthError, BadRequest, FirmwareError, LinkError, LinkTimeout
from firmware.system.timing import remaining_ms, sleep_ms, ticks_add, ticks_diff, ticks_ms

URGENT = const(0)
COMMAND = const(1)
RECORDS = const(2)
CLOCK = const(3)

_DEPTH = const(16)
_CONNECT_MS = const(5000)  # of attempts to reach a lock for a command, before the others have their turn
_SHARE_MS = const(2000)  # the same, when others wait whose work is as urgent
_BACKGROUND_MS = const(3000)
_PAUSE_MS = const(30)  # between rounds of attempts, in which the radio scans
_VERIFY_MS = const(3000)  # what `after` of a job may take
_AFTER_MS = const(150)  # a link that no command used is kept for what else is due with the lock, and no longer
_CALM_MS = const(250)  # after a command the next one often follows at once: background work waits so long
_GRACE_MS = const(5000)  # a job that has not ended so long after its deadline hangs


class NotNear(LinkError):
    """No advertisement of the lock for 30 minutes, or none before the deadline."""

    code = "not_near"


class Expired(FirmwareError):
    """The deadline passed before anything was sent."""

    code = "expired"


class Unknown(FirmwareError):
    """The command may have arrived, and what it did could not be read."""

    code = "outcome_unknown"


class Again(LinkError):
    """The lock refused, and may not on a new link; `cause` is what it said, and the end if it is not asked again."""

    def __init__(self, cause):
        super().__init__(str(cause))
        self.cause = cause


class Job:
    """One piece of work with a lock, under one deadline. Derive: `run` does it, `finish` is called once, at its end.

    `run` may be called again on a new link after a LinkError. `was_sent` is set by the session: a frame that changes
    something was accepted, or may have arrived. `is_persistent` jobs try again until the deadline; the others once, on
    one link.
    """

    priority = COMMAND
    is_persistent = True
    attempts = 0
    was_sent = False
    fault = None  # the last one of the link

    def __init__(self, lock, deadline_ms, request=None):
        self.lock = lock
        self.deadline_ms = deadline_ms
        self.request = request  # to be answered at its end, or None

    def mark(self):
        """Something is about to be changed; who must know of it after a reset writes it down now."""

    async def run(self, session):
        """Do the work and return its result."""
        raise NotImplementedError

    def finish(self, result, err):
        """`err` is None or what went wrong; called exactly once, must not wait."""
        raise NotImplementedError

    async def after(self, session):
        """While its link is kept and nobody waits: what is worth knowing once the result is told."""


class Scheduler:
    """`opener(lock, deadline_ms, gives_way)` gives an async context that yields a Session, and asks `gives_way()`
    between attempts to connect.

    After a command the link is kept for `linger_ms`: people lock what they have unlocked, and the records that came of
    it are read. A lock serves one client at a time and is silent meanwhile, so it is not longer, and a job for
    another lock ends it at once.
    """

    def __init__(self, opener, registry, log, linger_ms=2000):
        self._opener = opener
        self._registry = registry
        self._log = log.area("scheduler")
        self._linger_ms = linger_ms
        self._queue = []
        self._filled = asyncio.Event()
        self._changed = asyncio.Event()
        self._idle_link = None  # the link that is being kept
        self.planners = []  # functions that submit what is due, and return at once
        self.current = None  # the job that has the radio
        self.linked = None  # the lock to which a link is up

    def __len__(self):
        return len(self._queue) + (1 if self.current else 0)

    def submit(self, job):
        """Queue a job; False when there is no room. An urgent job finds room by displacing the least urgent one."""
        if len(self._queue) >= _DEPTH:
            last = self._queue[-1]
            if last.priority <= job.priority:
                return False
            self._queue.pop()
            self._end(last, None, self._cut_off(last, LinkTimeout("displaced by more urgent work")))
        self._insert(job)
        return True

    def _insert(self, job):
        at = len(self._queue)
        while at and self._queue[at - 1].priority > job.priority:
            at -= 1
        self._queue.insert(at, job)
        self._filled.set()
        self._changed.set()
        if self._idle_link:
            self._idle_link.interrupt()

    def _put_back(self, job):
        """Queue a job that began, behind other locks' of its urgency, but before what came later for its own lock."""
        at = 0
        for other in self._queue:
            if other.priority > job.priority or (other.priority == job.priority and other.lock is job.lock):
                break
            at += 1
        self._queue.insert(at, job)

    def heard(self, lock):
        """A lock is worth an attempt again: its jobs need wait no longer."""
        self._filled.set()
        if self._idle_link and lock is not self.linked:
            self._idle_link.interrupt()

    def _first(self):
        """The most urgent job that waits and can be begun, or None. One whose lock is lost for long can: it fails."""
        for job in self._queue:
            lock = job.lock
            if lock is self.linked or self._registry.is_fresh(lock) or not self._registry.is_near(lock):
                return job
        return None

    def is_wanted(self, priority):
        """True when a job more urgent than `priority` waits: a long job, which asks often, ends its slice then."""
        first = self._first()
        return first is not None and first.priority < priority

    def _gives_way(self, job, since_ms):
        """True when `job`, which has tried to reach its lock since the tick `since_ms`, must let another have a try."""
        first = self._first()
        if first is None or first.priority > job.priority:
            return False
        if first.priority < job.priority:
            return True
        return first.lock is not job.lock and ticks_diff(ticks_ms(), since_ms) >= _SHARE_MS

    def waiting(self):
        """The jobs that wait, most urgent first."""
        return list(self._queue)

    def withdraw(self, job):
        """Take a waiting job out without ending it; False when it does not wait (any more)."""
        if job not in self._queue:
            return False
        self._queue.remove(job)
        return True

    def cancel(self, lock, err):
        """End every waiting job of a lock that is no longer served."""
        for job in [job for job in self._queue if job.lock is lock]:
            self._queue.remove(job)
            self._end(job, None, self._cut_off(job, err))

    async def run(self, lease):
        """Serve jobs for ever."""
        while True:
            if self._first() is None:
                self._filled.clear()
                await lease.wait(self._filled)
                continue
            self._begin(self._first(), lease)
            await self._serve(lease)

    def wake(self):
        """Something may be due: ask the planners. Jobs that come or end do so by themselves."""
        self._changed.set()

    async def watch(self, lease):
        """End jobs whose deadline passes while they wait, and ask the planners for more; a job of its own, as the radio
        may be busy for seconds."""
        while True:
            self._changed.clear()
            for job in [job for job in self._queue if remaining_ms(job.deadline_ms) <= 0]:
                self._queue.remove(job)
                self._end(job, None, self._too_late(job))
            for plan in self.planners:
                plan()
            left_ms = [remaining_ms(job.deadline_ms) for job in self._queue]
            await lease.wait(self._changed, min(left_ms) if left_ms else None)

    def _begin(self, job, lease):
        """Take a waiting job: from here on `current` alone holds it, so that its memory is free at its end."""
        self._queue.remove(job)
        self.current = job
        lease.renew(remaining_ms(job.deadline_ms) + _GRACE_MS)

    def _release(self):
        job, self.current = self.current, None
        return job

    def _cut_off(self, job, err):
        """What a waiting job ends with that is not to go on: `err`, unless it may have acted before it was put back."""
        return Unknown("no answer, and the state is not read any more: %s" % err) if job.was_sent else err

    def _too_late(self, job):
        if job.was_sent:
            return Unknown("no answer, and the state could not be read in time")
        if job.fault is None and not self._registry.is_fresh(job.lock):
            return NotNear("no advertisement of the lock in time")
        return job.fault or Expired("the deadline passed before the lock was reached")

    def _end(self, job, result, err):
        self._changed.set()
        try:
            job.finish(result, err)
        except Exception as fault:  # the next job must not suffer from this one
            self._log.crash("finish_failed", fault)

    async def _serve(self, lease):
        """Reach the lock of the current job, and use the link; after a failure of the link try again with the job that
        met it, until each has ended or is put back."""
        began_ms = ticks_ms()
        try:
            while self.current:
                try:
                    async with self._reach(self.current, began_ms) as session:
                        self.linked = session.lock
                        await self._use(session, lease)
                except LinkError as err:
                    self.linked = None
                    await self._failed(err, began_ms)
        except asyncio.CancelledError:  # it hung, or all is being stopped: the job's one end all the same
            if self.current:
                self._end(self.current, None, self._too_late(self.current))
            raise
        except Exception as err:  # what the opener raises besides: the lock refuses or answers nonsense
            if self.current:
                self._fail(self.current, err)
        finally:
            self.current = self.linked = None

    def _reach(self, job, began_ms):
        """The way to a session with the lock of the current `job`; others have waited since the tick `began_ms`."""
        if not self._registry.is_near(job.lock):
            raise NotNear("not heard for 30 minutes")
        limit_ms = _CONNECT_MS if job.priority <= COMMAND else _BACKGROUND_MS
        until_ms = ticks_add(ticks_ms(), min(remaining_ms(job.deadline_ms), limit_ms))
        return self._opener(job.lock, until_ms, lambda: self._gives_way(self.current, began_ms))

    async def _failed(self, err, began_ms):
        """The link did not come up, or broke: the current job waits for another attempt, is put back, or ends."""
        job = self.current
        if job is None:
            return  # the link broke after all work was done
        if err.code == "gave_way":
            self._put_back(job)
            self.current = None
            return
        job.fault = err.cause if isinstance(err, Again) else err
        self._log.warn("attempt_failed", addr=job.lock.address, attempts=job.attempts, err=err)
        if not job.is_persistent or isinstance(err, NotNear) or remaining_ms(job.deadline_ms) <= _PAUSE_MS:
            self._end(job, None, self._too_late(job))
            self.current = None
            return
        await sleep_ms(_PAUSE_MS)
        if self._gives_way(job, began_ms) or not self._registry.is_fresh(job.lock):
            self._put_back(job)
            self.current = None

    async def _use(self, session, lease):
        """Run the current job, and what follows for the same lock while the link is kept."""
        kept_ms = calm_ms = ticks_ms()
        while self.current:
            await self._run(self.current, session)
            linger_ms = self._linger_ms if self.current.priority <= COMMAND else min(self._linger_ms, _AFTER_MS)
            if self.current.priority <= COMMAND:
                calm_ms = ticks_add(ticks_ms(), min(linger_ms, _CALM_MS))
            until_ms = ticks_add(ticks_ms(), linger_ms)
            if ticks_diff(until_ms, kept_ms) > 0:
                kept_ms = until_ms
            await self._next_for(session, kept_ms, calm_ms, lease)

    async def _run(self, job, session):
        """One attempt. A LinkError goes to the caller; every other end is the job's."""
        job.attempts += 1
        if remaining_ms(job.deadline_ms) <= 0:
            self._end(job, None, self._too_late(job))
            return
        session.begin(job)
        try:
            result = await job.run(session)
        except LinkError:
            raise
        except Exception as err:
            self._fail(job, err)
            return
        self._end(job, result, None)

    def _fail(self, job, err):
        if not isinstance(err, FirmwareError):
            self._log.crash("job_failed", err)
            if job.was_sent:
                err = Unknown("the gateway failed after the command may have arrived: %s" % type(err).__name__)
        elif job.was_sent and isinstance(err, Expired):
            err = self._too_late(job)
        elif not isinstance(err, (AuthError, BadRequest)):
            self._log.info("job_refused", addr=job.lock.address, err=err)
        self._end(job, None, err)

    async def _next_for(self, session, until_ms, calm_ms, lease):
        """The current job has ended. Begin the next one if it is for the same lock, waiting for one until the tick
        `until_ms`, with background work until `calm_ms`; without a current job the link should be closed."""
        before = self._release()
        self._idle_link = session.link
        try:
            if self._first() is None:
                lease.renew(_VERIFY_MS)
                await before.after(session)
            before = None
            while True:
                first = self._first()
                if first is None:
                    left_ms = remaining_ms(until_ms)
                    if not left_ms:
                        return
                else:
                    left_ms = remaining_ms(calm_ms) if first.priority > COMMAND else 0
                    if not left_ms:
                        if first.lock is session.lock:
                            self._begin(first, lease)
                        return
                lease.renew(left_ms)
                await session.link.listen(left_ms)
        finally:
            self._idle_link = None
