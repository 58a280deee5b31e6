"""What the gateway does with its locks unasked: reading records, checking clocks. Owns the plan."""

from firmware.gateway.scheduler import CLOCK, RECORDS, Job
from firmware.lib.compat import const
from firmware.lib.errors import AuthError, FirmwareError
from firmware.system.timing import ticks_add, ticks_ms

_RECORDS_MS = const(120000)
_CLOCK_MS = const(20000)
_CLOCK_RETRY_S = const(300)
_REFUSED_RETRY_S = const(21600)  # a lock that refuses our keys is not asked again for hours: that could lock it up


class RecordsJob(Job):
    """Read a lock's log, giving way to commands after each record."""

    priority = RECORDS
    is_persistent = False

    def __init__(self, plan, lock):
        super().__init__(lock, ticks_add(ticks_ms(), _RECORDS_MS))
        self._plan = plan

    async def run(self, session):
        plan = self._plan
        await session.get_to_know()
        if self.lock.jammed:
            await session.status()
        return await plan.records.read(session, lambda: plan.scheduler.is_wanted(RECORDS))

    def finish(self, result, err):
        if err is not None:
            self._plan.records.failed(self.lock)
        self._plan.ended(self, err)


class ClockJob(Job):
    """Look at a lock's clock, and set it right if it is off."""

    priority = CLOCK
    is_persistent = False

    def __init__(self, plan, lock):
        super().__init__(lock, ticks_add(ticks_ms(), _CLOCK_MS))
        self._plan = plan

    async def run(self, session):
        await session.get_to_know()
        return await self._plan.clocks.correct(session)

    def finish(self, result, err):
        self._plan.ended(self, err)


class Background:
    """Submits at most one job of each kind for a lock at a time."""

    def __init__(self, registry, scheduler, records, clocks, now_s, log):
        self.registry = registry
        self.scheduler = scheduler
        self.records = records
        self.clocks = clocks
        self._now_s = now_s
        self._log = log.area("background")
        self._busy = set()  # (lock id, kind) of jobs that wait or run
        self._not_before_s = {}  # (lock id, kind) -> the lock with the keys that did not do, second
        scheduler.planners.append(self.look)
        records.on_wanted = scheduler.wake

    def look(self):
        """Submit what is due."""
        for lock in self.registry.all():
            if lock.seen_s is None or not self.registry.is_near(lock):
                continue
            if self.records.is_due(lock):
                self._submit(lock, RecordsJob)
            if self.clocks.is_due(lock):
                self._submit(lock, ClockJob)

    def _submit(self, lock, kind):
        key = (lock.id, kind.priority)
        put_off, until_s = self._not_before_s.get(key, (None, 0))
        if key in self._busy or (put_off is lock and self._now_s() < until_s):  # imported anew, it is another object
            return
        job = kind(self, lock)
        self._busy.add(key)
        if not self.scheduler.submit(job):
            self._busy.discard(key)

    def ended(self, job, err):
        """A job of ours is over."""
        key = (job.lock.id, job.priority)
        self._busy.discard(key)
        self._not_before_s.pop(key, None)
        if err is not None:
            pause_s = 0
            if isinstance(err, AuthError):
                pause_s = _REFUSED_RETRY_S
            elif job.priority == CLOCK:
                pause_s = _CLOCK_RETRY_S
            if pause_s:
                self._not_before_s[key] = job.lock, self._now_s() + pause_s
            code = err.code if isinstance(err, FirmwareError) else "internal"
            self._log.info("put_off", addr=job.lock.address, job=type(job).__name__, code=code, pause_s=pause_s)
