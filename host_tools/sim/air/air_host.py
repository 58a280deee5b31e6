"""Bumble hosts inside the site's process: what boards, foreign devices, squatters and crowds run on.

Owns what Bumble's host does badly: its log of every packet, and attempts to connect that are cancelled.
"""

import asyncio
import contextlib

from bumble import core, hci
from bumble.device import AdvertisingType, Connection, ConnectionParametersPreferences, Device, DeviceConfiguration
from bumble.host import Host
from bumble.transport.common import AsyncPipeSink

from host_tools.sim.air.air import Air, parse_address
from host_tools.sim.air.controller import RadioController

_END_S = 2.0


class QuietHost(Host):
    """Does what Host does with a packet, without the log and the snooper.

    Bumble 0.0.236 writes out each HCI packet four times on its way, in colours, also while its log is silent: 40 % of
    the work of an air full of advertisements.
    """

    def send_hci_packet(self, packet: hci.HCI_Packet) -> None:
        """To the controller."""
        if self.hci_sink:
            self.hci_sink.on_packet(bytes(packet))

    def on_hci_packet(self, packet: hci.HCI_Packet) -> None:
        """From the controller: events and data are all that ours sends."""
        if isinstance(packet, hci.HCI_Event):
            self.on_hci_event_packet(packet)
        elif isinstance(packet, hci.HCI_AclDataPacket):
            self.on_hci_acl_data_packet(packet)
        else:
            super().on_hci_packet(packet)


async def connect(
    device: Device, address: hci.Address, preferences: ConnectionParametersPreferences, timeout_s: float
) -> Connection:
    """One attempt from the public address. Raises Bumble's errors. When cancelled, nothing is left behind.

    Bumble 0.0.236 gives an attempt back to the controller when its own time-out passes, but not when the task that
    waits is cancelled: the controller goes on initiating, refuses every later attempt (COMMAND_DISALLOWED), and keeps a
    link that comes after all.
    """
    attempt = asyncio.ensure_future(
        device.connect_le(
            address, {hci.Phy.LE_1M: preferences}, own_address_type=hci.OwnAddressType.PUBLIC, timeout=timeout_s
        )
    )
    try:
        return await asyncio.shield(attempt)
    except asyncio.CancelledError:
        attempt.add_done_callback(_drop)
        if not attempt.done():
            with contextlib.suppress(hci.HCI_Error, core.BaseBumbleError):
                await device.send_sync_command(hci.HCI_LE_Create_Connection_Cancel_Command())
            await asyncio.wait((attempt,), timeout=_END_S)
        raise


def _drop(attempt: asyncio.Future) -> None:
    """End the link of an attempt that nobody waits for."""
    if not attempt.cancelled() and attempt.exception() is None:
        asyncio.ensure_future(_disconnect(attempt.result()))


async def _disconnect(link: Connection) -> None:
    with contextlib.suppress(hci.HCI_Error, core.BaseBumbleError):
        await link.disconnect()


class AirHost:
    """`device` is Bumble's, with all it can do; here are the ways of a plain host. `mac` as in `parse_address`.

    `is_bare`: without the GAP and GATT services that Bumble would add, so that the database is the caller's alone.
    """

    def __init__(self, air: Air, mac: str, name: str = "host", is_bare: bool = False) -> None:
        self.address = parse_address(mac)
        self.chip = RadioController(name, air, self.address)
        setup = DeviceConfiguration(
            name=name,
            address=hci.Address.generate_static_address(),
            gap_service_enabled=not is_bare,
            gatt_service_enabled=not is_bare,
        )
        self.device = Device(config=setup, host=QuietHost(self.chip, AsyncPipeSink(self.chip)))

    async def start(self) -> "AirHost":
        """Switch the radio on."""
        await self.device.power_on()
        return self

    def stop(self) -> None:
        """Power off, in the middle of anything."""
        self.chip.power_off()

    async def advertise(self, interval_ms: float, data: bytes = b"\x02\x01\x06", response: bytes = b"") -> None:
        """Advertise connectable, again after each link."""
        await self.device.start_advertising(
            advertising_type=AdvertisingType.UNDIRECTED_CONNECTABLE_SCANNABLE,
            own_address_type=hci.OwnAddressType.PUBLIC,
            advertising_data=data,
            scan_response_data=response,
            auto_restart=True,
            advertising_interval_min=interval_ms,
            advertising_interval_max=interval_ms,
        )

    async def connect(
        self, mac: str, timeout_s: float, interval_ms: float = 30.0, supervision_ms: int = 2000
    ) -> Connection:
        """One attempt; a link that fails with 0x3E is returned first, as chips do. Raises Bumble's errors."""
        preferences = ConnectionParametersPreferences(
            connection_interval_min=interval_ms, connection_interval_max=interval_ms, supervision_timeout=supervision_ms
        )
        return await connect(self.device, parse_address(mac), preferences, timeout_s)
