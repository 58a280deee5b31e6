"""Reads the operation logs of the locks, without their secrets, into buffers on flash. Owns the reading of a record,
when a log is read and how far; `outgoing` sends the records on.

Asks by number from its own cursor, so that a phone's walk and ours do not disturb each other (lock-ble-link.md 9.1). No
digits, no card number and no address stay on the gateway (security.md LOG-2, LOG-3). The credential is named by a
number instead: a user's uid and a fingerprint's number as they are, a code, a card and a fob by its mark. Wrong entries
have none: they are near misses of a real code.
"""

from firmware.gateway.buffer import FULL, Buffer, waiting_in
from firmware.lib import dates, marks, opcodes, records, reports
from firmware.lib.compat import const
from firmware.lib.errors import AuthError, LockRefused, ProtocolError
from firmware.lib.messages import session_client

_POWERED_ON = const(14)
_FRESH_S = const(60)  # older records are no events (mqtt.md 1)
_MAX_KEPT = const(4096)  # of all locks together: about 200 KiB of flash
_MAX_OPEN = const(2)
BATCH = const(3)  # records of which a batch is made: seldom do more fit
_DOORS = {30: "closed", 31: "open"}
_TAMPERED = const(44)
_RETRY_S = const(2)
_RETRY_MAX_S = const(300)
_IDLE_S = const(60)
_IDLE_MAX_S = const(3600)
_HEADER = const(8)
_ADDRESS = const(6)
_WRONG_CODE = const(7)


class _Plan:
    """That a lock's log be read, not before `due_s`."""

    is_wanted = False
    due_s = 0
    failures = 0
    fruitless = 0  # walks that read nothing, although the lock had advertised unread records


class Records:
    """`outgoing.publish` takes events, `clocks` hears of locks that lost their power. `on_stored(lock)` is called when
    there is something to upload, `on_wanted()` when there is something to read."""

    def __init__(self, folder, registry, clocks, clock, outgoing, topics, now_s, log):
        self._folder = folder
        self._registry = registry
        self._clocks = clocks
        clocks.records = self
        self._clock = clock
        self._outgoing = outgoing
        self._topics = topics
        self._now_s = now_s
        self._log = log.area("records")
        self._open = []  # (address of the lock, its buffer), the one used last at the end
        self._packed = {}  # the others, by the address of their lock, which costs no text of its own
        self._plans = {}
        self.reading = None  # the lock whose log is being read: more of its records are about to come
        self.on_stored = self.on_wanted = None

    def buffer(self, lock):
        """The buffer of a lock. Two are open at a time; who awaits asks for it anew, but for a lock that is read."""
        for pair in self._open:
            if pair[0] == lock.address:
                self._open.remove(pair)
                break
        else:
            pair = lock.address, Buffer(self._folder + "/" + lock.id, lock.aes, self._packed.pop(lock.address, None))
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
        """True when reading must wait: the locks keep their records better than a full flash."""
        if self.waiting(lock)[0] >= FULL:
            return True
        count = sum([buffer.pending() for _, buffer in self._open])
        return count + sum([waiting_in(packed)[0] for packed in self._packed.values()]) >= _MAX_KEPT

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
        self._plan(lock).is_wanted = True
        self._wanted()

    def flagged(self, lock):
        """The lock advertises unread records."""
        plan = self._plan(lock)
        if not plan.is_wanted:
            plan.is_wanted = True
            if plan.fruitless:
                plan.due_s = self._now_s() + min(_IDLE_S << min(plan.fruitless - 1, 6), _IDLE_MAX_S)
            self._wanted()

    def _wanted(self):
        if self.on_wanted:
            self.on_wanted()

    def is_due(self, lock):
        """True when the log should be read now."""
        plan = self._plans.get(lock.address)
        if plan is None or not plan.is_wanted or self._now_s() < plan.due_s:
            return False
        return not self._is_full(lock)

    def failed(self, lock):
        """A walk broke off: try again after a pause that doubles."""
        plan = self._plan(lock)
        plan.is_wanted = True
        plan.due_s = self._now_s() + min(_RETRY_S << min(plan.failures, 8), _RETRY_MAX_S)
        plan.failures += 1

    # --- how far

    async def read(self, session, must_yield, on_record=None):
        """Walk the log from our cursor until its end, a full buffer, or `must_yield()` -> {"read", "epoch", "cursor",
        "more"}. Every record is on flash, without its secrets, before the next is asked for; then `on_record(raw)`
        hears of it. Raises as `Session.ask`.
        """
        lock = session.lock
        buffer = self.buffer(lock)
        plan = self._plan(lock)
        was_flagged = lock.has_records
        count = 0
        more = False
        last = door = tampered = date = None
        pages = Pages(session)
        await self._clocks.meet(session)
        self.reading = lock
        try:
            while True:
                if must_yield() or self._is_full(lock):
                    more = True
                    break
                record = await pages.at(buffer.cursor)
                if record is None:
                    break
                number, raw, who = record
                last_date, date = date, records.decode(raw).date
                self._clocks.learn(lock, number, date, last_date)
                buffer.append(number, raw, who)
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
                self._log.info("read", addr=lock.address, count=count, next=buffer.cursor, epoch=buffer.epoch)
            if last:
                self._registry.update(lock, "record", last=last)
        plan.failures = 0
        plan.is_wanted = more
        if not more:
            plan.fruitless = 0 if count or not was_flagged else plan.fruitless + 1
            lock.has_records = False
            tampered = bool(tampered) if lock.tampered is None else tampered
            self._registry.update(lock, "record", door=door, tampered=tampered)
        return {"read": count, "epoch": buffer.epoch, "cursor": buffer.cursor, "more": more}

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
            self._clocks.want(lock)
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
        if item["event"] in ("unlock", "lock"):
            return {"method": item["method"], "who": item["who"], "ts": item["ts"]}
        return None


