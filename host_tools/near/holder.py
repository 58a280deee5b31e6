"""A person with an ekey: opens and locks with its bundle, over the local link.

Owns what the lock cannot judge: days and hours of a recurring ekey (domain.md, key feature 1). Everything else
the lock judges itself, and this client lets it.
"""

import time
from dataclasses import dataclass

from firmware.lib import dates, opcodes
from firmware.lib.errors import FirmwareError
from firmware.lib.messages import session_client
from host_tools.errors import HostError
from host_tools.near import sightings
from host_tools.near.local_link import host_errors
from host_tools.near.lock_link import connect
from host_tools.owner import bundles

_RECURRING = 4


@dataclass
class Held:
    """A bundle, as far as opening needs it. Times are Unix seconds, 0: no limit. `utc_offset_min` is the lock's."""

    mac: str
    name: str
    aes: bytes
    unlock_key: int
    uid: int
    flag_pos: int
    start: int
    end: int
    utc_offset_min: int
    hours: tuple | None = None

    def __repr__(self) -> str:  # tracebacks must not show keys
        return "Held(%s, %r)" % (self.mac, self.name)


def read(bundle: dict) -> Held:
    """VirtualKey JSON -> Held. HostError for anything else."""
    try:
        held = Held(
            bundle["lockMac"].lower(),
            bundle.get("lockAlias") or bundle["lockMac"],
            bundles.decode_aes_key(bundle["aesKeyStr"]),
            int(bundles.decode_secret(bundle["unlockKey"])),
            int(bundle.get("uid") or 0),
            int(bundle.get("lockFlagPos") or 0),
            int(bundle.get("startTime") or 0) // 1000,
            int(bundle.get("endTime") or 0) // 1000,
            round(int(bundle.get("timezoneRawOffSet") or 0) / 60000),
        )
        if bundle.get("keyType") == _RECURRING:
            held.hours = tuple(bundle["weekDays"]), int(bundle["dayStart"]), int(bundle["dayEnd"])
    except (KeyError, TypeError, ValueError, AttributeError, FirmwareError):
        raise HostError("bad_request", "that is no ekey's bundle", "ask for a new one")
    return held


def judge(held: Held, now_s: float) -> None:
    """Days and hours of a recurring ekey, by the lock's local time; the wall clock of this computer. HostError."""
    if held.hours is None:
        return
    days, opens, closes = held.hours
    local = time.gmtime(now_s + 60 * held.utc_offset_min)
    minute = 60 * local.tm_hour + local.tm_min
    if (local.tm_wday + 1) % 7 + 1 not in days or not opens <= minute < closes:
        raise HostError("refused", "the ekey does not open on this day or at this hour", "see its days and hours")


def _date(held: Held, unix_s: int):
    return dates.from_unix(unix_s, held.utc_offset_min)[:5]


async def operate(held: Held, command: int = opcodes.UNLOCK, now_s: float | None = None, timeout_s: float = 20) -> int:
    """Unlock (or lock) -> battery level. HostError with the lock's reason."""
    now_s = time.time() if now_s is None else now_s
    judge(held, now_s)
    sighting = await sightings.find(held.mac, held.name, timeout_s)
    start = end = None  # what a lock of ours itself knows of a person may have changed since the bundle was written
    if not held.uid and held.start and held.end > held.start:
        start, end = _date(held, held.start), _date(held, held.end)
    check_user = session_client.check_user(start, end, held.flag_pos, held.uid)
    with host_errors():
        async with connect(sighting, held.aes) as link:
            return await link.operate(command, check_user, held.unlock_key, now_s)
