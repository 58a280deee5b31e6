"""GAP of one simulated board: advertising, scanning, links, pairing.

Events carry MicroPython's IRQ numbers and tuples.
"""

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

from bumble import core, hci
from bumble.device import AdvertisingType, Connection, ConnectionParametersPreferences, Device
from bumble.keys import PairingKeys

from host_tools.sim.controller import hand_over_values
from host_tools.sim.errno_words import EALREADY, EBUSY, EIO, ENOTCONN, EOPNOTSUPP, BoardError

if TYPE_CHECKING:
    from host_tools.sim.board_session import Session

_IRQ_CENTRAL_CONNECT, _IRQ_CENTRAL_DISCONNECT = 1, 2
_IRQ_SCAN_RESULT, _IRQ_SCAN_DONE = 5, 6
_IRQ_PERIPHERAL_CONNECT, _IRQ_PERIPHERAL_DISCONNECT = 7, 8
_IRQ_GATTC_NOTIFY, _IRQ_GATTC_INDICATE = 18, 19
_IRQ_MTU_EXCHANGED = 21
_IRQ_CONNECTION_UPDATE, _IRQ_ENCRYPTION_UPDATE = 27, 28
_NO_LINK = 0xFFFF, 0xFF, b"\xff" * 6  # what a failed gap_connect reports
_SUPERVISION_MS = 2560  # NimBLE's default in MicroPython
_INTERVAL_MS = 30.0, 50.0  # NimBLE's default connection interval


def printed(address: hci.Address) -> bytes:
    """An address in printed order."""
    return bytes(address)[::-1]


