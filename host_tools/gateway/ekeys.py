"""The ekeys in a lock of ours, through a gateway."""

from host_tools.errors import HostError, Pending
from host_tools.gateway.client import ServedLock
from host_tools.owner.ekeys import Limits
from host_tools.owner.names import unix_of


class GatewayEkeys:
    """As `owner.ekeys.EkeyStore` says. Raises HostError, Pending among them."""

    def __init__(self, served: ServedLock) -> None:
        self._served = served

    async def _ask(self, op: str, args: dict | None = None, secret: bool = False) -> dict:
        return await self._served.asked(op, args, secret)

    async def status(self) -> tuple[int, int]:
        page = await self._ask("ekey_list")
        return _number(page, "flag_pos"), _number(page, "next_uid")

    async def add(self, uid: int, unlock_key: int, limits: Limits) -> None:
        await self._ask("ekey_add", {"uid": uid, "unlock_key": unlock_key, **_args(limits)}, True)

    async def change(self, uid: int, limits: Limits) -> None:
        args = _args(limits)
        if limits.start is None:
            args["permanent"] = True
        kept = None
        try:
            await self._ask("ekey_change", {"uid": uid, **args})
        except Pending as pending:
            if self._served.is_patient:
                raise
            kept = pending  # the next request waits behind it
        await self._ask("ekey_freeze" if limits.frozen else "ekey_unfreeze", {"uid": uid})
        if kept is not None:
            raise kept

    async def revoke(self, uid: int) -> None:
        await self._ask("ekey_delete", {"uid": uid})

    async def reset(self) -> int:
        return _number(await self._ask("ekey_reset"), "flag_pos")

    async def all(self) -> dict[int, Limits]:
        return {
            item["uid"]: Limits(
                unix_of(item.get("start")),
                unix_of(item.get("end")),
                bool(item.get("remote")),
                bool(item.get("once")),
                item.get("state") == "frozen",
            )
            for item in await self._served.items("ekey_list")
        }


def _number(data: dict, name: str) -> int:
    value = data.get(name)
    if value is None:
        raise HostError("protocol", "the gateway did not say %s" % name, "update the gateway")
    return int(value)


def _args(limits: Limits) -> dict:
    args: dict = {"remote": limits.remote, "once": limits.once}
    if limits.start is not None:
        args.update(start=limits.start, end=limits.end)
    return args
