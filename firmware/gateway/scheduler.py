"""The radio's work, one job at a time: unlock and lock first, then other commands, then records, then clocks.

Owns order, deadlines, attempts and the open link, which is kept for a moment for what else there is to do with the same
lock. A job whose lock is silent waits without the radio until the lock is heard: a link comes up after an advertisement
or not at all. What a job does, and what its end means, is the job's. Source: domain.md 6.7; hardware-facts.md F6.

A job is left for a more urgent one: between two of its questions, on the link that it has, and for another lock at
once, while it connects or waits for an answer; never while a frame that changes something has not been answered. It is
begun again later, as after a link that broke. Equally urgent jobs share: a lock has the radio for so long, then others.
"""

import asyncio

from firmware.lib.compat import const
from firmware.lib.errors import AuthError, BadRequest, FirmwareError, GaveWay, LinkError
from firmware.system.timing import remaining_ms, sleep_ms, ticks_add, ticks_diff, ticks_ms

URGENT = const(0)
COMMAND = const(1)
RECORDS = const(2)
CLOCK = const(3)

_DEPTH = const(16)
_CONNECT_MS = const(5000)  # of attempts to reach a lock for a command, before the others have their turn
_SHARE_MS = const(1500)  # the same, when others wait whose work is as urgent
_SLICE_MS = const(5000)  # of work with a lock that was reached, when others wait whose work is as urgent
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