class Gap:
    """What gap_advertise, gap_scan, gap_connect, gap_disconnect and gap_pair ask for."""

    def __init__(self, session: "Session") -> None:
        self._session = session
        self._scan_end: asyncio.TimerHandle | None = None
        self._connecting: asyncio.Task | None = None

    def commands(self) -> dict[str, Callable]:
        return {
            "adv": self.advertise,
            "adv_stop": self.stop_advertising,
            "scan": self.scan,
            "scan_stop": self.stop_scan,
            "connect": self.connect,
            "connect_cancel": self.cancel_connect,
            "disconnect": self.disconnect,
            "pair": self.pair,
            "passkey": self.passkey,
        }

    @property
    def _device(self) -> Device:
        device = self._session.device
        assert device is not None  # commands are refused while the radio is off
        return device

    def watch(self, device: Device) -> None:
        """Follow a radio that has just been switched on."""
        device.on("connection", self._on_connection)
        device.host.on("advertising_report", self._on_report)

    def reset(self) -> None:
        """The radio went off."""
        if self._scan_end is not None:
            self._scan_end.cancel()
        self._scan_end = self._connecting = None  # the task itself belongs to the session

    # --- advertising and scanning
    async def advertise(self, interval_us: int, payload: bytes, response: bytes, connectable: bool) -> None:
        # NimBLE sends ADV_SCAN_IND for MicroPython's connectable=False
        kind = AdvertisingType.UNDIRECTED_CONNECTABLE_SCANNABLE if connectable else AdvertisingType.UNDIRECTED_SCANNABLE
        await self._device.stop_advertising()
        await self._device.start_advertising(
            advertising_type=kind,
            own_address_type=hci.OwnAddressType.PUBLIC,
            advertising_data=payload,
            scan_response_data=response,
            advertising_interval_min=interval_us / 1000,
            advertising_interval_max=interval_us / 1000,
        )

    async def stop_advertising(self) -> None:
        await self._device.stop_advertising()

    async def scan(self, duration_ms: int, interval_us: int, window_us: int, active: bool) -> None:
        if self._connecting is not None:
            raise BoardError(EBUSY)
        if self._device.scanning:
            raise BoardError(EALREADY)
        interval_ms, window_ms = (min(10240.0, max(2.5, us / 1000)) for us in (interval_us, window_us))
        await self._device.start_scanning(
            legacy=True, active=active, scan_interval=interval_ms, scan_window=min(window_ms, interval_ms)
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

    def _on_report(self, report: hci.HCI_LE_Advertising_Report_Event.Report) -> None:
        if self._session.is_behind:
            return
        address = report.address
        where = int(address.address_type), printed(address)
        self._session.emit(_IRQ_SCAN_RESULT, *where, int(report.event_type), report.rssi, bytes(report.data))

    # --- links
    async def connect(self, kind: int, address: bytes, scan_ms: int, min_us: int, max_us: int) -> None:
        if self._connecting is not None:
            raise BoardError(EALREADY)
        if self._device.scanning:
            raise BoardError(EBUSY)
        peer = hci.Address(address[::-1], hci.AddressType(kind))
        if any(each.peer_address == peer for each in self._device.connections.values()):
            raise BoardError(EIO)  # BLE_HS_EDONE
        low_ms = min_us / 1000 if min_us else max_us / 1000 if max_us else _INTERVAL_MS[0]
        high_ms = max_us / 1000 if max_us else min_us / 1000 if min_us else _INTERVAL_MS[1]
        wishes = ConnectionParametersPreferences(
            connection_interval_min=low_ms,
            connection_interval_max=max(low_ms, high_ms),
            max_latency=0,
            supervision_timeout=_SUPERVISION_MS,
        )
        self._connecting = self._session.spawn(self._connect(peer, scan_ms / 1000, wishes))

    async def _connect(self, peer: hci.Address, wait_s: float, wishes: ConnectionParametersPreferences) -> None:
        me = asyncio.current_task()
        try:
            await self._device.connect_le(
                peer, {hci.Phy.LE_1M: wishes}, own_address_type=hci.OwnAddressType.PUBLIC, timeout=wait_s
            )
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
        peer = int(link.peer_address.address_type), printed(link.peer_address)

        def on_disconnection(_reason: int) -> None:
            session.emit(_IRQ_PERIPHERAL_DISCONNECT if is_central else _IRQ_CENTRAL_DISCONNECT, handle, *peer)

        def on_update() -> None:
            now = link.parameters
            interval = round(now.connection_interval / 1.25)
            timeout = round(now.supervision_timeout / 10)
            session.emit(_IRQ_CONNECTION_UPDATE, handle, interval, now.peripheral_latency, timeout, 0)

        session.emit(_IRQ_PERIPHERAL_CONNECT if is_central else _IRQ_CENTRAL_CONNECT, handle, *peer)
        link.on("disconnection", on_disconnection)
        link.on("connection_parameters_update", on_update)
        link.on("connection_att_mtu_update", lambda: session.emit(_IRQ_MTU_EXCHANGED, handle, link.att_mtu))
        hand_over_values(
            link,
            lambda at, value: session.emit(_IRQ_GATTC_NOTIFY, handle, at, value),
            lambda at, value: session.emit(_IRQ_GATTC_INDICATE, handle, at, value),
        )
        self._watch_encryption(link)

    def link(self, handle: int) -> Connection:
        """The link with this handle. Raises BoardError(ENOTCONN)."""
        link = self._session.device.connections.get(handle) if self._session.device else None
        if link is None:
            raise BoardError(ENOTCONN)
        return link

    async def disconnect(self, handle: int) -> list:
        link = self._device.connections.get(handle)
        if link is None:
            return [False]
        self._session.spawn(self._disconnect(link))
        return [True]

    @staticmethod
    async def _disconnect(link: Connection) -> None:
        try:
            await link.disconnect()
        except (core.BaseBumbleError, hci.HCI_Error):
            pass  # it went by itself meanwhile, which its own event reports

    # --- pairing
    def _watch_encryption(self, link: Connection) -> None:
        is_pairing = False

        def report(is_bonded: bool = False, is_authenticated: bool = False) -> None:
            is_on = bool(link.encryption)
            flags = int(is_on), int(is_authenticated), int(is_bonded), 16 if is_on else 0
            self._session.emit(_IRQ_ENCRYPTION_UPDATE, link.handle, *flags)

        def on_start() -> None:
            nonlocal is_pairing
            is_pairing = True

        def on_paired(keys: PairingKeys) -> None:
            nonlocal is_pairing
            is_pairing = False
            key = keys.ltk or keys.ltk_peripheral or keys.ltk_central
            report(bool(self._session.settings.get("bond")), bool(key and key.authenticated))

        def on_failure(_reason: int) -> None:
            nonlocal is_pairing
            is_pairing = False
            report()

        def on_encryption() -> None:
            if not is_pairing:  # with the key of an earlier bond
                report(is_bonded=True)

        link.on("pairing_start", on_start)
        link.on("pairing", on_paired)
        link.on("pairing_failure", on_failure)
        link.on("connection_encryption_change", on_encryption)

    async def pair(self, handle: int) -> None:
        self._session.spawn(self._pair(self.link(handle)))

    @staticmethod
    async def _pair(link: Connection) -> None:
        try:
            await link.pair()
        except (core.BaseBumbleError, hci.HCI_Error):
            pass  # the pairing_failure event has reported it

    def passkey(self, handle: int, _action: int, _passkey: int) -> None:
        self.link(handle)
        raise BoardError(EOPNOTSUPP)  # no passkey was asked for: this radio pairs without one
