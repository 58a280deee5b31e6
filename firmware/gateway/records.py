"""Reads the operation logs of the locks into buffers on flash. Owns when a log is read, by which cursor and how far;
`pages` has what is read of a record, `outgoing` sends the records on.

Asks by number from its own cursor, which has no side effect and can be repeated (hardware-facts.md F50 to F54). What
was read and stored is then called off by the cursor FFFF, so that the lock's flag of unread records falls.
"""

from firmware.gateway.buffer import FULL, Buffer, ahead, waiting_in
from firmware.gateway.pages import Pages
from firmware.lib import dates, records, reports
from firmware.lib.compat import const
from firmware.lib.errors import AuthError, FirmwareError

_POWERED_ON = const(14)
_FRESH_S = const(60)  # older records are no events (mqtt.md 1)
_MAX_KEPT = const(4096)  # of all locks together: about 200 KiB of flash
_MAX_OPEN = const(2)
BATCH = const(3)  # records of which a batch is made: seldom do more fit
_DOORS = {30: "closed", 31: "open"}
_TAMPERED = const(44)
_RETRY_S = const(2)
_RETRY_MAX_S = const(300)
_PATIENCE = const(10)  # failures without a record in between, after which a lock is left alone for hours
_PACE_S = const(300)  # between two readings of a lock whose flag stays up (hardware-facts.md F51)
_RARELY_S = const(21600)  # after two in vain
_SLICE = const(25)  # records of one link to a real lock, which is silent to everybody else meanwhile
_BETWEEN_S = const(2)  # its slices
_STUBBORN = const(8)  # readings in a row in which a number was refused, after which the next one is asked for


class _Plan:
    """When a lock's log is to be read: as soon as that `is_wanted`, but not before `due_s`; because its flag is up, not
    before `pace_s`."""

    is_wanted = False
    due_s = pace_s = 0
    failures = 0
    fruitless = 0  # readings without a record, although the lock advertised unread ones
    looked: int | None = None  # the number to go on from while there is no room to store
    newest: int | None = None  # a number that the lock is known to hold


