"""The owner beside a lock: found, connected, logged in as its administrator; what went wrong is a HostError."""

import contextlib
from collections.abc import AsyncIterator, Iterator

from firmware.lib import opcodes
from firmware.lib.errors import FirmwareError
from firmware.lib.messages import session_client
from host_tools.errors import HostError
from host_tools.near.lock_link import Found, LockLink, connect, scan
from host_tools.owner.keybook import Entry

OWN = "GATEHOUSE-"  # what device info item 1 of a lock of ours begins with
NOT_OURS = (0x00, 0x06)  # answers of a lock that is nobody's
ORPHANED = (
    "the lock was reset and is nobody's: pair it again (gatehouse pair), or drop its entry (gatehouse keys remove)"
)


async def find(entry: Entry, timeout_s: float = 20) -> Found:
    """The lock, heard now. Raises HostError `not_near`; an entry whose lock has been reset is said to be orphaned."""
    found = await scan(lambda heard: heard.mac == entry.mac, timeout_s)
    if found is None:
        raise HostError("not_near", "%s was not heard for %d s" % (entry.name, timeout_s), "go nearer and touch it")
    if found.advert.settable:
        raise HostError("refused", "%s can be paired (not_paired)" % entry.name, ORPHANED)
    return found


@contextlib.contextmanager
def telling() -> Iterator[None]:
    """Errors of the link as HostError, with what to do about the orphan of a reset."""
    try:
        yield
    except FirmwareError as err:
        if getattr(err, "ble", None) in NOT_OURS:
            raise HostError("refused", "the lock is not paired (not_paired)", ORPHANED)
        reason = getattr(err, "reason", "")
        raise HostError(err.code, "%s (%s)" % (err, reason) if reason else str(err), "stay beside the lock")


@contextlib.asynccontextmanager
async def beside(entry: Entry, timeout_s: float = 20) -> AsyncIterator[LockLink]:
    """A link on which the lock has taken us for its administrator."""
    found = await find(entry, timeout_s)
    with telling():
        async with connect(found, bytes.fromhex(entry.aes), scene=entry.pinned_scene) as link:
            await link.login(entry.admin_ps, entry.unlock_key)
            yield link


async def is_own(link: LockLink) -> bool:
    """Whether the lock runs our firmware, by its device information."""
    try:
        plain = session_client.device_item(session_client.ITEM_MODEL)
        return session_client.device_text(await link.exchange(opcodes.DEVICE_INFO, plain)).startswith(OWN)
    except FirmwareError as err:
        if getattr(err, "ble", None) is None:
            raise
        return False
