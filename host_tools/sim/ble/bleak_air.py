"""A bleak backend for the simulated air: unmodified bleak programs talk to simulated boards.

A Bumble host runs inside the program and reaches the air through the radio's HCI port, as a computer reaches its
Bluetooth adapter. Pass `backend=AirClient` / `backend=AirScanner`, or call `install()` first, which makes them bleak's
default. The environment variable GATEHOUSE_AIR names the port: `tcp-client:127.0.0.1:PORT` or `127.0.0.1:PORT`.
"""

import asyncio
import os
import weakref
from collections.abc import Callable, Coroutine
from typing import Any, ClassVar

import bleak
from bleak.assigned_numbers import gatt_char_props_to_strs
from bleak.backends.characteristic import BleakGATTCharacteristic
from bleak.backends.client import BaseBleakClient
from bleak.backends.descriptor import BleakGATTDescriptor
from bleak.backends.device import BLEDevice
from bleak.backends.scanner import AdvertisementData, BaseBleakScanner
from bleak.backends.service import BleakGATTService, BleakGATTServiceCollection
from bleak.exc import BleakError
from bleak.uuids import normalize_uuid_str
from bumble import core, hci
from bumble.core import UUID
from bumble.device import Connection, ConnectionParametersPreferences, Device, DeviceConfiguration
from bumble.transport import open_transport

from host_tools.sim.air import air_host
from host_tools.sim.air.controller import SCAN_RSP, hand_over_values

ENVIRONMENT = "GATEHOUSE_AIR"
_MTU = 517  # what BlueZ asks for
_WISHES = ConnectionParametersPreferences(
    connection_interval_min=30.0, connection_interval_max=30.0, max_latency=0, supervision_timeout=4200
)
_FIELD_SHORT_NAME, _FIELD_NAME, _FIELD_TX_POWER, _FIELD_MANUFACTURER = 0x08, 0x09, 0x0A, 0xFF
_UUID_FIELDS = {0x02: 2, 0x03: 2, 0x04: 4, 0x05: 4, 0x06: 16, 0x07: 16}
_SERVICE_DATA_FIELDS = {0x16: 2, 0x20: 4, 0x21: 16}


def _uuid(raw: bytes) -> str:
    return normalize_uuid_str(bytes(reversed(raw)).hex() if len(raw) < 16 else str(UUID.from_bytes(raw)).lower())


class Adapter:
    """The program's Bluetooth adapter: one Bumble host per event loop, on one connection to the HCI port."""

    spec: ClassVar[str] = ""  # set by install()
    _of_loop: ClassVar[weakref.WeakKeyDictionary] = weakref.WeakKeyDictionary()

    def __init__(self, transport: Any, device: Device) -> None:
        self._transport = transport
        self.device = device
        self.turn = asyncio.Lock()  # connecting and switching the scan take turns
        self.scanners: set[AirScanner] = set()

    @classmethod
    async def get(cls) -> "Adapter":
        """The adapter of the running loop. Raises BleakError where there is no air."""
        loop = asyncio.get_running_loop()
        opening = cls._of_loop.get(loop)
        if opening is None or (opening.done() and (opening.cancelled() or opening.exception())):
            opening = cls._of_loop[loop] = asyncio.ensure_future(cls._open())
        adapter = await asyncio.shield(opening)
        if adapter._transport.source.terminated.done():
            del cls._of_loop[loop]
            raise BleakError("the simulated air is gone")
        return adapter

    @classmethod
    async def _open(cls) -> "Adapter":
        spec = cls.spec or os.environ.get(ENVIRONMENT, "")
        if not spec:
            raise BleakError(f"no simulated air: set {ENVIRONMENT}=tcp-client:HOST:PORT")
        try:
            transport = await open_transport(spec if spec.startswith("tcp-client:") else f"tcp-client:{spec}")
        except OSError as err:
            raise BleakError(f"no simulated air at {spec}: {err}") from err
        setup = DeviceConfiguration(name="host", address=hci.Address.generate_static_address())
        device = Device.from_config_with_hci(setup, transport.source, transport.sink)
        await device.power_on()
        adapter = cls(transport, device)
        device.host.on("advertising_report", adapter._on_report)
        return adapter

    def _on_report(self, report: hci.HCI_LE_Advertising_Report_Event.Report) -> None:
        for scanner in tuple(self.scanners):
            scanner.on_report(report)

    async def switch_scan(self) -> None:
        """Scan while anybody wants to; actively as soon as one of them does."""
        async with self.turn:
            if self.device.scanning:
                await self.device.stop_scanning(legacy=True)
            if self.scanners:
                is_active = any(scanner.is_active for scanner in self.scanners)
                await self.device.start_scanning(legacy=True, active=is_active, scan_interval=30, scan_window=30)

    async def connect(self, address: hci.Address, timeout_s: float) -> Connection:
        """Open a link. Raises TimeoutError, BleakError."""
        async with asyncio.timeout(timeout_s), self.turn:
            try:
                return await air_host.connect(self.device, address, _WISHES, timeout_s)
            except core.TimeoutError as err:
                raise TimeoutError(f"{address} does not answer") from err
            except (core.BaseBumbleError, hci.HCI_Error) as err:
                raise BleakError(f"connection failed: {err}") from err


