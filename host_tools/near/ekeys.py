"""The ekeys in a lock of ours, over a link from this computer (command 0xe8, `firmware/lib/README.md`)."""

from firmware.lib import dates, opcodes, zone
from firmware.lib.errors import Unsupported
from firmware.lib.messages import ekey_client
from host_tools.near.local_link import is_own, walk
from host_tools.near.lock_link import LockLink
from host_tools.owner import zones
from host_tools.owner.ekeys import Limits
from host_tools.owner.keybook import Entry


class LocalEkeys:
    """Over a link of `local_link(entry)`."""

    def __init__(self, link: LockLink, entry: Entry) -> None:
        self._link = link
        self._entry = entry

    async def _ask(self, plain: bytes) -> bytes:
        return await self._link.exchange(opcodes.EKEY, plain)

    def _date(self, unix_s: int | None):
        if unix_s is None:
            return None
        return zone.to_wall(zones.rule_of(self._entry), unix_s)[:5]

    def _unix(self, date, is_last: bool = False) -> int | None:
        if date in (dates.NO_START, dates.NO_END):
            return None
        return zone.from_wall(zones.rule_of(self._entry), date, is_last)

    async def status(self) -> tuple[int, int]:
        """(flag position, uid to give out next). Raises Unsupported."""
        if not await is_own(self._link):
            raise Unsupported("a lock that is not ours has one key for everybody")
        return ekey_client.status_of(await self._ask(ekey_client.status()))[:2]

    async def add(self, uid: int, unlock_key: int, limits: Limits) -> None:
        start, end = self._date(limits.start), self._date(limits.end)
        plain = ekey_client.add(uid, unlock_key, start, end, _flags(limits))
        ekey_client.managed(await self._ask(plain), ekey_client.ADD)

    async def change(self, uid: int, limits: Limits) -> None:
        """All limits anew, frozen or not included."""
        plain = ekey_client.modify(uid, self._date(limits.start), self._date(limits.end), _flags(limits))
        ekey_client.managed(await self._ask(plain), ekey_client.MODIFY)

    async def revoke(self, uid: int) -> None:
        ekey_client.managed(await self._ask(ekey_client.revoke(uid)), ekey_client.REVOKE)

    async def reset(self) -> int:
        """The flag position from here on."""
        flag_pos, _ = await self.status()
        return ekey_client.reset_to(await self._ask(ekey_client.reset(flag_pos + 1)))

    async def all(self) -> dict[int, Limits]:
        """By uid."""
        listed = walk(self._link.exchange, opcodes.EKEY, ekey_client.list_request, ekey_client.entry)
        return {
            ekey.uid: Limits(
                self._unix(ekey.start),
                self._unix(ekey.end, True),
                bool(ekey.flags & ekey_client.REMOTE),
                bool(ekey.flags & ekey_client.ONCE),
                bool(ekey.flags & ekey_client.FROZEN),
            )
            async for ekey in listed
        }


def _flags(limits: Limits) -> int:
    flags = ekey_client.REMOTE if limits.remote else 0
    flags |= ekey_client.ONCE if limits.once else 0
    return flags | (ekey_client.FROZEN if limits.frozen else 0)
