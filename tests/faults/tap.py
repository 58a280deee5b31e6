"""Frames on the air between clients and one lock, decrypted with a key that the test knows."""

import asyncio
from typing import NamedTuple

from firmware.lib import crypto, frame
from firmware.lib.errors import ProtocolError
from firmware.lib.frame import Reassembler
from host_tools.sim.air.air import CENTRAL, Air, LinkRecord

_ATT = b"\x04\x00"  # L2CAP channel
_WRITES = (0x12, 0x52)  # request, command


class Heard(NamedTuple):
    """A whole frame that a client sent. `plain` is None when the key does not open it; `at_s` is the loop's time."""

    at_s: float
    command: int
    plain: bytes | None
    link: int
    sender: str


class Tap:
    """Context manager: `frames` are those written to the peripheral `mac` while it is open."""

    def __init__(self, air: Air, mac: str, key: bytes) -> None:
        self.frames: list[Heard] = []
        self._air = air
        self._mac = mac
        self._key = key
        self._parts: dict[int, Reassembler] = {}

    def __enter__(self) -> "Tap":
        self._air.taps.append(self._hear)
        return self

    def __exit__(self, *exc: object) -> None:
        self._air.taps.remove(self._hear)

    def count(self, *commands: int) -> int:
        """How many frames had one of these commands."""
        return sum(heard.command in commands for heard in self.frames)

    def _hear(self, link: LinkRecord, side: str, packet: bytes) -> None:
        if side != CENTRAL or link.peripheral != self._mac or packet[2:4] != _ATT or packet[4] not in _WRITES:
            return
        parts = self._parts.setdefault(link.number, Reassembler())
        for raw in parts.feed(packet[7:]):
            found = frame.decode(raw)
            try:
                plain = crypto.decrypt(self._key, found.payload) if found.payload else b""
            except ProtocolError:
                plain = None
            now_s = asyncio.get_running_loop().time()
            self.frames.append(Heard(now_s, found.command, plain, link.number, link.central))
