"""The site's Wi-Fi: which boards are associated, and how long that takes. Moves no data; `uplink` does."""

import asyncio
import contextlib
import random
from collections.abc import Callable
from typing import Protocol

_JOIN_S = (0.05, 0.3)
_RETRY_S = 1.0
_BEACON_TIMEOUT, _NO_AP_FOUND, _WRONG_PASSWORD = 200, 201, 202


class Station(Protocol):
    """What a board is to the access point."""

    index: int
    rssi_dbm: int

    def post(self, *message) -> None:
        """Send to the board's shims."""


class AccessPoint:
    """`is_up` and the network's name and password; stations join, leave, and are thrown out when it goes down.

    `join_s`: how long an association takes, from and to. `subnet`: whose addresses a station gets when it next joins;
    without `has_dhcp` it gets none.
    `on_switch(is_up)` hears of every change.
    """

    def __init__(self, ssid: str = "sim", password: str = "", seed: int = 0) -> None:
        self.ssid = ssid
        self.password = password
        self.join_s: tuple[float, float] = _JOIN_S
        self.subnet = 1
        self.has_dhcp = True
        self.on_switch: Callable[[bool], None] | None = None
        self._random = random.Random(seed)
        self._flapping: asyncio.Task | None = None
        self._stations: dict[int, Station] = {}  # those that are associated
        self._up = asyncio.Event()
        self._up.set()
        self._down = asyncio.Event()
        self._tasks: dict[int, asyncio.Task] = {}

    @property
    def is_up(self) -> bool:
        """On the air."""
        return self._up.is_set()

    def switch(self, is_up: bool) -> None:
        """Turn it on or off."""
        if is_up:
            self._up.set()
            self._down.clear()
        else:
            self._up.clear()
            self._down.set()
        if self.on_switch:
            self.on_switch(is_up)

    async def flap(self, up_s: float, down_s: float, for_s: float | None = None) -> None:
        """Go off and on, in the background, for so long or until the next call; ends up. 0 and 0 end it."""
        if self._flapping:
            self._flapping.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._flapping
            self._flapping = None
        if up_s or down_s:
            self._flapping = asyncio.create_task(self._flap(up_s, down_s, for_s))

    async def _flap(self, up_s: float, down_s: float, for_s: float | None) -> None:
        loop = asyncio.get_running_loop()
        began_s = loop.time()
        try:
            while for_s is None or loop.time() - began_s < for_s:
                self.switch(False)
                await asyncio.sleep(down_s)
                self.switch(True)
                await asyncio.sleep(up_s)
        finally:
            self.switch(True)

    def set_rssi(self, rssi_dbm: int, index: int | None = None) -> None:
        """Signal strength from now on, at one station or at all of them, those that are associated."""
        for station in self._stations.values():
            if index in (None, station.index):
                station.rssi_dbm = rssi_dbm
                station.post("wifi", "rssi", rssi_dbm)

    def change_password(self, password: str) -> None:
        """A new password: associated stations are disconnected, and come back only with this password."""
        self.password = password
        self._down.set()
        if self.is_up:
            self._down.clear()  # the waiters have been woken all the same

    async def close(self) -> None:
        """End what runs in the background."""
        await self.flap(0, 0)
        for task in self._tasks.values():
            task.cancel()

    def join(self, station: Station, ssid: str, password: str, reconnects: int) -> None:
        """The station wants to join and keeps trying (`reconnects` times, -1 for ever), as an ESP32's driver does."""
        self.leave(station)
        self._tasks[station.index] = asyncio.create_task(self._keep(station, ssid, password, reconnects))

    def leave(self, station: Station) -> None:
        """The station has left, or has lost its power."""
        self._stations.pop(station.index, None)
        task = self._tasks.pop(station.index, None)
        if task:
            task.cancel()

    async def _keep(self, station: Station, ssid: str, password: str, reconnects: int) -> None:
        tries = 0
        while True:
            await asyncio.sleep(self._random.uniform(*self.join_s))
            if not self.is_up or ssid != self.ssid:
                reason = _NO_AP_FOUND
            elif password != self.password:
                reason = _WRONG_PASSWORD
            else:
                tries = 0
                if self.has_dhcp:
                    address = "127.0.%d.%d" % (self.subnet, station.index % 254 + 1)
                    station.post("wifi", "up", address, station.rssi_dbm)
                else:
                    station.post("wifi", "linked", None, station.rssi_dbm)
                self._stations[station.index] = station
                await self._down.wait()
                self._stations.pop(station.index, None)
                reason = _BEACON_TIMEOUT
            tries += 1
            if 0 <= reconnects < tries:
                station.post("wifi", "gone", reason)
                return
            station.post("wifi", "down", reason)
            await asyncio.sleep(_RETRY_S)
