"""The live view of `gatehouse monitor`: one row per lock, one line per event.

Owns what is shown; messages come from `gateway_client`.
"""

import asyncio
import json
import time

from rich.console import Console
from rich.live import Live
from rich.table import Table

from host_tools.gateway_client import Gateways

_REFRESH_S = 0.25


class Monitor:
    """`heard` takes messages, `show` draws until cancelled or until a time."""

    def __init__(self, gateways: Gateways, names: dict[str, str]) -> None:
        self._gateways = gateways
        self._names = dict(names)
        self._locks: dict[tuple[str, str], dict] = {}
        self._online: dict[tuple[str, str], bool] = {}
        self._lines: list[str] = []

    def heard(self, gateway: str, lock: str, leaf: str, text: str) -> None:
        """One message of a lock's availability, state or event topic; anything unreadable is passed over."""
        if leaf == "availability":
            self._online[gateway, lock] = text == "online"
            return
        try:
            value = json.loads(text)
        except ValueError:
            return
        if not isinstance(value, dict):
            return
        if leaf == "state":
            self._locks[gateway, lock] = value
        else:
            who = value.get("who")
            words = (value.get("ts"), self._name(lock), value.get("event_type"), value.get("method"))
            line = "  ".join(str(word) for word in words if word is not None)
            self._lines.append(line if who is None else "%s  who %s" % (line, who))

    def _name(self, lock: str) -> str:
        for info in self._gateways.info.values():
            for each in info.get("locks") or []:
                if isinstance(each, dict) and str(each.get("mac", "")).replace(":", "") == lock and each.get("name"):
                    return self._names.get(lock) or str(each["name"])
        return self._names.get(lock, lock)

    def table(self) -> Table:
        """The present picture."""
        table = Table("lock", "gateway", "", "bolt", "door", "battery", "RSSI", "last", "as of")
        for key in sorted(set(self._locks) | set(self._online), key=lambda each: (self._name(each[1]), each)):
            gateway, lock = key
            state = self._locks.get(key, {})
            online = self._gateways.online.get(gateway) and self._online.get(key)
            last = state.get("last") or {}
            table.add_row(
                self._name(lock),
                gateway,
                "[green]online[/]" if online else "[red]offline[/]",
                _word(state.get("lock")),
                _word(state.get("door")),
                _word(state.get("battery"), "%s %%"),
                _word(state.get("rssi"), "%s dBm"),
                " ".join(str(last[part]) for part in ("method", "who") if last.get(part) is not None),
                _word(state.get("ts")),
            )
        return table

    async def show(self, console: Console, until_s: float | None = None) -> None:
        """Draw until `until_s` (monotonic); without a terminal only the events, then the table once at the end."""
        with Live(self.table(), console=console, auto_refresh=False, transient=not console.is_terminal) as live:
            while until_s is None or time.monotonic() < until_s:
                for line in self._lines:
                    console.print(line)
                self._lines.clear()
                live.update(self.table(), refresh=console.is_terminal)
                await asyncio.sleep(_REFRESH_S)
        if not console.is_terminal:
            console.print(self.table())


def _word(value: object, form: str = "%s") -> str:
    return "" if value is None else form % (value,)