class AirScanner(BaseBleakScanner):
    """bleak's scanner on the air."""

    def __init__(
        self, detection_callback: Callable | None, service_uuids: list[str] | None, scanning_mode: str, **_: Any
    ) -> None:
        super().__init__(detection_callback, service_uuids)
        self.is_active = scanning_mode != "passive"
        self._parts: dict[str, list[bytes]] = {}  # address -> [advertisement, scan response]
        self._adapter: Adapter | None = None

    async def start(self) -> None:
        self.seen_devices = {}
        self._parts = {}
        self._adapter = await Adapter.get()
        self._adapter.scanners.add(self)
        await self._adapter.switch_scan()

    async def stop(self) -> None:
        if self._adapter is not None:
            self._adapter.scanners.discard(self)
            await self._adapter.switch_scan()

    def on_report(self, report: hci.HCI_LE_Advertising_Report_Event.Report) -> None:
        """One report of the controller; a scan response completes the advertisement before it."""
        address = bytes(report.address)[::-1].hex(":").upper()
        parts = self._parts.setdefault(address, [b"", b""])
        parts[report.event_type == SCAN_RSP] = bytes(report.data)
        advert = _advertisement(core.AdvertisingData.from_bytes(b"".join(parts)), report.rssi)
        if self.is_allowed_uuid(advert.service_uuids):
            kind = int(report.address.address_type)
            device = self.create_or_update_device(address, address, advert.local_name, {"type": kind}, advert)
            self.call_detection_callbacks(device, advert)


def _advertisement(fields: core.AdvertisingData, rssi_dbm: int) -> AdvertisementData:
    name, power_dbm = None, None
    uuids: list[str] = []
    makers: dict[int, bytes] = {}
    services: dict[str, bytes] = {}
    for kind, value in fields.ad_structures:
        if kind == _FIELD_NAME or (kind == _FIELD_SHORT_NAME and name is None):
            name = value.decode("utf-8", "replace")
        elif kind == _FIELD_MANUFACTURER and len(value) >= 2:
            makers[value[0] | value[1] << 8] = value[2:]
        elif kind == _FIELD_TX_POWER and value:
            power_dbm = int.from_bytes(value[:1], "little", signed=True)
        elif kind in _UUID_FIELDS:
            size = _UUID_FIELDS[kind]
            uuids += [_uuid(value[at : at + size]) for at in range(0, len(value) - size + 1, size)]
        elif kind in _SERVICE_DATA_FIELDS and len(value) >= _SERVICE_DATA_FIELDS[kind]:
            size = _SERVICE_DATA_FIELDS[kind]
            services[_uuid(value[:size])] = value[size:]
    return AdvertisementData(name, makers, services, uuids, power_dbm, rssi_dbm, ())


