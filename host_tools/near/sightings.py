"""Locks heard by this computer: what each is, how near, and whether it can be added
(domain.md "Manual 2.1 Lock adding"; 6.2)."""

import asyncio
import contextlib
import time
from collections.abc import Callable
from dataclasses import dataclass

from bleak import BleakScanner
from bleak.exc import BleakError

from firmware.lib import advert, opcodes
from firmware.lib.messages import session_client
from host_tools.errors import HostError
from host_tools.near import lock_link
from host_tools.near.local_link import telling
from host_tools.near.lock_link import connect, scan
from host_tools.owner.keybook import Entry

STRONG_DBM, MEDIUM_DBM = -75, -85
TOUCH_DBM = -65  # about half a metre

# lock-ble-link.md 2.6
_SCENES = {4: "glass door", 5: "safe", 6: "bicycle", 7: "parking", 8: "padlock", 9: "cylinder", 10: "remote control"}
_SCENES[11] = "safe"


@dataclass
class Heard:
    """One lock, as heard last."""

    mac: str
    name: str
    scene: int
    battery: int | None
    rssi_dbm: int
    can_be_added: bool
    touched: bool

    @property
    def kind(self) -> str:
        """What it locks."""
        return kind_of(self.scene)

    @property
    def strength(self) -> str:
        """strong, medium or weak."""
        return strength(self.rssi_dbm)


def kind_of(scene: int) -> str:
    """The word for a scene number."""
    return _SCENES.get(scene, "door" if scene <= 3 else "unknown")


def strength(rssi_dbm: int) -> str:
    """How well a lock is heard."""
    return "strong" if rssi_dbm >= STRONG_DBM else "medium" if rssi_dbm >= MEDIUM_DBM else "weak"


def read(device, data) -> Heard | None:
    """bleak's advertisement -> Heard, or None when it is no lock's; kinds that we cannot operate are heard, too."""
    for company, rest in data.manufacturer_data.items():
        seen = advert.decode_manufacturer(company.to_bytes(2, "little") + rest)
        if seen and seen.address and seen.kind in ("v3", "parking"):
            name = data.local_name or device.name or ""
            mac = seen.address.hex(":")
            return Heard(mac, name, seen.scene, seen.battery, data.rssi, seen.settable, seen.touched)
    return None


async def hear(seconds: float, enough: Callable[[dict[str, Heard]], bool] = lambda found: False) -> list[Heard]:
    """Listen for so long, or until `enough` is true of what was heard -> locks, the nearest first."""
    found: dict[str, Heard] = {}
    done = asyncio.Event()

    def heard(device, data) -> None:
        one = read(device, data)
        if one:
            found[one.mac] = one
            if enough(found):
                done.set()

    try:
        async with BleakScanner(heard):
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(done.wait(), seconds)
    except BleakError as err:
        raise HostError("link", "cannot scan: %s" % err, "switch this computer's Bluetooth on (sim: set GATEHOUSE_AIR)")
    return sorted(found.values(), key=lambda each: (-each.rssi_dbm, each.mac))


async def open_when_touched(entry: Entry, limit_dbm: int = TOUCH_DBM, timeout_s: float = 60) -> None:
    """Wait until somebody touches the lock while this computer is near it, then unlock. HostError `not_near` else.

    Only for who asks for it: being heard nearby proves nothing about who touches (domain.md 6.2).
    """
    found = await scan(lambda one: one.mac == entry.mac and one.advert.touched and one.rssi_dbm >= limit_dbm, timeout_s)
    if found is None:
        raise HostError("not_near", "%s was not touched with this computer near it" % entry.name, "go nearer")
    with telling():
        async with connect(found, bytes.fromhex(entry.aes), scene=entry.pinned_scene) as link:
            data = await link.exchange(opcodes.CHECK_USER, session_client.check_user(flag_pos=entry.flag_pos))
            challenge = lock_link.challenges.check(entry.mac, session_client.challenge(data), found.is_ours)
            await link.exchange(opcodes.UNLOCK, session_client.operate(challenge, entry.unlock_key, int(time.time())))
