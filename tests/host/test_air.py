"""The air by itself: what its profiles do to packets and attempts to connect. Bumble hosts in this process, no board."""

import asyncio

import pytest
from bumble import hci
from bumble.device import AdvertisingType, ConnectionParametersPreferences, Device, DeviceConfiguration
from bumble.host import Host
from bumble.transport.common import AsyncPipeSink

from host_tools.sim.air import PROFILES, Air
from host_tools.sim.controller import RadioController
from host_tools.sim.radio import parse_address

LOCK, PHONE = "24:0a:c4:00:00:12", "24:0a:c4:00:00:22"
INTERVAL_MS = 7.5


async def host(air: Air, mac: str) -> Device:
    """A Bumble host with a radio of its own on the air."""
    chip = RadioController(mac, air, parse_address(mac))
    setup = DeviceConfiguration(name=mac, address=hci.Address.generate_static_address())
    device = Device(config=setup, host=Host(chip, AsyncPipeSink(chip)))
    await device.power_on()
    return device


async def advertise(device: Device, interval_ms: float = 20.0) -> None:
    await device.start_advertising(
        advertising_type=AdvertisingType.UNDIRECTED_CONNECTABLE_SCANNABLE,
        own_address_type=hci.OwnAddressType.PUBLIC,
        advertising_data=b"\x02\x01\x06",
        auto_restart=True,
        advertising_interval_min=interval_ms,
        advertising_interval_max=interval_ms,
    )


async def attempt(device: Device, mac: str = LOCK) -> tuple[int | None, float]:
    """One connection attempt: the reason of its early end, or None, and how long the link lived."""
    loop = asyncio.get_running_loop()
    wishes = ConnectionParametersPreferences(
        connection_interval_min=INTERVAL_MS, connection_interval_max=INTERVAL_MS, supervision_timeout=2000
    )
    link = await device.connect_le(
        parse_address(mac), {hci.Phy.LE_1M: wishes}, own_address_type=hci.OwnAddressType.PUBLIC, timeout=5
    )
    began_s = loop.time()
    ended: asyncio.Future[int] = loop.create_future()
    link.on("disconnection", lambda reason: ended.done() or ended.set_result(reason))
    try:
        return await asyncio.wait_for(asyncio.shield(ended), 8 * INTERVAL_MS / 1000), loop.time() - began_s
    except TimeoutError:
        await link.disconnect()
        return None, 0.0


def test_bad_air_fails_half_of_the_attempts_after_six_intervals() -> None:
    async def story() -> None:
        air = Air(3, "bad")
        lock, phone = await host(air, LOCK), await host(air, PHONE)
        await advertise(lock)
        tries = 60
        ended = []
        for _ in range(tries):
            reason, lived_s = await attempt(phone)
            if reason is not None:
                assert reason == hci.HCI_ErrorCode.CONNECTION_FAILED_TO_BE_ESTABLISHED_ERROR
                assert lived_s > 5.9 * INTERVAL_MS / 1000
                ended.append(lived_s)
        assert 0.3 * tries < len(ended) < 0.7 * tries
        assert not air.links

    asyncio.run(story())


@pytest.mark.parametrize("profile, chance", [("ideal", 0.0), ("home", 0.05), ("bad", 0.2)])
def test_profiles_lose_as_many_packets_as_they_say(profile: str, chance: float) -> None:
    async def story() -> None:
        assert PROFILES[profile].packet_loss == PROFILES[profile].advert_loss == chance
        air = Air(1, profile)
        pair = parse_address(LOCK), parse_address(PHONE)
        lost = sum(air.loses("data", air.profile.packet_loss, *pair) for _ in range(2000))
        assert abs(lost - 2000 * chance) <= 60

    asyncio.run(story())
