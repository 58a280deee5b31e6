"""GAP of one simulated board: advertising, scanning, links. Pairing is `pairing.py`.

Events carry MicroPython's IRQ numbers and tuples; refusals are those of NimBLE's host and of the chip below it.
"""

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

from bumble import core, hci
from bumble.device import AdvertisingType, Connection, ConnectionParametersPreferences, Device

from host_tools.sim.air.controller import hand_over_values
from host_tools.sim.ble.errno_words import (
    EALREADY,
    EBUSY,
    EINVAL,
    EIO,
    ENOMEM,
    ENOTCONN,
    HCI_INVALID_PARAMETERS,
    BoardError,
)
from host_tools.sim.ble.identity import printed

if TYPE_CHECKING:
    from host_tools.sim.ble.session import Session

_IRQ_CENTRAL_CONNECT, _IRQ_CENTRAL_DISCONNECT = 1, 2
_IRQ_SCAN_RESULT, _IRQ_SCAN_DONE = 5, 6
_IRQ_PERIPHERAL_CONNECT, _IRQ_PERIPHERAL_DISCONNECT = 7, 8
_IRQ_GATTC_NOTIFY, _IRQ_GATTC_INDICATE = 18, 19
_IRQ_MTU_EXCHANGED = 21
_IRQ_CONNECTION_UPDATE = 27
_NO_LINK = 0xFFFF, 0xFF, bytes(6)  # what a failed gap_connect reports
_LINKS = 3  # the ESP32's radio carries no more
_ADVERT_LEN = 31
_SUPERVISION_MS = 2560  # NimBLE's default in MicroPython
_CONNECT_MS = 30000  # NimBLE's default, for a scan duration of 0
_TERMINATE_S = 0.0075  # the shortest connection interval: LL_TERMINATE_IND waits for its event even on an ideal air
_SLOT_US, _UNIT_US = 625, 1250  # of advertising and scanning; of connection intervals
_ADVERT_UNITS = 0x20, 0x4000
_ADVERT_DEFAULTS = {True: (48, 96), False: (160, 240)}  # connectable or not: NimBLE's choice for an interval of 0
_SCAN_UNITS = 0x04, 0x4000
_LINK_UNITS = 6, 3200
_LINK_DEFAULTS = 24, 40  # 30 ms, 50 ms


