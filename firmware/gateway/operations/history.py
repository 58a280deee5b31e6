"""records_read and upload: the lock's log, read now. The records themselves go to `…/records`, as always.

`upload` sends everything that the lock holds, also what was sent before ("upload data"). New records go the usual way
first. The others are published again as they were: a consumer recognises repeats by (lock, epoch, rec), and gets what
it lacks. A lock keeps hundreds of records and the radio has other work, so that one request may
end early: `next` is then the number to go on from, as the argument `from`.
Source: domain.md key features 10, 11; lock-ble-link.md 9.1.
"""

from firmware.gateway.operations.arguments import number, only
from firmware.gateway.records import BATCH, Pages
from firmware.gateway.scheduler import COMMAND
from firmware.lib.compat import const

_NUMBERS = const(65534)
_HALF = const(32767)


def check(op, args):
    """Of `upload`: `from`, the number to begin with, 0 by default."""
    if op == "records_read":
        return only(args)
    number(only(args, "from"), "from", 0, _NUMBERS - 1, 0)
    return args


async def records_read(job, session):
    """Walk the log to its end, giving way to the deadline, to unlock and to lock; `more` tells of a rest."""
    job.context.uploads.offer_again(session.lock)
    return await job.context.records.read(session, lambda: job.context.is_wanted(COMMAND))


async def upload(job, session):
    """Walk the whole log -> {"read", "new", "total", "next"}: records sent again, new ones, how many there are to send
    again from `from` on, and where to go on, None at the end."""
    fresh = await records_read(job, session)
    walk = _Walk(job, session, fresh["epoch"], fresh["cursor"])
    if not fresh["more"]:
        await walk.go(lambda: job.context.is_wanted(COMMAND))
    return {"read": job.args.get("done", 0), "new": fresh["read"], "total": walk.total, "next": walk.at}


class _Walk:
    """From the number `at` to `end`, the cursor of `epoch`; then, if the numbers have wrapped, what is still there of
    the epoch before. How far it has come is kept in the job's arguments, for a link may break."""

    def __init__(self, job, session, epoch, end):
        self._job = job
        self._session = session
        self._pages = Pages(session)
        self._epoch = epoch
        self._end = end
        self.at = job.args.get("from", 0)
        self._is_older = self.at > end
        self.total = job.args.get("done", 0)
        self._is_counted = False
        self._items = []

    async def go(self, must_yield):
        """Until the end, where `at` is None, or until `must_yield()`."""
        records = self._job.context.records
        lock = self._session.lock
        while not must_yield():
            was_older = self._is_older
            record = await self._next()
            if self._is_older is not was_older:
                await self._send(was_older)
            if record is None:
                await self._send(self._is_older)
                self.at = None
                return
            self._count(record[0])
            self._items.append(records.item(lock, *record))
            self.at = record[0] + 1
            if len(self._items) >= BATCH:
                await self._send(self._is_older)
        await self._send(self._is_older)

    async def _next(self):
        if not self._is_older:
            record = await self._pages.at(self.at) if self.at < self._end else None
            if record and self.at <= record[0] < self._end:
                return record
            if not self._epoch:
                return None
            self._is_older = True
            self._is_counted = False
            self.at = self._end + 1
        if self.at >= _NUMBERS:
            return None
        record = await self._pages.at(self.at)
        # Far above the newest: what was recorded before the numbers began anew
        return record if record and record[0] >= self.at and record[0] - self._end > _HALF else None

    def _count(self, first):
        if not self._is_counted:
            self._is_counted = True
            self.total += (_NUMBERS if self._is_older else self._end) - first

    async def _send(self, is_older):
        if not self._items:
            return
        job = self._job
        await job.context.uploads.send(
            self._session.lock, self._epoch - 1 if is_older else self._epoch, self._items, job.deadline_ms
        )
        job.args["done"] = job.args.get("done", 0) + len(self._items)
        job.args["from"] = self._items[-1]["rec"] + 1
        self._items = []
        job.progress({"done": job.args["done"], "total": self.total})
