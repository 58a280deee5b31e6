"""A Bumble host with a radio of its own on the air, inside the site's process: foreign devices, squatters, crowds."""

from bumble import hci
from bumble.device import AdvertisingType, Connection, ConnectionParametersPreferences, Device, DeviceConfiguration
from bumble.transport.common import AsyncPipeSink

from host_tools.sim.air import attempt
from host_tools.sim.air.air import Air, parse_address
from host_tools.sim.air.controller import RadioController
from host_tools.sim.air.quiet_host import QuietHost


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
        """Power off: silence, whatever it was doing."""
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
        return await attempt.connect(self.device, parse_address(mac), preferences, timeout_s)
