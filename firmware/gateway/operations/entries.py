"""What fingerprints and fobs have in common: changed, deleted, cleared and listed by number, and each change read back.

`Entries` speaks one of their commands over one session. Source: lock-ble-commands.md 5, 8.1; domain.md 3.2, 5.4.
"""

from firmware.gateway.operations import periods, schedules
from firmware.lib.compat import const
from firmware.lib.errors import LockRefused
from firmware.lib.messages import fingerprint_client

_PAGE = const(6)  # entries of one result, which must stay below 1 KiB
_MOST = const(1000)  # pages of a list that has no end
_REASON = "not_found"


class Entries:
    """`command` is 0x06 or one of ours, `kind` names their hours in 0x70, `decode` reads a line of the list."""

    def __init__(self, session, command, kind, decode):
        self._session = session
        self._command = command
        self._kind = kind
        self._decode = decode

    async def _ask(self, plain):
        return await self._session.ask_as_admin(self._command, plain)

    async def run(self, job, what):
        """`change`, `delete`, `clear` or `list`, by the job's arguments -> `data` of the result."""
        args = job.args
        if what == "list":
            return await self.list(job, args.get("cursor", 0))
        if what == "change":
            await self.limit(args["number"], args)
        elif what == "delete":
            await self.delete(args["number"])
        else:
            await self.clear()
        return None

    async def limit(self, which, args):
        """Set the period and, where the arguments say some, the hours; read both back.

        The period goes first: a power cut between the two leaves hours of before inside the new period.
        """
        session = self._session
        period = periods.of(session.lock, args)
        fingerprint_client.managed(
            await session.change(self._command, fingerprint_client.modify(which, *period)), fingerprint_client.MODIFY
        )
        if "days" in args:
            await schedules.replace(session, self._kind, which.to_bytes(6, "big"), schedules.windows(args))
        entry = await self._find(which)
        if entry is None:
            raise LockRefused("the lock said yes, and lists no such entry", None, _REASON)
        periods.verify((entry.start, entry.end), period)

    async def delete(self, which):
        """Gone already is what was wanted (domain.md 5.4)."""
        try:
            await self._session.change(self._command, fingerprint_client.delete(which))
        except LockRefused as err:
            if err.reason != _REASON:
                raise

    async def clear(self):
        """Remove all."""
        await self._session.change(self._command, fingerprint_client.clear())

    async def _find(self, which):
        cursor = 0
        for _ in range(_MOST):
            cursor, entry = self._decode(await self._ask(fingerprint_client.list_request(cursor)))
            if entry is not None and entry.number == which:
                return entry
            if cursor is None:
                break
        return None

    async def list(self, job, cursor):
        """A page from `cursor` on: numbers, periods, hours, status; of fobs battery and whether they are near."""
        items = []
        taken = 0
        while cursor is not None and taken < _PAGE:
            after, entry = self._decode(await self._ask(fingerprint_client.list_request(cursor)))
            if entry is not None:
                items.append(await self._item(job, entry))
                taken += 2 if "hours" in items[-1] else 1  # a week of hours is as long as all the rest
            cursor = after
        return {"items": items, "next": cursor}

    async def _item(self, job, entry):
        session = self._session
        item = {"number": entry.number}
        periods.show(session.lock, item, entry.start, entry.end)
        if hasattr(entry, "battery"):
            item["battery"] = entry.battery
            item["online"] = bool(entry.flags & 1)
        await schedules.show(session, item, self._kind, entry.number.to_bytes(6, "big"))
        status = periods.status(job, entry.start, entry.end)
        if status is not None:
            item["status"] = status
        return item
