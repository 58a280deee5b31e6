"""records_read and upload: the lock's log, read now. The records themselves go to `…/records`, as always.

`upload` sends what the lock holds once more, all of it or the numbers `from` to `to`: whoever keeps records asks for
what it lacks. New records go the usual way first. The others are published as they were: a consumer recognises repeats
by (lock, epoch, rec, date). A lock keeps hundreds of records and the radio has other work, so that one request may end
early: `next` is then the number to go on from, as the argument `from`.
Source: domain.md key features 10, 11; lock-ble-link.md 9.1.
"""

from firmware.gateway.buffer import ahead
from firmware.gateway.operations.arguments import number, only
from firmware.gateway.pages import Pages
from firmware.gateway.records import BATCH
from firmware.gateway.scheduler import COMMAND
from firmware.lib.compat import const
from firmware.lib.errors import AuthError, FirmwareError

_NUMBERS = const(65534)


def check(op, args):
    """Of `upload`: `from`, the number to begin with, 0 by default; `to`, the last one, by default the newest."""
    if op == "records_read":
        return only(args)
    number(only(args, "from", "to"), "from", 0, _NUMBERS - 1, 0)
    number(args, "to", 0, _NUMBERS - 1, 0)
    return args


async def records_read(job, session):
    """Walk the log to its end, giving way to the deadline, to unlock and to lock; `more` tells of a rest."""
    job.context.uploads.offer_again(session.lock)
    return await job.context.records.read(session, lambda: job.context.is_wanted(COMMAND))


async def upload(job, session):
    """Walk the log -> {"read", "new", "total", "next", "epoch", "cursor"}: records sent again, new ones, how many there
    are to send again from `from` on, where to go on, None at the end; the era, and the number behind the newest."""
    fresh = await records_read(job, session)
    walk = _Walk(job, session, fresh["epoch"], fresh["cursor"])
    await walk.go(lambda: job.context.is_wanted(COMMAND))
    done = {"read": job.args.get("done", 0), "new": fresh["read"], "total": walk.total, "next": walk.at}
    done["epoch"], done["cursor"] = fresh["epoch"], fresh["cursor"]
    return done


class _Walk:
    """From the number `at` to `to`, else to the cursor; then, if the numbers of a lock of ours have wrapped, what is
    still there from before. How far it has come is kept in the job's arguments, for a link may break."""

    def __init__(self, job, session, era, cursor):
        self._job = job
        self._session = session
        self._pages = Pages(session)
        self._era = era
        self._cursor = cursor
        self.at = job.args.get("from", 0)
        self._to = job.args.get("to")
        self._is_older = self._to is None and self.at > cursor
        self.total = job.args.get("done", 0)
        self._is_counted = False
        self._items = []

    async def go(self, must_yield):
        """Until the end, where `at` is None, until `must_yield()`, or to a number that the lock refuses."""
        records = self._job.context.records
        lock = self._session.lock
        while not must_yield():
            try:
                record = await self._next()
            except FirmwareError as err:
                if not err.is_answer or isinstance(err, AuthError):
                    raise
                break
            if record is None:
                await self._send()
                self.at = None
                return
            self._count(record[0])
            self._items.append(records.item(lock, *record))
            self.at = record[0] + 1
            if len(self._items) >= BATCH:
                await self._send()
        await self._send()

    async def _next(self):
        if self._to is not None:
            # A number beyond the newest has no defined answer (hardware-facts.md F54)
            if self.at > self._to or ahead(self.at, self._cursor) in (0, None):
                return None
            record = await self._pages.at(self.at)
            return record if record and self.at <= record[0] <= self._to else None
        if not self._is_older:
            record = await self._pages.at(self.at) if self.at < self._cursor else None
            if record and self.at <= record[0] < self._cursor:
                return record
            if not self._session.lock.is_own:
                return None
            self._is_older = True
            self._is_counted = False
            self.at = self._cursor + 1
        if self.at >= _NUMBERS:
            return None
        record = await self._pages.at(self.at)
        # Far above the newest: what was recorded before the numbers began anew
        return record if record and record[0] >= self.at and ahead(self._cursor, record[0]) is None else None

    def _count(self, first):
        if not self._is_counted:
            self._is_counted = True
            end = self._cursor if self._to is None else self._to + 1
            self.total += (_NUMBERS if self._is_older else end) - first

    async def _send(self):
        if not self._items:
            return
        job = self._job
        await job.context.uploads.send(self._session.lock, self._era, self._items, job.deadline_ms)
        job.args["done"] = job.args.get("done", 0) + len(self._items)
        job.args["from"] = self._items[-1]["rec"] + 1
        self._items = []
        job.progress({"done": job.args["done"], "total": self.total})
