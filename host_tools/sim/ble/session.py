"""One simulated board on the air: the two streams of its process and the radio behind them.

The command stream carries one request and one answer at a time, from the board's main thread. The event stream carries
everything that happens. An event with a token waits for the board's handler, like a synchronous IRQ; its reply comes
back on the command stream. When either stream closes, the board has lost power.
"""

import asyncio
import itertools
import logging
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from bumble import hci, smp
from bumble.device import Device, DeviceConfiguration
from bumble.transport.common import AsyncPipeSink

from host_tools.sim.air.air import Air
from host_tools.sim.air.air_host import QuietHost
from host_tools.sim.air.controller import RadioController
from host_tools.sim.ble.codec import frame, read_frame
from host_tools.sim.ble.errno_words import EINVAL, EIO, ENODEV, HS_HCI, BoardError
from host_tools.sim.ble.gap import Gap
from host_tools.sim.ble.gatt import GattServer
from host_tools.sim.ble.gattc import GattClient
from host_tools.sim.ble.identity import Identity
from host_tools.sim.ble.pairing import Pairing

log = logging.getLogger(__name__)

_ANSWER_S = 30.0  # the time of an ATT transaction: a peer gives up then, whatever the board does
_STOP_S = 2.0  # how long the end of links is waited for, as NimBLE's shutdown does
_BACKLOG = 256 * 1024  # bytes waiting for a board beyond which sightings are dropped, as a full event pool does
_COUNT_MASK = 0xFFFFFF
_MTU = 256  # NimBLE's preference, and its limits
_MTUS = 23, 527
_REPLY_TURNS = 6  # loop turns an ATT answer needs to reach the controller