class Gap:
    """What gap_advertise, gap_scan, gap_connect and gap_disconnect ask for."""

    def __init__(self, session: "Session") -> None:
        self._session = session
        self._scan_end: asyncio.TimerHandle | None = None
        self._connecting: asyncio.Task | None = None
        self._terminating: set[Connection] = set()
        self._advert = self._response = b""  # the chip keeps them until it is reset

    def commands(self) -> dict[str, Callable]:
        return {
            "adv": self.advertise,
            "adv_stop": self.stop_advertising,
            "scan": self.scan,
            "scan_stop": self.stop_scan,
            "connect": self.connect,
            "connect_cancel": self.cancel_connect,
            "disconnect": self.disconnect,
        }

    @property
    def _device(self) -> Device:
        device = self._session.device
        assert device is not None  # commands are refused while the radio is off
        return device

    def watch(self, device: Device) -> None:
        """Follow a radio that has just been switched on."""
        device.on("connection", self._on_connection)

    def reset(self) -> None:
        """The radio went off."""
        if self._scan_end is not None:
            self._scan_end.cancel()
        self._scan_end = self._connecting = None  # the task itself belongs to the session
        self._terminating.clear()
        self._advert = self._response = b""

    @property
    def is_busy(self) -> bool:
        """Advertising, scanning, connecting or connected: the services cannot be replaced now."""
        device = self._device
        return bool(device.is_advertising or device.scanning or self._connecting is not None or device.connections)

    def _has_room(self) -> bool:
        return len(self._device.connections) < _LINKS

    # --- advertising and scanning
    async def advertise(
        self, interval_us: int, payload: bytes | None, response: bytes | None, connectable: bool
    ) -> None:
        """None keeps what was advertised before."""
        await self._device.stop_advertising()
        for given in (payload, response):
            if given is not None and len(given) > _ADVERT_LEN:
                raise BoardError(EINVAL)
        self._advert = self._advert if payload is None else payload
        self._response = self._response if response is None else response
        if connectable and not self._has_room():
            raise BoardError(ENOMEM)
        units = interval_us // _SLOT_US
        low, high = (units, units) if units else _ADVERT_DEFAULTS[connectable]
        if not _ADVERT_UNITS[0] <= low <= high <= _ADVERT_UNITS[1]:
            raise BoardError(HCI_INVALID_PARAMETERS)
        # NimBLE sends ADV_SCAN_IND for MicroPython's connectable=False
        kind = AdvertisingType.UNDIRECTED_CONNECTABLE_SCANNABLE if connectable else AdvertisingType.UNDIRECTED_SCANNABLE
        await self._session.identity.refresh()
        await self._device.start_advertising(
            advertising_type=kind,
            own_address_type=self._session.identity.own_type,
            advertising_data=self._advert,
            scan_response_data=self._response,
            advertising_interval_min=low * _SLOT_US / 1000,
            advertising_interval_max=high * _SLOT_US / 1000,
        )

    async def stop_advertising(self) -> None:
        await self._device.stop_advertising()

    async def scan(self, duration_ms: int, interval_us: int, window_us: int, active: bool) -> None:
        if self._connecting is not None:
            raise BoardError(EBUSY)
        if self._device.scanning:
            raise BoardError(EALREADY)
        interval, window = (max(_SCAN_UNITS[0], min(_SCAN_UNITS[1], us // _SLOT_US)) for us in (interval_us, window_us))
        if window > interval:
            raise BoardError(HCI_INVALID_PARAMETERS)
        await self._session.identity.refresh()
        await self._device.start_scanning(
            legacy=True,
            active=active,
            own_address_type=self._session.identity.own_type,
            scan_interval=interval * _SLOT_US / 1000,
            scan_window=window * _SLOT_US / 1000,
        )
        if duration_ms:
            loop = asyncio.get_running_loop()
            self._scan_end = loop.call_later(duration_ms / 1000, lambda: self._session.spawn(self.stop_scan()))

    async def stop_scan(self) -> None:
        if self._scan_end is not None:
            self._scan_end.cancel()
            self._scan_end = None
        if self._session.device is not None and self._device.scanning:
            await self._device.stop_scanning(legacy=True)
            self._session.emit(_IRQ_SCAN_DONE)

    def on_report(self, report: hci.HCI_LE_Advertising_Report_Event.Report) -> None:
        """One report of the controller."""
        if self._session.is_behind:
            return
        address = report.address
        where = int(address.address_type), printed(address)
        self._session.emit(_IRQ_SCAN_RESULT, *where, int(report.event_type), report.rssi, bytes(report.data))

    # --- links
    async def connect(self, kind: int, address: bytes, scan_ms: int, min_us: int, max_us: int) -> None:
        await self.stop_scan()  # MicroPython ends a scan that is under way
        if self._connecting is not None:
            raise BoardError(EALREADY)
        if not self._has_room():
            raise BoardError(ENOMEM)
        if not 0 <= kind <= 3 or scan_ms < 0:
            raise BoardError(EINVAL)
        peer = hci.Address(address[::-1], hci.AddressType(kind & 1))
        if any(each.peer_address == peer for each in self._device.connections.values()):
            raise BoardError(EIO)  # BLE_HS_EDONE
        low = min_us // _UNIT_US if min_us else _LINK_DEFAULTS[0]
        high = max_us // _UNIT_US if max_us else _LINK_DEFAULTS[1]
        if not _LINK_UNITS[0] <= low <= high <= _LINK_UNITS[1] or high * _UNIT_US * 2 >= _SUPERVISION_MS * 1000:
            raise BoardError(HCI_INVALID_PARAMETERS)
        preferences = ConnectionParametersPreferences(
            connection_interval_min=low * _UNIT_US / 1000,
            connection_interval_max=high * _UNIT_US / 1000,
            max_latency=0,
            supervision_timeout=_SUPERVISION_MS,
        )
        await self._session.identity.refresh()
        self._connecting = self._session.spawn(self._connect(peer, (scan_ms or _CONNECT_MS) / 1000, preferences))

    async def _connect(self, peer: hci.Address, wait_s: float, preferences: ConnectionParametersPreferences) -> None:
        me = asyncio.current_task()
        own_type = self._session.identity.own_type
        try:
            await self._device.connect_le(peer, {hci.Phy.LE_1M: preferences}, own_address_type=own_type, timeout=wait_s)
        except (core.BaseBumbleError, hci.HCI_Error):  # timed out, cancelled or refused
            self._session.emit(_IRQ_PERIPHERAL_DISCONNECT, *_NO_LINK)
        finally:
            if self._connecting is me:
                self._connecting = None

    async def cancel_connect(self) -> None:
        if self._connecting is None:
            raise BoardError(EALREADY)
        await self._device.send_sync_command(hci.HCI_LE_Create_Connection_Cancel_Command())

    def _on_connection(self, link: Connection) -> None:
        session = self._session
        is_central = link.role == hci.Role.CENTRAL
        if is_central:
            self._connecting = None  # a new gap_connect is allowed from the event on
        handle = link.handle

        def peer() -> tuple[int, bytes]:  # by its identity, once that is known
            return int(link.peer_address.address_type) & 1, printed(link.peer_address)

        def on_disconnection(_reason: int) -> None:
            self._terminating.discard(link)
            session.pairing.link_lost(link)
            session.server.link_lost(link)
            session.client.link_lost(link)
            session.emit(_IRQ_PERIPHERAL_DISCONNECT if is_central else _IRQ_CENTRAL_DISCONNECT, handle, *peer())

        def on_update() -> None:
            now = link.parameters
            interval = round(now.connection_interval / 1.25)
            timeout = round(now.supervision_timeout / 10)
            session.emit(_IRQ_CONNECTION_UPDATE, handle, interval, now.peripheral_latency, timeout, 0)

        def on_mtu() -> None:
            session.client.mtu_exchanged(link)
            session.emit(_IRQ_MTU_EXCHANGED, handle, link.att_mtu)

        session.emit(_IRQ_PERIPHERAL_CONNECT if is_central else _IRQ_CENTRAL_CONNECT, handle, *peer())
        link.on("disconnection", on_disconnection)
        link.on("connection_parameters_update", on_update)
        link.on("connection_att_mtu_update", on_mtu)
        hand_over_values(
            link,
            lambda at, value: session.emit(_IRQ_GATTC_NOTIFY, handle, at, value),
            lambda at, value: session.emit(_IRQ_GATTC_INDICATE, handle, at, value),
        )
        session.pairing.watch(link)

    def link(self, handle: int) -> Connection:
        """The link with this handle. Raises BoardError(ENOTCONN)."""
        link = self._session.device.connections.get(handle) if self._session.device else None
        if link is None:
            raise BoardError(ENOTCONN)
        return link

    def disconnect(self, handle: int) -> None:
        link = self.link(handle)
        if link in self._terminating:
            raise BoardError(EALREADY)
        self._session.spawn(self.terminate(link))

    async def terminate(self, link: Connection) -> None:
        """End a link."""
        self._terminating.add(link)
        await asyncio.sleep(_TERMINATE_S)
        try:
            await link.disconnect()
        except (core.BaseBumbleError, hci.HCI_Error):
            pass  # it went by itself meanwhile, which its own event reports
