"""A stranger's phone that takes a lock's only connection: it stays and says nothing, or what it was told to say, or
comes and goes all the time, under one address or always another.
"""

import asyncio
import contextlib
import itertools
from collections.abc import Callable

from bumble import core, hci
from bumble.device import Connection, Peer

from host_tools.sim.air.air import Air
from host_tools.sim.air.air_host import AirHost

_TRY_S = 10.0
_INTERVAL_MS = 30.0


class Squatter:
    """Takes the connection of `lock` whenever it can get it. `stays_s` lists how long each of its links lasted.

    `per_min` None: it stays until it is thrown out, and comes back at once. Else it connects so often a minute and
    leaves again when its time is up. `says()` gives what it writes to the lock every `every_s`, whole or in parts;
    `is_changing`: it has another address for each link.
    """

    def __init__(
        self,
        air: Air,
        lock: str,
        mac: str = "5a:00:00:00:00:01",
        per_min: float | None = None,
        says: Callable[[], bytes] | None = None,
        every_s: float = 1.0,
        is_changing: bool = False,
    ) -> None:
        if per_min is not None and not 0 < per_min <= 600:
            raise ValueError("%g connections a minute" % per_min)
        self.lock = lock
        self.mac = mac
        self.per_min = per_min
        self.stays_s: list[float] = []
        self._air = air
        self._says = says
        self._every_s = every_s
        self._is_changing = is_changing
        self._numbers = itertools.count(1)
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
            if self._is_changing:
                await self._change()
            if self.per_min is not None:
                await asyncio.sleep(max(0.0, began_s + 60 / self.per_min - loop.time()))

    async def _change(self) -> None:
        self._host.stop()
        mac = "5b:00:%s" % (next(self._numbers)).to_bytes(4, "big").hex(":")
        self._host = await AirHost(self._air, mac, "squatter").start()

    async def _speak(self, link: Connection) -> None:
        assert self._says
        with contextlib.suppress(core.BaseBumbleError, hci.HCI_Error, TimeoutError, asyncio.InvalidStateError):
            peer = Peer(link)
            await peer.discover_services([core.UUID.from_16_bits(0x1910)])
            for service in peer.services:
                await service.discover_characteristics([core.UUID.from_16_bits(0xFFF2)])
            writable = peer.get_characteristics_by_uuid(core.UUID.from_16_bits(0xFFF2))[0]
            while True:
                octets = self._says()
                for at in range(0, len(octets), 20):
                    await peer.write_value(writable, octets[at : at + 20], with_response=False)
                await asyncio.sleep(self._every_s)

    async def _take(self, began_s: float) -> None:
        loop = asyncio.get_running_loop()
        link = await self._host.connect(self.lock, _TRY_S, _INTERVAL_MS)
        since_s = loop.time()
        over = asyncio.Event()
        link.on("disconnection", lambda _reason: over.set())
        self.is_connected = True
        speech = asyncio.create_task(self._speak(link)) if self._says else None
        try:
            if self.per_min is None:
                await over.wait()
            else:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(over.wait(), max(0.0, began_s + 30 / self.per_min - loop.time()))
                if not over.is_set():
                    await link.disconnect()
        finally:
            if speech:
                speech.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await speech
            self.is_connected = False
            self.stays_s.append(loop.time() - since_s)
