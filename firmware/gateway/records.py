"""Reads the operation logs of the locks into buffers on flash. Owns when and how far; `uploads` sends them on.

Asks by number from its own cursor, so that a phone's walk and ours do not disturb each other (lock-ble-link.md 9.1).
"""

from firmware.gateway.buffer import Buffer
from firmware.gateway.pages import Pages
from firmware.lib import dates, records, reports
from firmware.lib.compat import const

_POWERED_ON = const(14)
_FRESH_S = const(60)  # older records are no events (mqtt.md 1)
_MOST_KEPT = const(4096)  # of all locks together: about 200 KiB of flash
_TELL = const(10)  # records that make a batch
_DOORS = {30: "closed", 31: "open"}
_TAMPERED = const(44)
_RETRY_S = const(2)
_RETRY_MAX_S = const(300)
_IDLE_S = const(60)
_IDLE_MAX_S = const(3600)


class _Wish:
    """That a lock's log be read, not before `due_s`."""

    def __init__(self):
        self.is_wanted = False
        self.due_s = 0
        self.failures = 0
        self.in_vain = 0  # walks that found nothing, although the lock had advertised unread records


class Records:
    """`outgoing.put` takes events, `clocks` hears of locks that lost their power. `on_stored(lock)` is called when
    there is something to upload, `on_wanted()` when there is something to read."""

    def __init__(self, folder, registry, clocks, clock, outgoing, topics, now_s, log):
        self._folder = folder
        self._registry = registry
        self._clocks = clocks
        self._clock = clock
        self._outgoing = outgoing
        self._topics = topics
        self._now_s = now_s
        self._log = log.area("records")
        self._buffers = {}
        self._wishes = {}
        self.reading = None  # the lock whose log is being read: more of its records are about to come
        self.on_stored = self.on_wanted = None

    def buffer(self, lock):
        """The buffer of a lock, opened when first asked for."""
        found = self._buffers.get(lock.id)
        if found is None:
            found = self._buffers[lock.id] = Buffer(self._folder + "/" + lock.id, lock.aes)
        return found

    def _is_full(self, buffer):
        """True when reading must wait: the locks keep their records better than a full flash."""
        return buffer.is_full() or sum(each.pending() for each in self._buffers.values()) >= _MOST_KEPT

    def close(self, lock):
        """The lock is served no more."""
        self._buffers.pop(lock.id, None)
        self._wishes.pop(lock.id, None)

    def renew(self, lock):
        """The lock was imported anew. An open buffer stays the only one: a batch of it may be on its way."""
        self._wishes.pop(lock.id, None)
        self.buffer(lock).rekey(lock.aes)

    # --- when

    def _wish(self, lock):
        found = self._wishes.get(lock.id)
        if found is None:
            found = self._wishes[lock.id] = _Wish()
        return found

    def want(self, lock):
        """Read this lock's log as soon as it may be."""
        self._wish(lock).is_wanted = True
        self._wanted()

    def flagged(self, lock):
        """The lock advertises unread records."""
        wish = self._wish(lock)
        if not wish.is_wanted:
            wish.is_wanted = True
            if wish.in_vain:
                wish.due_s = self._now_s() + min(_IDLE_S << min(wish.in_vain - 1, 6), _IDLE_MAX_S)
            self._wanted()

    def _wanted(self):
        if self.on_wanted:
            self.on_wanted()

    def is_due(self, lock):
        """True when the log should be read now."""
        wish = self._wishes.get(lock.id)
        if wish is None or not wish.is_wanted or self._now_s() < wish.due_s:
            return False
        return not self._is_full(self.buffer(lock))

    def failed(self, lock):
        """A walk broke off: try again after a pause that doubles."""
        wish = self._wish(lock)
        wish.is_wanted = True
        wish.due_s = self._now_s() + min(_RETRY_S << min(wish.failures, 8), _RETRY_MAX_S)
        wish.failures += 1

    # --- how far

    async def read(self, session, must_yield, on_record=None):
        """Walk the log from our cursor until its end, a full buffer, or `must_yield()` -> {"read", "epoch", "cursor",
        "more"}. Every record is on flash, without its secrets, before the next is asked for; then `on_record(raw)`
        hears of it. Raises as `Session.ask`.
        """
        lock = session.lock
        buffer = self.buffer(lock)
        wish = self._wish(lock)
        was_flagged = lock.has_records
        count = 0
        more = False
        last = door = tampered = None
        pages = Pages(session)
        self.reading = lock
        try:
            while True:
                if must_yield() or self._is_full(buffer):
                    more = True
                    break
                found = await pages.at(buffer.cursor)
                if found is None:
                    break
                number, raw, who = found
                buffer.append(number, raw, who)
                count += 1
                if on_record:
                    on_record(raw)
                last = self._news(lock, number, raw, who) or last
                door = _DOORS.get(raw[0], door)
                tampered = raw[0] == _TAMPERED or (tampered if records.meaning(raw[0])[0] != "unlock" else False)
                if buffer.pending() % _TELL == 0:
                    self._tell(lock)
        finally:
            self.reading = None
            if count:
                self._tell(lock)
                self._log.info("read", addr=lock.address, count=count, next=buffer.cursor, epoch=buffer.epoch)
            if last:
                self._registry.note_last(lock, last)
        wish.failures = 0
        wish.is_wanted = more
        if not more:
            wish.in_vain = 0 if count or not was_flagged else wish.in_vain + 1
            lock.has_records = False
            self._registry.note_recorded(lock, door, bool(tampered) if lock.tampered is None else tampered)
        return {"read": count, "epoch": buffer.epoch, "cursor": buffer.cursor, "more": more}

    def _tell(self, lock):
        if self.on_stored:
            self.on_stored(lock)

    def unix_of(self, lock, record):
        """Unix seconds of a decoded record, or None when its date is none: a clock that was never set shows the first
        hours of 2000, which the offset from UTC moves into a year that has no text."""
        if record.date is None:
            return None
        at_s = self._clocks.unix_of(lock, record.date)
        return at_s if dates.UNIX_2000 <= at_s < dates.UNIX_2100 else None

    def item(self, lock, number, raw, who):
        """A record without secrets as it is published."""
        record = records.decode(raw)
        return reports.record_item(number, record, self.unix_of(lock, record), who)

    def _news(self, lock, number, raw, who):
        """Tell of a record that has just been stored; -> `last` of the lock's state if it is about the bolt."""
        record = records.decode(raw)
        if record.type == _POWERED_ON:
            self._clocks.want(lock)
        at_s = self.unix_of(lock, record)
        item = reports.record_item(number, record, at_s, who)
        if at_s is not None and self._clock.trusted and -_FRESH_S < self._clock.now() - at_s < _FRESH_S:
            members = {key: item[key] for key in ("type", "method", "who", "rec", "ts")}
            payload = reports.event(event_type=item["event"], **members)
            self._outgoing.put(self._topics.lock(lock.id, "event"), payload)
        if item["event"] in ("unlock", "lock"):
            return {"method": item["method"], "who": item["who"], "ts": item["ts"]}
        return None
