"""The ekeys in a lock of ours, through a gateway."""

from datetime import datetime

from host_tools.errors import HostError
from host_tools.gateway.client import Gateways
from host_tools.owner.ekeys import Limits
from host_tools.owner.keybook import Entry


class GatewayEkeys:
    """Through the gateway `gateway`."""

    def __init__(self, gateways: Gateways, gateway: str, entry: Entry) -> None:
        self._gateways = gateways
        self._gateway = gateway
        self._entry = entry

    async def _ask(self, op: str, args: dict | None = None, secret: bool = False) -> dict:
        return (await self._gateways.command(self._gateway, self._entry.id, op, args, secret)).get("data") or {}

    async def status(self) -> tuple[int, int]:
        found = await self._ask("ekey_list")
        return found["flag_pos"], found["next_uid"]

    async def add(self, uid: int, unlock_key: int, limits: Limits) -> None:
        await self._ask("ekey_add", {"uid": uid, "unlock_key": unlock_key, **_args(limits)}, True)

    async def change(self, uid: int, limits: Limits) -> None:
        args = _args(limits)
        if limits.start is None:
            args["permanent"] = True
        await self._ask("ekey_change", {"uid": uid, **args})
        await self._ask("ekey_freeze" if limits.frozen else "ekey_unfreeze", {"uid": uid})

    async def revoke(self, uid: int) -> None:
        await self._ask("ekey_delete", {"uid": uid})

    async def reset(self) -> int:
        return (await self._ask("ekey_reset"))["flag_pos"]

    async def all(self) -> dict[int, Limits]:
        found = {}
        cursor: int | None = 0
        while cursor is not None:
            page = await self._ask("ekey_list", {"cursor": cursor} if cursor else None)
            for item in page.get("items") or []:
                limits = Limits(_at(item.get("start")), _at(item.get("end")), item["remote"], item["once"])
                limits.frozen = item["state"] == "frozen"
                found[item["uid"]] = limits
            after = page.get("next")
            if after is not None and after <= cursor:
                raise HostError("protocol", "the list of ekeys has no end", "look at the gateway's log")
            cursor = after
        return found


def _at(text: str | None) -> int | None:
    return None if text is None else int(datetime.fromisoformat(text).timestamp())


def _args(limits: Limits) -> dict:
    args: dict = {"remote": limits.remote, "once": limits.once}
    if limits.start is not None:
        args.update(start=limits.start, end=limits.end)
    return args
