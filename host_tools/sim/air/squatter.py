"""A stranger's phone that takes a lock's only connection: it stays and says nothing, or comes and goes all the time."""

import asyncio
import contextlib

from bumble import core, hci

from host_tools.sim.air.air import Air
from host_tools.sim.air.air_host import AirHost

_TRY_S = 10.0
_INTERVAL_MS = 30.0


class Squatter:
    """Takes the connection of `lock` whenever it can get it. `stays_s` lists how long each of its links lasted.

    `per_min` None: it stays until it is thrown out, and comes back at once. Else it connects so often a minute and
    leaves again when its time is up.
    """

    def __init__(self, air: Air, lock: str, mac: str = "5a:00:00:00:00:01", per_min: float | None = None) -> None:
        if per_min is not None and not 0 < per_min <= 600:
            raise ValueError("%g connections a minute" % per_min)
        self.lock = lock
        self.mac = mac
        self.per_min = per_min
        self.stays_s: list[float] = []
        self._host = AirHost(air, mac, "squatter")
        self._task: asyncio.Task | None = None
        self.is_connected = False

    async def start(self) -> "Squatter":
        """Switch its radio on and begin."""
        await self._host.start()
        self._task = asyncio.create_task(self._run())
        return self

    async def stop(self) -> None:
        """It goes away for good, without a word to the lock."""
        if self._task:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
        self._host.stop()

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            began_s = loop.time()
            # Bumble's errors: out of reach, somebody else has the lock, or an attempt that failed
            with contextlib.suppress(core.BaseBumbleError, hci.HCI_Error, TimeoutError):
                await self._take(began_s)
            if self.per_min is not None:
                await asyncio.sleep(max(0.0, began_s + 60 / self.per_min - loop.time()))

    async def _take(self, began_s: float) -> None:
        loop = asyncio.get_running_loop()
        link = await self._host.connect(self.lock, _TRY_S, _INTERVAL_MS)
        since_s = loop.time()
        over = asyncio.Event()
        link.on("disconnection", lambda _reason: over.set())
        self.is_connected = True
        try:
            if self.per_min is None:
                await over.wait()
            else:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(over.wait(), max(0.0, began_s + 30 / self.per_min - loop.time()))
                if not over.is_set():
                    await link.disconnect()
        finally:
            self.is_connected = False
            self.stays_s.append(loop.time() - since_s)
