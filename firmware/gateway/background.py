"""What the gateway does with its locks by itself: it reads their records and sets their clocks. Owns the plan, and the
policy of domain.md 3.7 for clocks.

A lock shows local time without a zone; the zone's rule was given at the import (`lib/zone`), and which offset its clock
showed when is kept with the lock (`lib/shown`). Clocks are set after an admin login and only while our own clock is
trusted; how far, and by whose word, says mqtt.md 2, "Time": servers alone could walk a lock to any day.
"""

from firmware.gateway.admission import Refusal
from firmware.gateway.operations import table
from firmware.gateway.scheduler import CLOCK, RECORDS, Displaced, Job
from firmware.lib import dates, opcodes
from firmware.lib.compat import const, unload
from firmware.lib.errors import AuthError, FirmwareError, ProtocolError
from firmware.lib.messages import session_client
from firmware.system.timing import ticks_add, ticks_ms

_RECORDS_MS = const(120000)
_CLOCK_MS = const(60000)
_PATIENCE_MS = const(30000)  # after so long in the queue a task is as urgent as a command
_AT_ONCE = const(4)  # tasks that wait or run, so that the queue keeps room for commands
_CLOCK_RETRY_S = const(300)
_REFUSED_RETRY_S = const(21600)  # a lock that refuses our keys is not asked again for hours: that could lock it up
_DAY_S = const(86400)
_NEAR_S = const(300)  # a clock so far off shows another offset, or none of the zone
_FAR_S = const(300)  # what servers alone may move a lock's clock, in all
_DRIFT_S = const(21600)  # and a second more in so long, as a lock's crystal drifts
_LOST = const(-1)  # in place of the moment of the last look: the clock lost its power since
_PAST_S = const(30)  # how far back past the newest record a clock goes that is merely corrected
_BUILD_YEAR = const(2026)  # no lock met this firmware before


class _Task(Job):
    """Look after one lock: read its log, giving way to commands after each record, or set its clock right."""

    is_persistent = False
    is_patient = True

    def __init__(self, plan, lock, kind):
        limit_ms = _RECORDS_MS if kind == RECORDS else _CLOCK_MS
        super().__init__(lock, ticks_add(ticks_ms(), limit_ms))
        self._plan = plan
        self.kind = self.priority = kind
        self.patience_ms = limit_ms - _PATIENCE_MS

    async def run(self, session):
        plan = self._plan
        await session.get_to_know()
        if self.kind == CLOCK:
            return await plan.clocks.correct(session, must_yield=lambda: plan.scheduler.is_wanted(self.priority))
        if self.lock.jammed:
            await session.status()
        return await plan.records.read(session, lambda: plan.scheduler.is_wanted(self.priority), None, True)

    def finish(self, result, err):
        if err is not None and self.kind == RECORDS and not isinstance(err, Displaced):
            self._plan.records.failed(self.lock)
        self._plan.ended(self, err)


class Background:
    """The plan: submits at most one task of each kind for a lock at a time, few in all, and begins each time behind the
    lock that came last; the lock to which a link is up comes first."""

    def __init__(self, registry, scheduler, records, clocks, now_s, log):
        self.registry = registry
        self.scheduler = scheduler
        self.records = records
        self.clocks = clocks
        self._now_s = now_s
        self._log = log.area("background")
        self._busy = set()  # (lock id, kind) of tasks that wait or run
        self._not_before_s = {}  # (lock id, kind) -> the lock as it was refused, second
        self._last = b""  # address of the lock that came last
        scheduler.planners.append(self.look)
        records.on_wanted = scheduler.wake

    def look(self):
        """Submit what is due."""
        lock = self.scheduler.linked
        if lock and self.registry.get(lock.address) is lock:
            self._look(lock)
        locks = self.registry.all()
        at = len([lock for lock in locks if lock.address <= self._last])
        for lock in locks[at:] + locks[:at]:
            if len(self._busy) >= _AT_ONCE:
                return
            if self.registry.is_fresh(lock) and self._look(lock):  # else its job would wait in the queue
                self._last = lock.address

    def _look(self, lock):
        """Submit what is due with one lock; True if something was."""
        is_records = self.records.is_due(lock) and self._submit(lock, RECORDS)
        return (self.clocks.is_due(lock) and self._submit(lock, CLOCK)) or is_records

    def _submit(self, lock, kind):
        key = (lock.id, kind)
        put_off, until_s = self._not_before_s.get(key, (None, 0))
        if key in self._busy or (put_off is lock and self._now_s() < until_s):  # imported anew, it is another object
            return False
        self._busy.add(key)
        if self.scheduler.submit(_Task(self, lock, kind)):
            return True
        self._busy.discard(key)
        return False

    def ended(self, job, err):
        """A task has ended."""
        key = (job.lock.id, job.kind)
        self._busy.discard(key)
        self._not_before_s.pop(key, None)
        if err is not None and not isinstance(err, Displaced):
            pause_s = 0
            if isinstance(err, AuthError):
                pause_s = _REFUSED_RETRY_S
            elif job.kind == CLOCK:
                pause_s = _CLOCK_RETRY_S
            if pause_s:
                self._not_before_s[key] = job.lock, self._now_s() + pause_s
            code = err.code if isinstance(err, FirmwareError) else "internal"
            what = "clock" if job.kind == CLOCK else "records"
            self._log.info("put_off", addr=job.lock.address, what=what, code=code, pause_s=pause_s)


