"""A lock as seen from a computer beside it: scan, connect, exchange, log in (bleak).

Owns finding locks and one request at a time over one connection; message bodies are `firmware.lib.messages`'. Source:
lock-ble-link.md 2, 3, 6, 8.2, 8.4.
"""

import asyncio
import contextlib
import os
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path

from bleak import BleakClient, BleakScanner
from bleak.exc import BleakError

from firmware.lib import advert, crypto, frame, opcodes
from firmware.lib.errors import LinkError, LinkTimeout, ProtocolError, from_ble
from firmware.lib.frame import Reassembler
from firmware.lib.messages import common, session_client
from host_tools.errors import HostError
from host_tools.near.challenges import Challenges

WRITE = "0000fff2-0000-1000-8000-00805f9b34fb"
NOTIFY = "0000fff4-0000-1000-8000-00805f9b34fb"
OWN_PREFIX = "GH1_"
OWN_MODEL = "GATEHOUSE-L1"
_PAUSE_S = 0.3
_PROTOCOL = (5, 3)  # pinned: no answer changes it (security.md DWN-1)

challenges = Challenges()  # the program's; the command line keeps them in a file


@dataclass
class Found:
    """A lock that was heard. `device` is bleak's."""

    device: object
    mac: str
    name: str
    advert: advert.Advert
    rssi_dbm: int

    @property
    def is_ours(self) -> bool:
        return self.name.startswith(OWN_PREFIX)


def keep_challenges(path: Path) -> None:
    """Remember in a file which challenges were answered, from one run of the program to the next."""
    global challenges
    challenges = Challenges(path)


def use_air() -> bool:
    """Put bleak on the simulated air when GATEHOUSE_AIR names one."""
    if not os.environ.get("GATEHOUSE_AIR"):
        return False
    from host_tools.sim.ble import bleak_air

    bleak_air.install(os.environ["GATEHOUSE_AIR"])
    return True


def sighting(device, data) -> Found | None:
    """bleak's advertisement -> Found, or None when it is no lock's."""
    for company, rest in data.manufacturer_data.items():
        heard = advert.decode_manufacturer(company.to_bytes(2, "little") + rest)
        if heard and heard.kind == "v3" and heard.address:
            return Found(device, heard.address.hex(":"), data.local_name or device.name or "", heard, data.rssi)
    return None


async def scan(wanted: Callable[[Found], bool], timeout_s: float) -> Found | None:
    """The first lock for which `wanted` is true, or None after `timeout_s`."""
    result: asyncio.Future[Found] = asyncio.get_running_loop().create_future()

    def heard(device, data) -> None:
        found = sighting(device, data)
        if found and not result.done() and wanted(found):
            result.set_result(found)

    try:
        async with BleakScanner(heard):
            return await asyncio.wait_for(result, timeout_s)
    except TimeoutError:
        return None
    except BleakError as err:
        raise HostError("link", "cannot scan: %s" % err, "switch this computer's Bluetooth on (sim: set GATEHOUSE_AIR)")