class Pages:
    """The log of one lock over one link, page by page. Nothing secret leaves it.

    A lock of ours keeps the digits of codes from whoever is not its administrator; with the first such record we log
    in, once for a link, so that a log without codes costs nothing more.
    """

    def __init__(self, session):
        self._session = session
        self._may_log_in = True

    async def at(self, cursor):
        """(number, record without secrets, number of its credential) at or above the cursor, or None. Raises as
        `Session.ask`."""
        record = await self._ask(self._session.ask, cursor)
        if record is None:
            return None
        if self._may_log_in and _is_masked(record[1]):
            try:
                record = await self._ask(self._session.ask_as_admin, record[0]) or record
            except AuthError:  # the record does without
                self._may_log_in = False
        who, raw = _redacted(self._session.lock.aes, record[1])
        return record[0], raw, who

    async def _ask(self, ask, cursor):
        try:
            data = await ask(opcodes.LOG, session_client.log_request(cursor))
        except LockRefused as err:
            if err.reason == "not_found":
                return None
            raise
        except ProtocolError as err:
            if not err.is_answer:
                raise
            return None  # error 01 is "no such record" on some locks (lock-ble-link.md 9.1)
        after, listed = session_client.log_page(data)
        if not listed:
            return None
        if not 0 < after < 0xFFFF or after == cursor:
            raise ProtocolError("log page leads nowhere")
        raw = listed[0]
        if len(raw) < _HEADER:
            raw = raw + bytes(_HEADER - len(raw))  # cut off: kept, so that its number is not taken for lost
        return after - 1, raw


def _is_masked(raw):
    """True when the record is about a code whose digits the lock keeps from whoever is not its administrator."""
    if raw[0] == _WRONG_CODE:
        return False
    try:
        return "*" in records.fields(records.decode(raw)).get("code", "")
    except ProtocolError:
        return False


def _redacted(aes, raw):
    """A raw record as the lock sent it -> (number of the credential or None, the record without secrets).

    Lengths and layout stay, so that the rest can be read from it; a tail that does not fit its type is dropped.
    """
    clean = bytearray(records.mask(raw))
    try:
        fields = records.fields(records.decode(raw))
    except ProtocolError:
        fields = None
    if not fields:
        return None, bytes(clean[:_HEADER])
    who = fields.get("uid", fields.get("credential"))
    if "card" in fields:
        who = marks.of_card(aes, fields["card"])
        clean[_HEADER:] = bytes(len(clean) - _HEADER)
    elif "address" in fields:
        who = marks.of_fob(aes, fields["address"])
        clean[_HEADER : _HEADER + _ADDRESS] = bytes(_ADDRESS)
    elif raw[0] != _WRONG_CODE and fields.get("code", "*").find("*") < 0 and fields["code"]:
        who = marks.of_passcode(aes, fields["code"].encode())
    return who, bytes(clean)