class AirClient(BaseBleakClient):
    """bleak's client on the air."""

    def __init__(self, address_or_ble_device: BLEDevice | str, services: set[str] | None = None, **kwargs: Any) -> None:
        super().__init__(address_or_ble_device, **kwargs)
        details = getattr(address_or_ble_device, "details", None) or {}
        self._address = hci.Address(
            bytes.fromhex(self.address.replace(":", ""))[::-1], hci.AddressType(details.get("type", 0))
        )
        self._name = getattr(address_or_ble_device, "name", None)
        self._wanted = services
        self._link: Connection | None = None
        self._callbacks: dict[int, Callable[[bytearray], None]] = {}

    @property
    def name(self) -> str:
        return self._name or self.address

    @property
    def mtu_size(self) -> int:
        return self._link.att_mtu if self._link is not None else 23

    @property
    def is_connected(self) -> bool:
        return self._link is not None

    async def connect(self, pair: bool = False, **kwargs: Any) -> None:
        timeout_s = kwargs.get("timeout", self._timeout)
        adapter = await Adapter.get()
        async with asyncio.timeout(timeout_s):
            link = self._link = await adapter.connect(self._address, timeout_s)
            link.on("disconnection", lambda _reason: self._on_disconnection(link))
            hand_over_values(link, self._on_value, self._on_value)
            try:
                await self._run(link.gatt_client.request_mtu(_MTU))
                if pair:
                    await self.pair()
                await self._run(self._discover(link))
            except BaseException:
                await self.disconnect()
                raise

    def _on_value(self, handle: int, value: bytes) -> None:
        callback = self._callbacks.get(handle)
        if callback is not None:
            callback(bytearray(value))

    def _on_disconnection(self, link: Connection) -> None:
        if self._link is link:
            self._link = None
            self._callbacks.clear()
            if self._disconnected_callback is not None:
                self._disconnected_callback()

    async def _run(self, procedure: Coroutine) -> Any:
        """Await one procedure of the link. When the link ends, Bumble cancels it, which must not cancel our caller."""
        if self._link is None:
            procedure.close()
            raise BleakError("Not connected")
        task = asyncio.ensure_future(procedure)
        try:
            await asyncio.wait((task,))
        except asyncio.CancelledError:
            task.cancel()
            raise
        if task.cancelled():
            raise BleakError("disconnected")
        err = task.exception()
        if isinstance(err, (core.BaseBumbleError, hci.HCI_Error)):
            raise BleakError(str(err)) from err
        return task.result()

    async def _discover(self, link: Connection) -> None:
        client = link.gatt_client
        services = BleakGATTServiceCollection()
        for service in await client.discover_services():
            uuid = _uuid(service.uuid.to_bytes())
            if self._wanted and uuid not in self._wanted:
                continue
            made = BleakGATTService(None, service.handle, uuid)
            services.add_service(made)
            for each in await client.discover_characteristics((), service):
                char = BleakGATTCharacteristic(
                    None,
                    each.handle,
                    _uuid(each.uuid.to_bytes()),
                    list(gatt_char_props_to_strs(int(each.properties))),
                    lambda: link.att_mtu - 3,
                    made,
                )
                services.add_characteristic(char)
                if each.end_group_handle > each.handle:
                    for one in await client.discover_descriptors(each):
                        descriptor = BleakGATTDescriptor(None, one.handle, _uuid(one.type.to_bytes()), char)
                        services.add_descriptor(descriptor)
        self.services = services

    async def disconnect(self) -> None:
        link = self._link
        if link is None:
            return
        try:
            await link.disconnect()
        except (core.BaseBumbleError, hci.HCI_Error):
            pass  # it went by itself meanwhile
        self._on_disconnection(link)

    async def pair(self, *_args: Any, **_kwargs: Any) -> None:
        if self._link is None:
            raise BleakError("Not connected")
        await self._run(self._link.pair())

    async def unpair(self) -> None:
        keys = (await Adapter.get()).device.keystore
        if keys is not None:
            await keys.delete(str(self._address))

    # --- values
    async def _read(self, handle: int) -> bytearray:
        if self._link is None:
            raise BleakError("Not connected")
        return bytearray(await self._run(self._link.gatt_client.read_value(handle)))

    async def _write(self, handle: int, value: Any, response: bool) -> None:
        if self._link is None:
            raise BleakError("Not connected")
        await self._run(self._link.gatt_client.write_value(handle, bytes(value), response))

    async def read_gatt_char(self, characteristic: BleakGATTCharacteristic, **_: Any) -> bytearray:
        return await self._read(characteristic.handle)

    async def read_gatt_descriptor(self, descriptor: BleakGATTDescriptor, **_: Any) -> bytearray:
        return await self._read(descriptor.handle)

    async def write_gatt_char(self, characteristic: BleakGATTCharacteristic, data: Any, response: bool) -> None:
        await self._write(characteristic.handle, data, response)

    async def write_gatt_descriptor(self, descriptor: BleakGATTDescriptor, data: Any) -> None:
        await self._write(descriptor.handle, data, True)

    async def start_notify(self, characteristic: BleakGATTCharacteristic, callback: Callable, **_: Any) -> None:
        self._callbacks[characteristic.handle] = callback
        await self._subscribe(characteristic, b"\1\0" if "notify" in characteristic.properties else b"\2\0")

    async def stop_notify(self, characteristic: BleakGATTCharacteristic) -> None:
        self._callbacks.pop(characteristic.handle, None)
        await self._subscribe(characteristic, b"\0\0")

    async def _subscribe(self, characteristic: BleakGATTCharacteristic, value: bytes) -> None:
        cccd = characteristic.get_descriptor("00002902-0000-1000-8000-00805f9b34fb")
        if cccd is None:
            raise BleakError(f"{characteristic.uuid} has no client configuration")
        await self._write(cccd.handle, value, True)


def install(air: int | str | None = None) -> None:
    """Make the air bleak's default backend.

    `air`: HCI port, HOST:PORT or a Bumble transport; None leaves it to GATEHOUSE_AIR.
    """
    if air is not None:
        Adapter.spec = f"127.0.0.1:{air}" if isinstance(air, int) else air
    bleak.get_platform_client_backend_type = lambda: (AirClient, "air")  # type: ignore[assignment,return-value]
    bleak.get_platform_scanner_backend_type = lambda: (AirScanner, "air")  # type: ignore[assignment,return-value]