class LockLink:
    """One connection. `exchange` raises errors of `firmware.lib.errors`; LinkError has `.sent`.

    `scene` as known since the pairing; None takes that of the first answer under the key. Answers of another scene or
    protocol are damaged frames.
    """

    def __init__(self, client: BleakClient, found: Found, key: bytes, scene: int | None = None) -> None:
        self._client = client
        self.found = found
        self.key = key
        self.scene = scene
        self.group = self.org = 1
        self._frames: asyncio.Queue[frame.Frame | None] = asyncio.Queue()
        self._parts = Reassembler()

    def heard(self, _characteristic, part: bytearray) -> None:
        """Notification handler."""
        for raw in self._parts.feed(bytes(part), int(time.monotonic() * 1000)):
            try:
                self._frames.put_nowait(frame.decode(raw))
            except ProtocolError:
                continue  # damaged on the way: keep waiting to the deadline (lock-ble-link.md 4.3)

    def dropped(self, _client) -> None:
        """The connection is gone."""
        self._frames.put_nowait(None)

    async def write(self, octets: bytes, size: int = 20) -> None:
        """Bytes as they are, in writes of at most `size`. Raises BleakError, EOFError or OSError."""
        for chunk in frame.chunks(octets, size):
            await self._client.write_gatt_char(WRITE, chunk, response=False)

    async def exchange(self, command: int, plain: bytes = b"", timeout_s: float = 6.0) -> bytes:
        """Send one request, return the data of its answer."""
        while not self._frames.empty():
            self._frames.get_nowait()  # late answers and pushes
        # An empty request is encrypted for our own lock, of length 0 for others (lock-ble-link.md 4.1).
        payload = crypto.encrypt(self.key, plain) if plain or self.found.is_ours else b""
        scene = self.found.advert.scene if self.scene is None else self.scene
        raw = frame.encode(command, payload, scene, self.group, self.org)
        sent = False
        try:
            async with asyncio.timeout(timeout_s):
                for chunk in frame.chunks(raw):
                    await self._client.write_gatt_char(WRITE, chunk, response=False)
                    sent = True
                return await self._answer(command)
        except TimeoutError:
            raise _link(LinkTimeout, "no answer to 0x%02x in %d s" % (command, timeout_s), sent)
        except (BleakError, EOFError, OSError) as err:
            raise _link(LinkError, "connection lost at 0x%02x (%s)" % (command, type(err).__name__), sent)

    async def follow(self, command: int, timeout_s: float) -> bytes:
        """The data of a further answer to a command that answers several times."""
        try:
            async with asyncio.timeout(timeout_s):
                return await self._answer(command)
        except TimeoutError:
            raise _link(LinkTimeout, "no further answer to 0x%02x in %d s" % (command, timeout_s), True)
        except EOFError:
            raise _link(LinkError, "connection lost at 0x%02x" % command, True)

    async def _answer(self, command: int) -> bytes:
        while True:
            got = await self._frames.get()
            if got is None:
                raise EOFError
            if (got.protocol, got.version) != _PROTOCOL or self.scene not in (None, got.scene):
                continue
            if not got.payload:
                if command == opcodes.RESET:
                    return b""
                continue
            try:
                echo, ok, data = common.reply(crypto.decrypt(self.key, got.payload))
            except ProtocolError:
                if self.key == crypto.DEFAULT_KEY:  # a paired lock answers under its own key (5)
                    raise from_ble(command, 0x07)
                _look_unpaired(command, got.payload)
                continue
            self.scene = got.scene
            if echo != command:
                continue
            self.group, self.org = got.group, got.org
            if not ok:
                raise from_ble(command, data[0])
            return data

    async def login(self, admin_ps: int, unlock_key: int) -> None:
        """Admin session (lock-ble-link.md 8.4). Raises ProtocolError, before anything is given away, for a challenge of
        no lock."""
        data = await self.exchange(opcodes.CHECK_ADMIN, session_client.check_admin(admin_ps))
        challenge = challenges.check(self.found.mac, session_client.challenge(data), self.found.is_ours)
        plain = session_client.check_random(challenge, unlock_key)
        await self.exchange(opcodes.CHECK_RANDOM, plain)


def _look_unpaired(command: int, payload: bytes) -> None:
    """A lock that is new again refuses under the default key (lock-ble-link.md 6.2): raise that, and do not wait for a
    better answer."""
    try:
        echo, ok, data = common.reply(crypto.decrypt(crypto.DEFAULT_KEY, payload))
    except ProtocolError:
        return
    if echo == command and not ok:
        raise from_ble(command, data[0])


def _link(kind: type[LinkError], text: str, sent: bool) -> LinkError:
    err = kind(text)
    err.sent = sent
    return err


async def _open(found: Found, key: bytes, timeout_s: float, scene: int | None) -> tuple[BleakClient, LockLink]:
    """One attempt to connect and subscribe. LinkError when it fails."""
    link: LockLink | None = None

    def dropped(client) -> None:
        if link:
            link.dropped(client)

    client = BleakClient(found.device, disconnected_callback=dropped, timeout=timeout_s)  # type: ignore[arg-type]
    link = LockLink(client, found, key, scene)
    try:
        await client.connect()
        await client.start_notify(NOTIFY, link.heard)
    except (BleakError, TimeoutError, OSError, EOFError) as err:
        with contextlib.suppress(Exception):
            await client.disconnect()
        raise _link(LinkError, "cannot connect to %s (%s)" % (found.mac, err or type(err).__name__), False)
    return client, link


@contextlib.asynccontextmanager
async def connect(
    found: Found, key: bytes, timeout_s: float = 15.0, scene: int | None = None
) -> AsyncIterator[LockLink]:
    """A subscribed connection to `found`; disconnected on leaving.

    Tried again until `timeout_s` has passed: on the air one attempt in some fails, and nothing has been sent yet.
    """
    until_s = time.monotonic() + timeout_s
    while True:
        try:
            client, link = await _open(found, key, max(1.0, until_s - time.monotonic()), scene)
            break
        except LinkError:
            if time.monotonic() + _PAUSE_S >= until_s:
                raise
            await asyncio.sleep(_PAUSE_S)
    try:
        yield link
    finally:
        with contextlib.suppress(BleakError, OSError, EOFError, TimeoutError):
            await client.disconnect()