class Displaced(FirmwareError):
    """There was no room for it beside more urgent work."""

    code = "busy"


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
    one link. `is_changing`: a frame that changes something has not been answered. `is_at_door`: the lock waits for what
    somebody at the door does. `is_patient`: nobody waits for it, and it may be done out of turn while a link is up.
    `patience_ms`: with less time left a job of the background is as urgent as a command.
    """

    priority = COMMAND
    patience_ms = 0
    is_changing = is_at_door = is_patient = False
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
        self._serving: object = None  # the task that serves the current job
        self._can_leave = False  # it has begun, and was not told to leave its job
        self._is_leaving = False
        self.began_ms = ticks_ms()  # since when the current lock has the radio
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
            self._end(last, None, self._cut_off(last, Displaced("displaced by more urgent work")))
        self._insert(job)
        return True

    def _insert(self, job):
        at = len(self._queue)
        while at and self._is_behind(self._queue[at - 1], job):
            at -= 1
        self._queue.insert(at, job)
        self._filled.set()
        self._changed.set()
        if self._idle_link:
            self._idle_link.interrupt()

    def _is_behind(self, other, job):
        """True when `other`, which waits, comes after the new `job`: it is less urgent, or its lock was not reached."""
        if other.priority != job.priority:
            return other.priority > job.priority
        return other.fault is not None and other.lock is not job.lock

    def _interrupt(self):
        """Leave the current job where more urgent work must not wait for it; not called by the task that serves it."""
        job, first = self.current, self._first()
        if job is None or first is None or not self._can_leave or job.is_changing:
            return
        if self.linked is None:
            if not self._gives_way(job, self.began_ms):
                return
        elif first.priority >= job.priority or first.is_patient or (first.lock is self.linked and not job.is_at_door):
            return  # on its link it gives way between two questions
        if self._registry.is_fresh(first.lock):
            self._can_leave = False
            self._is_leaving = True
            self._serving.cancel()  # type: ignore[attr-defined]

    def _put_back(self, job):
        """Queue a job that began: behind other locks' of its urgency, but before what came later for its own lock. What
        gave way to more urgent work keeps its place."""
        first = self._first()
        keeps_place = first is not None and first.priority < job.priority
        at = 0
        for other in self._queue:
            if other.priority > job.priority or (
                other.priority == job.priority and (keeps_place or other.lock is job.lock)
            ):
                break
            at += 1
        self._queue.insert(at, job)

    def heard(self, lock):
        """A lock is worth an attempt again: its jobs need wait no longer."""
        self._filled.set()
        self._changed.set()
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
        """True when a job more urgent than `priority` waits, or another lock's as urgent and this one has had its
        share: a long job, which asks often, ends its slice then."""
        first = self._first()
        if first is None or first.priority > priority:
            return False
        if first.priority < priority and (not first.is_patient or first.lock is self.linked):
            return True
        return first.lock is not self.linked and ticks_diff(ticks_ms(), self.began_ms) >= _SLICE_MS

    def _must_leave(self):
        """Whether the current job has to leave before its next question."""
        job, first = self.current, self._first()
        self._is_leaving = False  # whoever asks was not cancelled
        return first is not None and (job is None or (first.priority < job.priority and not first.is_patient))

    def _next(self, lock):
        """As `_first`, but what nobody waits for goes on with the lock to which the link is up, until that has had its
        share."""
        first = self._first()
        if first is None or first.lock is lock or not first.is_patient:
            return first
        for job in self._queue:
            if job.lock is lock and job.is_patient:
                return job if ticks_diff(ticks_ms(), self.began_ms) < _SLICE_MS else first
        return first

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
            self.began_ms = ticks_ms()
            self._begin(self._first(), lease)
            self._serving = asyncio.create_task(self._serve(lease))
            await self._serving  # type: ignore[misc]

    def wake(self):
        """Something may be due: ask the planners. Jobs that come or end do so by themselves."""
        self._changed.set()

    async def watch(self, lease):
        """End jobs whose deadline passes while they wait, ask the planners for more, and let the current job give way;
        a job of its own, as the radio may be busy for seconds."""
        while True:
            self._changed.clear()
            for job in [job for job in self._queue if remaining_ms(job.deadline_ms) <= 0]:
                self._queue.remove(job)
                self._end(job, None, self._too_late(job))
            self._plan()
            self._interrupt()
            left_ms = [remaining_ms(job.deadline_ms) for job in self._queue]
            await lease.wait(self._changed, min(left_ms) if left_ms else None)

    def _plan(self):
        """Ask the planners, and let nobody wait for ever who looks after a lock in the background."""
        for plan in self.planners:
            plan()
        for job in [job for job in self._queue if job.priority > COMMAND]:
            if remaining_ms(job.deadline_ms) < job.patience_ms:
                job.priority = COMMAND
                self._queue.remove(job)
                self._insert(job)

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
        self._can_leave = True
        self._is_leaving = False
        try:
            while self.current:
                try:
                    async with self._reach(self.current, self.began_ms) as session:
                        self.linked = session.lock
                        session.must_leave = self._must_leave
                        await self._use(session, lease)
                except LinkError as err:
                    self.linked = None
                    await self._failed(err, self.began_ms)
        except asyncio.CancelledError:
            if self.current and self._is_leaving:
                self._leave(self.current)
                return
            if self.current:  # it hung, or all is being stopped: the job's one end all the same
                self._end(self.current, None, self._too_late(self.current))
            raise
        except Exception as err:  # what the opener raises besides: the lock refuses or answers nonsense
            if self.current:
                self._fail(self.current, err)
        finally:
            self._can_leave = False
            self.current = self.linked = None

    def _leave(self, job):
        """More urgent work goes first: the job begins again after it, but for one in which somebody takes part."""
        self._log.info("left", addr=job.lock.address, attempts=job.attempts)
        if job.is_at_door:
            self._end(job, None, Unknown("left for more urgent work: look what became of it, and begin again"))
            return
        if self.linked:
            job.attempts -= 1
        elif ticks_diff(ticks_ms(), self.began_ms) >= _SHARE_MS:
            job.fault = LinkError("not reached while others waited")
        self._put_back(job)

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
        if isinstance(err, GaveWay):
            job.fault = LinkError("not reached while others waited")
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
            job = self.current
            linger_ms = self._linger_ms if job.priority <= COMMAND else min(self._linger_ms, _AFTER_MS)
            try:
                await self._run(job, session)
            except GaveWay:
                self._leave(job)
                linger_ms = 0
            if job.priority <= COMMAND:
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
        self._plan()
        self._idle_link = session.link
        try:
            if self._first() is None:
                lease.renew(_VERIFY_MS)
                await before.after(session)
            before = None
            while True:
                first = self._next(session.lock)
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