class Records:
    """`outgoing.publish` takes events, `clocks` hears of locks that lost their power. `on_stored(lock)` is called when
    there is something to upload, `on_wanted()` when there is something to read, `on_event(lock, event, method)` of a
    young record. `clears_flag`: see the setting records_clear."""

    def __init__(self, folder, registry, clocks, clock, outgoing, topics, now_s, log, clears_flag=True):
        self._folder = folder
        self._registry = registry
        self._clocks = clocks
        clocks.records = self
        self._clock = clock
        self._outgoing = outgoing
        self._topics = topics
        self._now_s = now_s
        self._log = log.area("records")
        self._clears_flag = clears_flag
        self._open = []  # (address of the lock, its buffer), the one used last at the end
        self._packed = {}  # the others, by the address of their lock, which costs no text of its own
        self._plans = {}
        self.reading = None  # the lock whose log is being read: more of its records are about to come
        self.on_stored = self.on_wanted = self.on_event = None

    def buffer(self, lock):
        """The buffer of a lock. Two are open at a time; who awaits asks for it anew, but for a lock that is read."""
        for pair in self._open:
            if pair[0] == lock.address:
                self._open.remove(pair)
                break
        else:
            packed = self._packed.pop(lock.address, None)
            pair = lock.address, Buffer(self._folder + "/" + lock.id, lock.aes, self._registry.vault, packed)
        self._open.append(pair)
        if len(self._open) > _MAX_OPEN:
            oldest = self._open.pop(1 if self.reading and self._open[0][0] == self.reading.address else 0)
            self._packed[oldest[0]] = oldest[1].pack()
        return pair[1]

    def waiting(self, lock):
        """(how many of its records wait to be acknowledged, whether some of them are offered)."""
        packed = self._packed.get(lock.address)
        if packed:
            return waiting_in(packed)
        buffer = self.buffer(lock)
        return buffer.pending(), buffer.offered > buffer.sent

    def _is_full(self, lock):
        """True when nothing more is stored: the locks keep their records better than a full flash. Then half of it must
        be free, so that what is in the lock is not read once for each few that go."""
        halving = 0 if self._plan(lock).looked is None else 1
        if self.waiting(lock)[0] >= FULL >> halving:
            return True
        count = sum([buffer.pending() for _, buffer in self._open])
        return count + sum([waiting_in(packed)[0] for packed in self._packed.values()]) >= _MAX_KEPT >> halving

    def close(self, lock):
        """The lock is served no more."""
        self._open = [pair for pair in self._open if pair[0] != lock.address]
        self._packed.pop(lock.address, None)
        self._plans.pop(lock.address, None)

    def renew(self, lock):
        """The lock was imported anew. What is open or packed of its buffer stays: a batch of it may be on its way."""
        self._plans.pop(lock.address, None)
        self.buffer(lock).rekey(lock.aes)

    # --- when

    def _plan(self, lock):
        plan = self._plans.get(lock.address)
        if plan is None:
            plan = self._plans[lock.address] = _Plan()
        return plan

    def want(self, lock):
        """Read this lock's log as soon as it may be."""
        plan = self._plan(lock)
        plan.is_wanted = True
        plan.due_s = 0
        self._wanted()

    def flagged(self, lock):
        """The lock advertises unread records, or does so no more."""
        plan = self._plan(lock)
        if not lock.has_records:
            plan.fruitless = min(plan.fruitless, 1)
            plan.pace_s = min(plan.pace_s, self._now_s() + _PACE_S) if plan.fruitless else 0
        elif self.is_due(lock):
            self._wanted()

    def _wanted(self):
        if self.on_wanted:
            self.on_wanted()

    def is_due(self, lock):
        """True when the log should be read now."""
        plan = self._plans.get(lock.address)
        if plan is not None and plan.is_wanted:
            return self._now_s() >= plan.due_s
        return lock.has_records and (plan is None or self._now_s() >= plan.pace_s)

    def has_room(self, lock):
        """A consumer has taken records. What waited in the lock for room is read now."""
        plan = self._plans.get(lock.address)
        if plan is not None and plan.looked is not None and not self._is_full(lock):
            plan.looked = None
            self.want(lock)

    def failed(self, lock):
        """A walk broke off, or the lock refused a number: try again after a pause that doubles."""
        plan = self._plan(lock)
        plan.is_wanted = True
        pause_s = _RARELY_S if plan.failures >= _PATIENCE else min(_RETRY_S << plan.failures, _RETRY_MAX_S)
        plan.due_s = self._now_s() + pause_s
        plan.failures += 1

    def _ended(self, lock, plan, count, is_refused, was_flagged):
        """A walk has come to its end, or to a number that the lock refuses (hardware-facts.md F51, F52)."""
        if count or not was_flagged:
            plan.fruitless = 0
        else:
            plan.fruitless += 1
        if is_refused:
            self.failed(lock)
        else:
            plan.failures = 0
            plan.is_wanted = False
        plan.pace_s = self._now_s() + (_PACE_S if plan.fruitless < 2 else _RARELY_S)
        if not lock.has_records and not plan.fruitless:
            plan.pace_s = 0  # the flag has fallen: when it rises again, there is news

    # --- how far

    async def read(self, session, must_yield, on_record=None, is_sliced=False):
        """Walk the log from our cursor until its end, a refusal, or `must_yield()` -> {"read", "epoch", "cursor",
        "more"}. Every record is on flash, without its secrets, before the next is asked for; then `on_record(raw)`
        hears of it. While there is no room, what is new is told of, and stays in the lock. Raises as `Session.ask`.
        """
        lock = session.lock
        buffer = self.buffer(lock)
        plan = self._plan(lock)
        pages = Pages(session)
        was_flagged = lock.has_records
        count = 0
        limit = _SLICE if is_sliced and not lock.is_own else 0xFFFF
        more = is_refused = is_unread = is_full = False
        last = door = tampered = date = None
        await self._clocks.meet(session)
        self.reading = lock
        try:
            while True:
                if must_yield() or pages.asked >= limit:
                    more = True
                    break
                is_full = self._is_full(lock)
                if not is_full:
                    plan.looked = None
                elif plan.looked is None:
                    plan.looked = buffer.cursor
                cursor = buffer.cursor if plan.looked is None else plan.looked
                asked = records.NEXT_UNREAD if is_unread else cursor + 1 if is_refused else cursor
                try:
                    record = await pages.at(asked)
                except FirmwareError as err:
                    if not err.is_answer or isinstance(err, AuthError):
                        raise
                    if is_refused or is_unread:
                        is_refused = True
                        break
                    is_refused = True
                    if plan.failures >= _STUBBORN and plan.newest is not None and ahead(cursor, plan.newest):
                        continue
                    if not self._clears_flag or lock.is_own:
                        break
                    is_unread = True
                    limit = min(limit, pages.asked + _SLICE)
                    continue
                if record:
                    number, raw, who = record
                    distance = ahead(cursor, number)
                    is_new_log = False
                    if distance is None and (buffer.has_begun or is_full):
                        last_date = buffer.last_date() or b"\xff"
                        if raw[1:7] > last_date:  # perhaps the log has begun anew: then even its oldest is younger
                            record = await pages.at(0)
                            is_new_log = bool(record and record[1][1:7] > last_date)
                        if is_new_log:
                            number, raw, who = record
                            plan.newest = None
                            is_unread = False
                        elif is_unread:
                            continue
                        else:
                            record = None
                    elif is_unread and distance:  # what lies between is asked for by number
                        plan.newest = number
                        if is_refused:
                            break
                        is_unread = False
                        continue
                if not record:
                    if is_unread or is_refused:
                        break
                    if plan.newest is not None and ahead(cursor, plan.newest) is not None:
                        is_refused = True
                        break
                    if not self._clears_flag or lock.is_own or not (count or was_flagged):
                        break
                    is_unread = True
                    limit = min(limit, pages.asked + _SLICE)
                    continue
                last_date, date = date, records.decode(raw).date
                self._clocks.learn(lock, number, date, last_date, is_new_log)
                if is_full:
                    plan.looked = number + 1
                else:
                    buffer.append(number, raw, who, is_new_log)
                is_refused = False
                plan.failures = 0
                count += 1
                if on_record:
                    on_record(raw)
                last = self._news(lock, number, raw, who) or last
                door = _DOORS.get(raw[0], door)
                tampered = raw[0] == _TAMPERED or (tampered if records.meaning(raw[0])[0] != "unlock" else False)
                if buffer.pending() % BATCH == 0:
                    self._tell(lock)
        finally:
            self.reading = None
            if count:
                self._registry.save(lock)  # what was learned of its clock; costs no flash where that is nothing
                self._tell(lock)
                self._log.info("read", addr=lock.address, count=count, next=buffer.cursor, full=is_full)
            if last:
                self._registry.update(lock, "record", last=last)
        if more:
            plan.is_wanted = True
            plan.due_s = self._now_s() + (_BETWEEN_S if pages.asked >= limit else 0)
        else:
            if not is_refused and (lock.is_own or is_unread):
                lock.has_records = False
            self._ended(lock, plan, count, is_refused, was_flagged)
            self._registry.update(lock, "record", door=door, tampered=tampered)
        cursor = buffer.cursor if plan.looked is None else plan.looked
        return {"read": count, "epoch": buffer.era, "cursor": cursor, "more": is_refused or (more and not is_unread)}

    def _tell(self, lock):
        if self.on_stored:
            self.on_stored(lock)

    def time_of(self, lock, number, record):
        """(Unix seconds of a decoded record, whether they are approximate); None when its date is none, or its zone not
        known. A clock that was never set shows the first hours of 2000, which the offset from UTC moves into a year
        that has no text."""
        if record.date is None:
            return None, False
        at_s, is_approx = self._clocks.time_of(lock, number, record.date)
        return (at_s, is_approx) if at_s is not None and dates.UNIX_2000 <= at_s < dates.UNIX_2100 else (None, False)

    def item(self, lock, number, raw, who):
        """A record without secrets as it is published."""
        record = records.decode(raw)
        at_s, is_approx = self.time_of(lock, number, record)
        return reports.record_item(number, record, at_s, who, is_approx)

    def _news(self, lock, number, raw, who):
        """Tell of a record that has just been stored; -> `last` of the lock's state if it is about the bolt."""
        record = records.decode(raw)
        if record.type == _POWERED_ON:
            self._clocks.lost(lock)
        at_s, is_approx = self.time_of(lock, number, record)
        item = reports.record_item(number, record, at_s, who, is_approx)
        if (
            at_s is not None
            and not is_approx
            and self._clock.trusted
            and -_FRESH_S < self._clock.now() - at_s < _FRESH_S
        ):
            members = {key: item[key] for key in ("type", "method", "who", "rec", "ts")}
            payload = reports.event(event_type=item["event"], **members)
            self._outgoing.publish(self._topics.lock(lock.id, "event"), payload)
            if self.on_event:
                self.on_event(lock, item["event"], item["method"])
        if item["event"] in ("unlock", "lock"):
            return {"method": item["method"], "who": item["who"], "ts": item["ts"]}
        return None
