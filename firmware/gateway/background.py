"""What the gateway does with its locks by itself: it reads their records and sets their clocks. Owns the plan, and the
policy of domain.md 3.7 for clocks.

A lock shows local time without a zone; the offset from UTC was given at the import. Clocks are set after an admin login
and only while our own clock is trusted.
"""

from firmware.gateway.admission import Refusal
from firmware.gateway.scheduler import CLOCK, RECORDS, Job
from firmware.lib import dates, opcodes
from firmware.lib.compat import const
from firmware.lib.errors import AuthError, FirmwareError, ProtocolError
from firmware.lib.messages import session_client
from firmware.system.timing import ticks_add, ticks_ms

_RECORDS_MS = const(120000)
_CLOCK_MS = const(20000)
_CLOCK_RETRY_S = const(300)
_REFUSED_RETRY_S = const(21600)  # a lock that refuses our keys is not asked again for hours: that could lock it up
_DAY_S = const(86400)


class _Task(Job):
    """Look after one lock: read its log, giving way to commands after each record, or set its clock right."""

    is_persistent = False

    def __init__(self, plan, lock, priority):
        super().__init__(lock, ticks_add(ticks_ms(), _RECORDS_MS if priority == RECORDS else _CLOCK_MS))
        self._plan = plan
        self.priority = priority

    async def run(self, session):
        plan = self._plan
        await session.get_to_know()
        if self.priority == CLOCK:
            return await plan.clocks.correct(session)
        if self.lock.jammed:
            await session.status()
        return await plan.records.read(session, lambda: plan.scheduler.is_wanted(RECORDS))

    def finish(self, result, err):
        if err is not None and self.priority == RECORDS:
            self._plan.records.failed(self.lock)
        self._plan.ended(self, err)


class Background:
    """The plan: submits at most one task of each kind for a lock at a time."""

    def __init__(self, registry, scheduler, records, clocks, now_s, log):
        self.registry = registry
        self.scheduler = scheduler
        self.records = records
        self.clocks = clocks
        self._now_s = now_s
        self._log = log.area("background")
        self._busy = set()  # (lock id, priority) of tasks that wait or run
        self._not_before_s = {}  # (lock id, priority) -> the lock as it was refused, second
        scheduler.planners.append(self.look)
        records.on_wanted = scheduler.wake

    def look(self):
        """Submit what is due."""
        for lock in self.registry.all():
            if lock.seen_s is None or not self.registry.is_near(lock):
                continue
            if self.records.is_due(lock):
                self._submit(lock, RECORDS)
            if self.clocks.is_due(lock):
                self._submit(lock, CLOCK)

    def _submit(self, lock, priority):
        key = (lock.id, priority)
        put_off, until_s = self._not_before_s.get(key, (None, 0))
        if key in self._busy or (put_off is lock and self._now_s() < until_s):  # imported anew, it is another object
            return
        self._busy.add(key)
        if not self.scheduler.submit(_Task(self, lock, priority)):
            self._busy.discard(key)

    def ended(self, job, err):
        """A task has ended."""
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
            what = "clock" if job.priority == CLOCK else "records"
            self._log.info("put_off", addr=job.lock.address, what=what, code=code, pause_s=pause_s)


class Clocks:
    """`clock` has `now()` (Unix seconds) and `trusted`; `max_drift_s` is what is left alone."""

    def __init__(self, clock, registry, log, max_drift_s=30):
        self._clock = clock
        self._registry = registry
        self._log = log.area("clocks")
        self._max_drift_s = max_drift_s
        self._asked = set()  # addresses of locks to look at soon, whatever the day

    def want(self, lock):
        """Look at this clock soon: the lock was imported, or has been without power (record 14)."""
        self._asked.add(lock.address)

    def is_due(self, lock):
        """True when the lock's clock should be looked at and can be."""
        if not self._clock.trusted:
            return False
        return (
            lock.address in self._asked
            or self._clock.now() - lock.clock_s >= _DAY_S
            or lock.clock_s > self._clock.now()
        )

    def unix_of(self, lock, date):
        """date5 or date6 of the lock's clock -> Unix seconds."""
        return dates.to_unix(date, lock.utc_offset_min)

    async def _read(self, session, utc_offset_min):
        """(date6 or None when the clock shows none, seconds it is ahead or None)"""
        data = await session.ask(opcodes.GET_CLOCK)
        try:
            date = session_client.clock(data)
        except ProtocolError:  # never set since it lost its power
            return None, None
        return date, dates.to_unix(date, utc_offset_min) - self._clock.now()

    async def look(self, session):
        """Read the clock -> {"time": local time as text, "drift_s": seconds ahead, None while ours is not trusted}."""
        date, drift_s = await self._read(session, session.lock.utc_offset_min)
        text = None if date is None else "%04d-%02d-%02dT%02d:%02d:%02d" % tuple(date)
        return {"time": text, "drift_s": drift_s if self._clock.trusted else None}

    async def correct(self, session, limit_s=None, utc_offset_min=None):
        """Read the clock and set it if it is off by more than `limit_s` (default: the setting) -> {"drift_s" before,
        "set", "left_s" after}. Another offset is kept once the lock has it. Raises Refusal while ours is not
        trusted.
        """
        if not self._clock.trusted:
            raise Refusal("no_clock", "the gateway's clock is not trusted")
        lock = session.lock
        if utc_offset_min is None:
            utc_offset_min = lock.utc_offset_min
        _, drift_s = await self._read(session, utc_offset_min)
        left_s = drift_s
        limit_s = self._max_drift_s if limit_s is None else limit_s
        is_set = drift_s is None or not -limit_s <= drift_s <= limit_s
        if is_set:
            local = dates.from_unix(self._clock.now(), utc_offset_min)
            await session.change(opcodes.SET_CLOCK, session_client.set_clock(local))
            if lock.utc_offset_min != utc_offset_min:
                lock.utc_offset_min = utc_offset_min
                self._registry.save(lock)
            _, left_s = await self._read(session, utc_offset_min)
            self._log.info("clock_set", addr=lock.address, drift_s=drift_s, left_s=left_s)
        lock.utc_offset_min = utc_offset_min
        lock.clock_s = self._clock.now()
        self._registry.save(lock)
        self._asked.discard(lock.address)
        return {"drift_s": drift_s, "set": is_set, "left_s": left_s}