class Clocks:
    """`clock` has `now()` (Unix seconds) and `trusted`; `max_drift_s` is what is left alone. `records`, once it is
    set, reads a lock's log: what was recorded before the clock was set is better read before, too. `on_moved(lock,
    seconds)` hears of each move by more than 5 minutes of UTC; None: the clock showed no time.
    """

    records: object = None
    on_moved: object = None
    on_drift: object = None  # called with a lock whose clock's drift is out of range, once

    def __init__(self, clock, registry, log, max_drift_s=30):
        self._clock = clock
        self._registry = registry
        self._log = log.area("clocks")
        self._max_drift_s = max_drift_s
        self._asked = set()  # addresses of locks to look at soon, whatever the day
        self._unproven = set()  # of those that are far off, and are set once somebody signs the time

    def want(self, lock):
        """Look at this clock soon: the lock was imported."""
        self._asked.add(lock.address)

    def lost(self, lock):
        """The lock has been without power (record 14). Of one whose clock we have not seen that is old news."""
        if lock.clock_s:
            lock.clock_s = _LOST
        self._asked.add(lock.address)

    def is_due(self, lock):
        """True when the lock's clock should be looked at and can be: daily, and when its offset has changed since."""
        if not self._clock.trusted or lock.zone is None:
            return False
        now_s = self._clock.now()
        if lock.address in self._asked or not 0 <= now_s - lock.clock_s < _DAY_S:
            return True
        if lock.address in self._unproven and self._clock.is_signed:
            return True
        if lock.turn_s is None:
            from firmware.lib import zone

            lock.turn_s = zone.next_change(lock.zone, lock.clock_s) or dates.UNIX_2100
            unload(table.LATE)
        return now_s >= lock.turn_s

    # --- what a date of the lock means

    def time_of(self, lock, number, date):
        """Date6 of a record with this number -> (Unix seconds, or None where the zone is not known; whether that is
        approximate: the clock may have shown another offset then)."""
        if lock.zone is None:
            return None, False
        from firmware.lib import shown

        local_s = dates.to_unix(date)
        offset, is_sure = shown.offset_of(lock.shown, number, local_s)
        if offset is not None:
            return local_s - 60 * offset, not is_sure
        from firmware.lib import zone

        at_s = zone.from_wall(lock.zone, date)
        is_sure = len(zone.offsets(lock.zone)) == 1
        unload(table.LATE)
        return at_s, not is_sure

    def learn(self, lock, number, date, last_date, is_new_log=False):
        """What the date of a record tells about the last change of the clock; `last_date`: of the record before.
        `is_new_log`: the numbers have begun anew with this record."""
        if not lock.shown:
            return
        from firmware.lib import shown

        if is_new_log:
            lock.shown = shown.renumbered(lock.shown)
        elif date is not None:
            last_s = None if last_date is None else dates.to_unix(last_date)
            lock.shown = shown.learned(lock.shown, number, dates.to_unix(date), last_s, self._clock.now())

    def _changed(self, lock, offset, log_end, since_s):
        """The clock shows another offset, since a moment after `since_s`. `log_end`: the number that the next record to
        be read has at least, and when that was the end of the log, or 0."""
        from firmware.lib import shown

        if lock.shown_min != offset:
            first, read_s = log_end or (self._next_number(lock), 0)
            lock.shown = shown.changed(lock.shown, offset, first, read_s, since_s, self._clock.now())
            self._log.info("offset", addr=lock.address, offset_min=offset)

    async def meet(self, session):
        """Find out, once for each lock, which offset its clock shows: its records are read by that."""
        lock = session.lock
        if lock.zone is not None and not lock.shown and self._clock.trusted:
            self._seen(lock, lock.zone, await self._read(session))
            self._registry.save(lock)
            unload(table.LATE)

    def _seen(self, lock, rule, date):
        """The clock shows this date. Where that is the time of an offset of the rule, somebody has set it so; one that
        does not hold now is believed only by a signed time, as servers that lie by an hour would show it."""
        from firmware.lib import shown, zone

        now_s = self._clock.now()
        for offset in [zone.offset_at(rule, now_s)] + (zone.offsets(rule) if self._clock.is_signed else []):
            if date is not None and -_NEAR_S <= dates.to_unix(date) - 60 * offset - now_s <= _NEAR_S:
                since_s = max(0, lock.clock_s)
                if not lock.shown:
                    since_s = zone.since(rule, now_s, offset) or 0
                    if since_s:  # what it wrote just before may bear dates of just after
                        since_s += 60 * (zone.offsets(rule)[-1] - offset) + _NEAR_S
                self._changed(lock, offset, None, since_s)
                return
        if not lock.shown:  # no clock of this zone: what it wrote so far is not known
            lock.shown = shown.changed(b"", shown.NO_OFFSET, 0, 0, 0, 0)

    # --- reading and setting

    async def _read(self, session):
        """date6, or None when the clock shows none."""
        data = await session.ask(opcodes.GET_CLOCK)
        try:
            return session_client.clock(data)
        except ProtocolError:  # never set since it lost its power
            return None

    def _ahead_s(self, date, offset):
        """How far the clock is ahead of ours at an offset; None where it shows no date."""
        return None if date is None else dates.to_unix(date) - 60 * offset - self._clock.now()

    async def look(self, session):
        """Read the clock -> {"time": local time as text, "zone", "drift_s": seconds ahead; None while that or our own
        time is not known}."""
        from firmware.lib import zone

        lock = session.lock
        date = await self._read(session)
        drift_s = None
        if self._clock.trusted and lock.zone is not None:
            drift_s = self._ahead_s(date, zone.offset_at(lock.zone, self._clock.now()))
        unload(table.LATE)
        text = None if date is None else "%04d-%02d-%02dT%02d:%02d:%02d" % tuple(date)
        return {"time": text, "zone": lock.zone, "drift_s": drift_s}

    def _judge(self, lock, moved_s, date, is_asked):
        """Whether the clock, which shows `date`, may be moved by so many seconds of UTC (None: it shows no time) ->
        what servers alone have moved it then. Raises Refusal, `unproven_time`."""
        newest_s = None
        if self.records:
            buffer = self.records.buffer(lock)  # type: ignore[attr-defined]
            try:
                newest_s = self.time_of(lock, buffer.cursor - 1, dates.decode6(buffer.last_date() or b""))[0]
            except ProtocolError:  # no record yet, or one without a date
                pass
        self._forgive(lock)
        servers_s = lock.servers_s + (moved_s or 0)
        shows_s = None if moved_s is None else self._clock.now() - moved_s
        if self._clock.is_signed:
            servers_s = 0
        elif moved_s is None or not -_FAR_S <= servers_s <= _FAR_S:
            is_lost = moved_s is None or date[0] < _BUILD_YEAR
            if not is_lost and moved_s > 0:
                is_lost = lock.clock_s == _LOST or (newest_s is not None and shows_s < newest_s - _FAR_S)
            if not is_lost:
                self._unproven.add(lock.address)
                raise Refusal("refused", "far off: only a signed time moves it so far", "unproven_time")
            servers_s = lock.servers_s
        if moved_s is not None and moved_s < 0 and newest_s is not None and not is_asked:
            if self._clock.now() < newest_s - _PAST_S:
                raise Refusal("refused", "it would go back past its newest record", "unproven_time")
        return servers_s

    def _forgive(self, lock):
        """What servers have moved a clock fades as a crystal drifts, by our own count of seconds."""
        now_s = self._clock.uptime()
        if lock.looked_s is None:
            lock.looked_s = now_s
        spare_s = (now_s - lock.looked_s) // _DRIFT_S
        lock.looked_s += spare_s * _DRIFT_S
        lock.servers_s = max(0, lock.servers_s - spare_s) if lock.servers_s > 0 else min(0, lock.servers_s + spare_s)

    async def correct(self, session, limit_s=None, rule=None, must_yield=None, is_asked=False):
        """Read the clock and set it if it is off by more than `limit_s` (default: the setting) -> {"drift_s" before,
        "set", "left_s" after}. Another rule is kept once the lock has its time. `is_asked`: by the owner, who has
        signed it. Raises Refusal while our clock is not trusted or the zone not known, or where nobody's word is good
        for so long a move.
        """
        from firmware.lib import pace, shown, zone

        if not self._clock.trusted:
            raise Refusal("no_clock", "the gateway's clock is not trusted")
        lock = session.lock
        rule = rule or lock.zone
        if rule is None:
            raise Refusal("no_zone", "the lock's time zone is not known")
        offset = zone.offset_at(rule, self._clock.now())
        date = await self._read(session)
        drift_s = left_s = self._ahead_s(date, offset)
        self._measure(lock, date, offset)
        limit_s = self._max_drift_s if limit_s is None else limit_s
        is_set = drift_s is None or not -limit_s <= drift_s <= limit_s
        if is_set:
            self._seen(lock, lock.zone or rule, date)
            shown_min = lock.shown_min
            ahead_s = drift_s if shown_min is None else self._ahead_s(date, shown_min)
            moved_s = None if ahead_s is None else -ahead_s
            is_other = lock.shown_min != offset
            log_end = None
            if is_other or (moved_s is not None and moved_s < -_PAST_S):
                log_end = await self._read_log(session, must_yield)
            try:
                servers_s = self._judge(lock, moved_s, date, is_asked)
            except Refusal:
                self._looked(lock)
                self._log.warn("clock_far", addr=lock.address, drift_s=drift_s)
                raise
            since_s = self._clock.now()
            offset = zone.offset_at(rule, since_s)
            if not lock.admin_ps:
                await session.prove()
            plain = session_client.set_clock(zone.to_wall(rule, since_s))
            await session.change(opcodes.SET_CLOCK, plain, bool(lock.admin_ps))
            self._changed(lock, offset, log_end, since_s)
            lock.servers_s = servers_s
            if is_other:
                log_end = await self._read_log(session, must_yield)
                if log_end:  # what follows is by the new offset
                    lock.shown = shown.settled(lock.shown, log_end[0])
            left_s = self._ahead_s(await self._read(session), offset)
            lock.pace = pace.was_set(lock.pace, self._clock.now(), left_s)
            self._log.info("clock_set", addr=lock.address, drift_s=drift_s, left_s=left_s, offset_min=offset)
            if self.on_moved and (moved_s is None or not -_FAR_S <= moved_s <= _FAR_S):
                self.on_moved(lock, moved_s)  # type: ignore[operator]
        else:
            self._seen(lock, rule, date)
        lock.zone = rule
        self._unproven.discard(lock.address)
        self._looked(lock)
        return {"drift_s": drift_s, "set": is_set, "left_s": left_s}

    def _measure(self, lock, date, offset):
        """What a look at the clock tells about how fast it goes."""
        from firmware.lib import pace

        shown_min = lock.shown_min
        ahead_s = self._ahead_s(date, offset if shown_min is None else shown_min)
        now_s = self._clock.now()
        lock.pace, is_odd = pace.looked(lock.pace, now_s, ahead_s, self._clock.jumped_s <= lock.clock_s)
        if is_odd:
            self._log.warn("clock_drift", addr=lock.address, drift=lock.drift)
            if self.on_drift:
                self.on_drift(lock)  # type: ignore[operator]

    def _looked(self, lock):
        lock.clock_s = self._clock.now()
        lock.turn_s = None
        self._registry.save(lock)
        if lock.drift:
            self._registry.changed(lock)
        self._asked.discard(lock.address)
        unload(table.LATE)

    def _next_number(self, lock):
        """The number that the record to be read next has at least."""
        return self.records.buffer(lock).cursor if self.records else 0  # type: ignore[attr-defined]

    async def _read_log(self, session, must_yield):
        """Read what the lock recorded -> (the number behind its end, when that was), or None."""
        if self.records is None:
            return None
        try:
            result = await self.records.read(session, must_yield or (lambda: False))  # type: ignore[attr-defined]
        except FirmwareError as err:
            if not err.is_answer:
                raise
            return None  # a lock that tells no records has a clock all the same
        return None if result["more"] else (result["cursor"], self._clock.now())
