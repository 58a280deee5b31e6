"""Locks in this computer's radio range: what each advertises, how near it is, whether it can be added.

Owns scanning (bleak) and what an advertisement is called. Leaves connecting to `lock_link`. Source: lock-ble-link.md 2;
domain.md "Manual 2.1 Lock adding".
"""

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import dataclass

from bleak import BleakScanner
from bleak.backends.device import BLEDevice
from bleak.exc import BleakError

from firmware.lib import advert
from host_tools.errors import HostError
from host_tools.text import tidy

OWN_PREFIX = "GH1_"
STRONG_DBM, MEDIUM_DBM = -75, -85

# lock-ble-link.md 2.6
_SCENES = {4: "glass door", 5: "safe", 6: "bicycle", 7: "parking", 8: "padlock", 9: "cylinder", 10: "remote control"}
_SCENES[11] = "safe"


@dataclass
class Sighting:
    """A lock as its last advertisement showed it."""

    device: BLEDevice
    mac: str
    name: str
    advert: advert.Advert
    rssi_dbm: int

    @property
    def is_ours(self) -> bool:
        """Whether the lock runs our firmware, by its name."""
        return self.name.startswith(OWN_PREFIX)

    @property
    def kind(self) -> str:
        """What the lock is on, by its scene number."""
        scene = self.advert.scene
        return _SCENES.get(scene, "door" if scene <= 3 else "unknown")

    @property
    def strength(self) -> str:
        return strength(self.rssi_dbm)

    def to_json(self) -> dict:
        """One row of `gatehouse scan`."""
        seen = self.advert
        return {
            "mac": self.mac,
            "name": self.name,
            "scene": seen.scene,
            "battery": seen.battery,
            "rssi_dbm": self.rssi_dbm,
            "can_be_added": seen.settable,
            "touched": seen.touched,
            "kind": self.kind,
            "strength": self.strength,
        }


def strength(rssi_dbm: int) -> str:
    """strong, medium or weak."""
    return "strong" if rssi_dbm >= STRONG_DBM else "medium" if rssi_dbm >= MEDIUM_DBM else "weak"


def decode(device, data, kinds: tuple[str, ...] = ("v3",)) -> Sighting | None:
    """bleak's advertisement -> Sighting, or None when it is not of a lock of these kinds."""
    for company, rest in data.manufacturer_data.items():
        seen = advert.decode_manufacturer(company.to_bytes(2, "little") + rest)
        if seen and seen.kind in kinds and seen.address:
            return Sighting(device, seen.address.hex(":"), tidy(data.local_name or device.name), seen, data.rssi)
    return None


async def _listen(on_sighting: Callable[[Sighting], bool], timeout_s: float, kinds: tuple[str, ...] = ("v3",)) -> None:
    """Call `on_sighting` for each advertisement until it returns True, or for `timeout_s`."""
    is_done = asyncio.Event()

    def receive(device, data) -> None:
        sighting = decode(device, data, kinds)
        if sighting and on_sighting(sighting):
            is_done.set()

    try:
        async with BleakScanner(receive):
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(is_done.wait(), timeout_s)
    except BleakError as err:
        raise HostError("link", "cannot scan: %s" % err, "switch this computer's Bluetooth on (sim: set GATEHOUSE_AIR)")


async def scan(wanted: Callable[[Sighting], bool], timeout_s: float) -> Sighting | None:
    """The first lock for which `wanted` is true, or None after `timeout_s`."""
    result: list[Sighting] = []

    def check(sighting: Sighting) -> bool:
        if not result and wanted(sighting):
            result.append(sighting)
        return bool(result)

    await _listen(check, timeout_s)
    return result[0] if result else None


async def find(mac: str, name: str, timeout_s: float = 20, todo: str = "go nearer and touch it") -> Sighting:
    """The lock of an address, or HostError `not_near`."""
    sighting = await scan(lambda each: each.mac == mac, timeout_s)
    if sighting is None:
        raise HostError("not_near", "%s was not heard for %d s" % (name, timeout_s), todo)
    return sighting


async def scan_all(
    timeout_s: float, is_enough: Callable[[dict[str, Sighting]], bool] = lambda by_mac: False
) -> list[Sighting]:
    """Listen for `timeout_s`, or until `is_enough` is true of the locks by address -> locks, the nearest first.

    Locks of kinds that we cannot operate are listed too.
    """
    by_mac: dict[str, Sighting] = {}

    def add(sighting: Sighting) -> bool:
        by_mac[sighting.mac] = sighting
        return is_enough(by_mac)

    await _listen(add, timeout_s, ("v3", "parking"))
    return sorted(by_mac.values(), key=lambda each: (-each.rssi_dbm, each.mac))
