"""A link from this computer to a lock: `firmware/ble/link.py` over a bleak connection, and the login as administrator.

Owns the connection and the challenges that were answered. Leaves frames and answers to the firmware's link, message
bodies to `firmware.lib.messages`, finding locks to `sightings`. Source: lock-ble-link.md 3, lock-ble-link.md 8.4.
"""

import asyncio
import contextlib
import json
import os
import time
from collections.abc import AsyncIterator
from pathlib import Path

from bleak import BleakClient
from bleak.exc import BleakError

from firmware.ble.link import Link
from firmware.lib import crypto, frame, opcodes
from firmware.lib.errors import LinkError, ProtocolError, from_ble
from firmware.lib.messages import common, session_client
from firmware.system.inbox import Inbox
from host_tools import json_text
from host_tools.near.sightings import Sighting

WRITE = "0000fff2-0000-1000-8000-00805f9b34fb"
NOTIFY = "0000fff4-0000-1000-8000-00805f9b34fb"
_MAX_NOTIFICATIONS = 256  # waiting to be read: many more than one answer has
_PAUSE_S = 0.3
_MAX_KEPT = 64  # challenges of one lock
_MAX_OWN = 0x7FFFFFFF  # what our own lock draws (security.md RND-1); others may use all 32 bits
_ALREADY_PAIRED = 0x07
_BROKEN = (BleakError, EOFError, OSError, TimeoutError)


class Challenges:
    """The challenges that locks let us answer lately, so that none is answered twice (security.md 2.1, CVE-2023-7004).

    Who answers a challenge gives `unlockKey` to its chooser. A lock draws a fresh number each time; a peer that shows
    an impossible or a used one is no lock. In memory, or in a file that only the owner can read.
    """

    def __init__(self, path: Path | None = None) -> None:
        self._path = path
        self._seen: dict[str, list[int]] = {}
        if path is not None:
            with contextlib.suppress(OSError, ValueError, AttributeError, TypeError):  # a damaged list is no list
                kept = json_text.load(path)
                self._seen = {mac: [int(each) for each in numbers] for mac, numbers in kept.items()}

    def check(self, mac: str, number: int, is_ours: bool) -> int:
        """The number, noted as used by this lock. Raises ProtocolError when the lock cannot have drawn it now."""
        seen = self._seen.setdefault(mac, [])
        if not 0 < number <= (_MAX_OWN if is_ours else 0xFFFFFFFF):
            raise ProtocolError("impossible challenge: somebody may pass for the lock")
        if number in seen:
            raise ProtocolError("repeated challenge: somebody may pass for the lock")
        seen.append(number)
        del seen[:-_MAX_KEPT]
        self._save()
        return number

    def _save(self) -> None:
        if self._path is None:
            return
        self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        temporary = self._path.with_name(self._path.name + ".new")
        handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(handle, "w") as file:
            json.dump(self._seen, file)
        os.replace(temporary, self._path)


challenges = Challenges()  # the program's; the command line keeps them in a file


def keep_challenges(path: Path) -> None:
    """Remember in a file which challenges were answered, from one run of the program to the next."""
    global challenges
    challenges = Challenges(path)


class BleakChannel:
    """The channel of `firmware.ble.link.Link` over bleak."""

    def __init__(self, sighting: Sighting, timeout_s: float) -> None:
        self.inbox = Inbox(_MAX_NOTIFICATIONS)
        self._mac = sighting.mac
        self._client = BleakClient(
            sighting.device, disconnected_callback=lambda _: self.inbox.close(), timeout=timeout_s
        )

    async def open(self) -> None:
        """Connect and subscribe. Raises LinkError."""
        try:
            await self._client.connect()
            await self._client.start_notify(NOTIFY, lambda _, part: self.inbox.put(bytes(part)))
        except _BROKEN as err:
            await self.disconnect()
            raise LinkError("cannot connect to %s (%s)" % (self._mac, err or type(err).__name__))

    async def write(self, octets: bytes, size: int = 20) -> None:
        """Send `octets`, at most `size` in one write. Raises LinkError."""
        try:
            for chunk in frame.chunks(octets, size):
                await self._client.write_gatt_char(WRITE, chunk, response=False)
        except _BROKEN as err:
            raise LinkError("connection lost (%s)" % type(err).__name__)

    def is_connected(self) -> bool:
        return self._client.is_connected

    async def disconnect(self) -> None:
        with contextlib.suppress(*_BROKEN):
            await self._client.disconnect()


class LockLink(Link):
    """One connection to the lock of `sighting`. `exchange` raises errors of `firmware.lib.errors`.

    `scene` as known since the pairing; None takes that of the first answer under the key.
    """

    def __init__(self, channel, sighting: Sighting, key: bytes, scene: int | None = None) -> None:
        header = (sighting.advert.scene if scene is None else scene, 1, 1)
        super().__init__(channel, key, header, own_lock=sighting.is_ours, pin=scene)
        self.channel = channel
        self.sighting = sighting

    def decrypt(self, payload: bytes, command: int | None) -> tuple[int, bool, bytes]:
        """As the firmware's link; an answer under another key may tell that the lock is paired, or is not any more."""
        try:
            return super().decrypt(payload, command)
        except ProtocolError:
            if command is None:
                raise
            if self.key == crypto.DEFAULT_KEY:  # a paired lock answers under its own key (lock-ble-link.md 5)
                raise from_ble(command, _ALREADY_PAIRED)
            echo, ok, data = common.reply(crypto.decrypt(crypto.DEFAULT_KEY, payload))
            if echo == command and not ok:  # a lock that was reset refuses under the default key (lock-ble-link.md 6.2)
                raise from_ble(command, data[0])
            raise

    async def login(self, admin_ps: int, unlock_key: int) -> None:
        """Start an administrator's session (lock-ble-link.md 8.4). Raises ProtocolError, before any secret is used, for
        a challenge that the lock cannot have drawn now."""
        challenge = self._check(await self.exchange(opcodes.CHECK_ADMIN, session_client.check_admin(admin_ps)))
        await self.exchange(opcodes.CHECK_RANDOM, session_client.check_random(challenge, unlock_key))

    async def operate(self, command: int, check_user: bytes, unlock_key: int, now_s: float) -> int:
        """Unlock or lock as a user, who is `check_user` (the body of 0x55) -> battery level. Raises as `login`."""
        challenge = self._check(await self.exchange(opcodes.CHECK_USER, check_user))
        plain = session_client.operate(challenge, unlock_key, int(now_s))
        return session_client.operated(await self.exchange(command, plain))[0]

    def _check(self, answer: bytes) -> int:
        return challenges.check(self.sighting.mac, session_client.challenge(answer), self.sighting.is_ours)


@contextlib.asynccontextmanager
async def connect(
    sighting: Sighting, key: bytes, timeout_s: float = 15.0, scene: int | None = None
) -> AsyncIterator[LockLink]:
    """A subscribed connection; disconnected on leaving. Raises LinkError.

    Tried again until `timeout_s` has passed: on the air one attempt in some fails, and nothing has been sent yet.
    """
    until_s = time.monotonic() + timeout_s
    while True:
        channel = BleakChannel(sighting, max(1.0, until_s - time.monotonic()))
        try:
            await channel.open()
            break
        except LinkError:
            if time.monotonic() + _PAUSE_S >= until_s:
                raise
            await asyncio.sleep(_PAUSE_S)
    try:
        yield LockLink(channel, sighting, key, scene)
    finally:
        await channel.disconnect()
