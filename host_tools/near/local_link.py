"""The owner near a lock: the lock is found, connected, and takes this computer for its administrator.

Owns the steps from a key book's entry to such a link, and what the user is told when one fails.
"""

import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

from firmware.lib import opcodes
from firmware.lib.errors import FirmwareError, LinkError, Unsupported
from firmware.lib.messages import session_client
from host_tools.errors import HostError
from host_tools.near import sightings
from host_tools.near.lock_link import LockLink, connect
from host_tools.near.sightings import Sighting
from host_tools.owner.keybook import OWN_MODELS, Entry

NOT_OURS = (0x00, 0x06)  # error bytes of a lock that is not paired
_ORPHANED = (
    "the lock was reset and is nobody's: pair it again (gatehouse pair), or drop its entry (gatehouse keys remove)"
)
_SESSION_S = 80  # a lock ends an administrator's session after 120 s, a link after 300 (security.md SES-1)
_TRIES = 3


async def find(entry: Entry, timeout_s: float = 20) -> Sighting:
    """The lock of an entry. Raises HostError: `not_near`, or `refused` when the lock was reset."""
    sighting = await sightings.find(entry.mac, entry.name, timeout_s)
    if sighting.advert.settable:
        raise HostError("refused", "%s can be paired (not_paired)" % entry.name, _ORPHANED)
    return sighting


@contextlib.contextmanager
def host_errors() -> Iterator[None]:
    """Errors of the link as HostError; one that says that the lock was reset tells what to do about that."""
    try:
        yield
    except FirmwareError as err:
        if err.ble in NOT_OURS:
            raise HostError("refused", "the lock is not paired (not_paired)", _ORPHANED)
        reason = getattr(err, "reason", "")
        raise HostError(err.code, "%s (%s)" % (err, reason) if reason else str(err), "stay beside the lock")


def connect_to(sighting: Sighting, entry: Entry):
    """`async with`: a link under the entry's key, without a login. Raises FirmwareError."""
    return connect(sighting, bytes.fromhex(entry.aes), scene=entry.pinned_scene)


@contextlib.asynccontextmanager
async def admin_session(sighting: Sighting, entry: Entry) -> AsyncIterator[LockLink]:
    """A link after the login as administrator. Raises FirmwareError; HostError for a shared key, which cannot."""
    if not entry.admin_ps:
        todo = "import the administrator's keys of this lock, or ask who has them"
        raise HostError("forbidden", "a shared key has no administrator's number", todo)
    async with connect_to(sighting, entry) as link:
        await link.login(entry.admin_ps, entry.unlock_key)
        yield link


@contextlib.asynccontextmanager
async def local_link(entry: Entry, timeout_s: float = 20) -> AsyncIterator[LockLink]:
    """Find the lock and log in as its administrator. Raises HostError only."""
    sighting = await find(entry, timeout_s)
    with host_errors():
        async with admin_session(sighting, entry) as link:
            yield link


async def is_own(link: LockLink) -> bool:
    """Whether the lock runs our firmware, by its device information."""
    try:
        plain = session_client.device_item(session_client.ITEM_MODEL)
        return session_client.device_text(await link.exchange(opcodes.DEVICE_INFO, plain)).startswith(OWN_MODELS)
    except FirmwareError as err:
        if not err.is_answer:
            raise
        return False


async def walk(
    ask: Callable[[int, bytes], Awaitable[bytes]],
    command: int,
    request: Callable[[int], bytes],
    decode: Callable[[bytes], tuple[int | None, Any]],
    end: type[FirmwareError] = Unsupported,
) -> AsyncIterator[Any]:
    """What a lock lists, answer by answer: `request(index)` is the body, `decode(answer)` gives the next index (None:
    no more) and what is listed (None: nothing). A refusal of the kind `end` ends the list."""
    index: int | None = 0
    while index is not None:
        try:
            data = await ask(command, request(index))
        except end as err:
            if not err.is_answer:
                raise
            return
        after, item = decode(data)
        if after is not None and after <= index:
            raise HostError("protocol", "the lock's list has no end")
        if item is not None:
            yield item
        index = after


class AdminLink:
    """Many requests as a lock's administrator, over as many links as they take: each must be one that may be sent
    twice. `async with AdminLink(entry) as admin: await admin.ask(command, plain)`. Raises HostError, and FirmwareError
    for a refusal by the lock."""

    def __init__(self, entry: Entry) -> None:
        self._entry = entry
        self._open = contextlib.AsyncExitStack()
        self._link: LockLink | None = None
        self._until_s = 0.0

    async def __aenter__(self) -> "AdminLink":
        return self

    async def __aexit__(self, *exc) -> None:
        await self._close()

    async def _close(self) -> None:
        self._link = None
        await self._open.aclose()

    async def link(self) -> LockLink:
        """A link with a session that holds for a while."""
        if self._link is None or time.monotonic() >= self._until_s:
            await self._close()
            self._link = await self._open.enter_async_context(local_link(self._entry))
            self._until_s = time.monotonic() + _SESSION_S
        return self._link

    async def ask(self, command: int, plain: bytes = b"") -> bytes:
        """One request; again on another link when its link broke."""
        for left in range(_TRIES, 0, -1):
            try:
                return await (await self.link()).exchange(command, plain)
            except LinkError as err:
                await self._close()
                if left == 1:
                    raise HostError(err.code, str(err), "stay beside %s and run this again" % self._entry.name)
        raise AssertionError
