"""The site's Wi-Fi: which boards are associated, and how long that takes. Moves no data; `uplink` does."""

import asyncio
import random
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
    """`is_up` and the network's name and password; stations join, leave, and are thrown out when it goes down."""

    def __init__(self, ssid: str = "sim", password: str = "", seed: int = 0) -> None:
        self.ssid = ssid
        self.password = password
        self._random = random.Random(seed)
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

    def join(self, station: Station, ssid: str, password: str, reconnects: int) -> None:
        """The station wants to join and keeps trying (`reconnects` times, -1 for ever), as an ESP32's driver does."""
        self.leave(station)
        self._tasks[station.index] = asyncio.create_task(self._keep(station, ssid, password, reconnects))

    def leave(self, station: Station) -> None:
        """The station has left, or has lost its power."""
        task = self._tasks.pop(station.index, None)
        if task:
            task.cancel()

    async def _keep(self, station: Station, ssid: str, password: str, reconnects: int) -> None:
        tries = 0
        while True:
            await asyncio.sleep(self._random.uniform(*_JOIN_S))
            if not self.is_up or ssid != self.ssid:
                reason = _NO_AP_FOUND
            elif password != self.password:
                reason = _WRONG_PASSWORD
            else:
                tries = 0
                station.post("wifi", "up", "127.0.1.%d" % (station.index % 254 + 1), station.rssi_dbm)
                await self._down.wait()
                reason = _BEACON_TIMEOUT
            tries += 1
            if 0 <= reconnects < tries:
                station.post("wifi", "gone", reason)
                return
            station.post("wifi", "down", reason)
            await asyncio.sleep(_RETRY_S)