class Session:
    """One board from the moment its streams open until they close. `address` is its public Bluetooth address."""

    def __init__(self, air: Air, address: hci.Address, name: str) -> None:
        self.air = air
        self.address = address
        self.name = name
        self.device: Device | None = None
        self.gap_name = b""
        self.mtu = _MTU
        self.identity = Identity(self)
        self.gap = Gap(self)
        self.pairing = Pairing(self)
        self.server = GattServer(self)
        self.client = GattClient(self)
        self._parts = self.identity, self.gap, self.pairing, self.server, self.client
        self.commands: dict[str, Callable] = {"active": self.activate, "config": self.configure}
        for part in self._parts:
            self.commands.update(part.commands())
        self._controller: RadioController | None = None
        self._emitted = 0  # events so far
        self._events: asyncio.StreamWriter | None = None
        self._commands: asyncio.StreamWriter | None = None
        self._out = bytearray()
        self._tokens = itertools.count(1)
        self._waiting: dict[int, asyncio.Future] = {}
        self._tasks: set[asyncio.Task] = set()

    # --- events to the board
    def emit(self, event: int, *args: object, token: int | None = None) -> None:
        """Send one event. One write per loop turn, so that a result and its "done" arrive together."""
        if self._events is None or self._events.is_closing():
            return
        if not self._out:
            asyncio.get_running_loop().call_soon(self._flush)
        self._out += frame([event, token, *args])
        self._emitted = self._emitted + 1 & _COUNT_MASK

    def _flush(self) -> None:
        out, self._out = bytes(self._out), bytearray()
        if out and self._events is not None and not self._events.is_closing():
            self._events.write(out)

    @property
    def adverts(self) -> int:
        """How many advertisements it has sent since its radio was switched on."""
        return self._controller.adverts if self._controller else 0

    @property
    def is_behind(self) -> bool:
        """The board does not keep up with its events."""
        return self._events is not None and self._events.transport.get_write_buffer_size() > _BACKLOG

    async def ask(self, event: int, *args: object) -> list:
        """Send one event and wait for what the board's handler returns. Raises TimeoutError."""
        token = next(self._tokens)
        answer = self._waiting[token] = asyncio.get_running_loop().create_future()
        self.emit(event, *args, token=token)
        try:
            return await asyncio.wait_for(answer, _ANSWER_S)
        finally:
            self._waiting.pop(token, None)

    def spawn(self, job: Coroutine) -> asyncio.Task:
        """Run a procedure that ends with an event. It is cancelled when the radio goes off."""
        task = asyncio.create_task(job)
        self._tasks.add(task)
        task.add_done_callback(self._finished)
        return task

    def _finished(self, task: asyncio.Task) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception():
            log.warning("%s: procedure failed", self.name, exc_info=task.exception())

    # --- streams
    def attach_events(self, writer: asyncio.StreamWriter) -> None:
        """The second stream has arrived."""
        self._events = writer

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve the command stream until it closes."""
        self._commands = writer
        while True:
            message = await read_frame(reader)
            if message[0] == "reply":
                answer = self._waiting.get(message[1])
                if answer is not None and not answer.done():
                    answer.set_result(message[2:])
                    # the ATT answer must leave before whatever the board asks for next
                    for _ in range(_REPLY_TURNS):
                        await asyncio.sleep(0)
                continue
            writer.write(frame(await self._answer(message[0], message[1:])))

    async def _answer(self, name: str, args: list) -> list:
        command = self.commands.get(name)
        if command is None:
            return [EINVAL]
        try:
            if self.device is None and name not in _WITHOUT_POWER:
                raise BoardError(ENODEV)
            result = command(*args)
            if isinstance(result, Awaitable):
                result = await result
            return [0, *(result or ())]
        except BoardError as err:
            return [err.number]
        except hci.HCI_Error as err:  # the chip refused: NimBLE passes its number on
            return [-(HS_HCI + (err.error_code or 0))]
        except Exception as err:  # the boundary that turns any failure into an OSError on the board
            log.warning("%s: %s", self.name, name, exc_info=err)
            return [EIO]

    def close(self) -> None:
        """Power off: the board vanishes, and its address is free at once."""
        self._switch_off()
        for writer in (self._events, self._commands):
            if writer is not None and not writer.is_closing():
                writer.close()
        self._events = None

    # --- power
    async def activate(self, on: bool, gap_name: bytes = b"", irk: bytes = b"", peers: list | None = None) -> list:
        """BLE().active(): a fresh radio, or a tidy end of all links and none. Returns the count of events so far."""
        if on:
            await self._switch_on(gap_name, irk, peers or [])
        elif self.device is not None:
            await self.device.stop_advertising()
            await self.gap.stop_scan()
            ends = [asyncio.ensure_future(self.gap.terminate(link)) for link in self.device.connections.values()]
            if ends:
                await asyncio.wait(ends, timeout=_STOP_S)
            self._switch_off()
            self._flush()
        return [self._emitted]

    async def _switch_on(self, gap_name: bytes, irk: bytes, peers: list) -> None:
        self.gap_name, self.mtu = gap_name, _MTU
        self._controller = RadioController(self.name, self.air, self.address)
        setup = DeviceConfiguration(
            name=self.name,
            address=hci.Address.generate_static_address(),
            gap_service_enabled=False,
            gatt_service_enabled=False,
        )
        device = Device(config=setup, host=QuietHost(self._controller, AsyncPipeSink(self._controller)))
        device.irk = irk
        device.pairing_config_factory = self.pairing.config
        await device.power_on()
        device.keystore = None  # bonds are the program's (bonds.py), and no pairing waits for a store
        device.address_resolution_offload = True  # the chip connects to a bonded peer under its private address too
        device.host.long_term_key_provider = self.pairing.long_term_key
        device.gatt_server.max_mtu = self.mtu
        self.device = device
        self.identity.watch(device)
        self.pairing.bonds.load(peers)
        self.server.register([])
        self.gap.watch(device)
        self._controller.on_report = self.gap.on_report

    def resolve_by(self, resolver: smp.AddressResolver) -> None:
        """Know bonded peers by their private addresses from now on."""
        if self.device is not None and self._controller is not None:
            self.device.address_resolver = self._controller.resolver = resolver

    def _switch_off(self) -> None:
        self.device = None
        for part in (self.gap, self.pairing, self.server, self.client):
            part.reset()
        for task in tuple(self._tasks):
            task.cancel()
        for answer in self._waiting.values():
            answer.cancel()
        if self._controller is not None:
            self._controller.power_off()
            self._controller = None

    def configure(self, key: str, value: Any) -> None:
        """One value of BLE().config()."""
        if key == "gap_name":
            self.gap_name = value
        elif key == "mtu":
            if not _MTUS[0] <= value <= _MTUS[1]:
                raise BoardError(EINVAL)
            self.mtu = value
            if self.device is not None:
                self.device.gatt_server.max_mtu = value
        else:
            self.pairing.settings[key] = value


_WITHOUT_POWER = ("active", "config")
