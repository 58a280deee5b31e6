"""What other makers' locks do at the radio, as reports of real ones describe it (profile `real`).

Owns attempts that fail, advertising in bursts, and answers to a movement that never come; also which variants there
are, and which settings of the lock image go with each. What such a lock decides, from dormancy to refused cursors, is
the lock image's (`firmware/lock/manners.py`).
Source: hardware-facts.md F3, F4, F32, F33.
"""

import random
from collections.abc import Callable, Collection
from dataclasses import dataclass, field

from bumble import hci

from firmware.lib import opcodes
from host_tools.sim.air.faults import CENTRAL, value_of

PROFILE = "real"
BURSTS = "bursts"  # ten advertisements every two minutes instead of one every 0.9 s
CONSTANT_STATUS = "constant-status"  # 0x14 always says unlocked
LOST_ANSWERS = "lost-answers"  # a tenth of the answers to 0x47 and 0x58 does not arrive, though the bolt moves
VARIANTS = (BURSTS, CONSTANT_STATUS, LOST_ANSWERS)

CONNECT_LOSS = 0.5  # with a good signal, awake or dormant alike
ANSWER_LOSS = 0.1
STEADY_MS = 895  # and the random delay of the chip, 5 ms on average
BURST_FRAMES = 10
BURST_EVERY_S = 120.0
BURST_MS = 100  # between the advertisements of a burst

_MANUFACTURER = 0xFF
_FLAGS_AT = 5  # in an AD structure of manufacturer data: length, kind, 05 03, scene before it
_FRAME = b"\x7f\x5a"
_COMMAND_AT = 9
_END = b"\x0d\x0a"  # only the last chunk of a frame ends so (lock-ble-link.md 3.3)
_MOVING = (opcodes.UNLOCK, opcodes.LOCK)


def lock_settings(variants: Collection[str] = ()) -> dict:
    """Settings of the lock image that behaves so."""
    every_ms = BURST_MS if BURSTS in variants else STEADY_MS
    manners = "real_constant" if CONSTANT_STATUS in variants else "real"
    return {"manners": manners, "adv_awake_ms": every_ms, "adv_asleep_ms": every_ms}


@dataclass
class Bursts:
    """So many advertisements, then silence. A change of the flags that are advertised begins a burst at once."""

    frames: int = BURST_FRAMES
    every_s: float = BURST_EVERY_S
    next_s: float = 0.0
    left: int = 0
    flags: int | None = None

    def speaks(self, now_s: float, data: bytes) -> bool:
        """Whether the advertisement that is due now is sent."""
        flags = _flags(data)
        if now_s >= self.next_s or flags != self.flags:
            self.flags = flags
            self.left = self.frames
            self.next_s = now_s + self.every_s
        if not self.left:
            return False
        self.left -= 1
        return True


@dataclass
class Manners:
    """What one lock does at the radio."""

    connect_loss: float = CONNECT_LOSS
    bursts: Bursts | None = None
    answer_loss: float = 0.0
    lost: int = 0  # answers so far
    _swallowing: set[int] = field(default_factory=set)  # numbers of links, while an answer is being lost

    def speaks(self, now_s: float, data: bytes) -> bool:
        """Whether the advertisement that is due now is sent. `now_s` runs on with the leaps of the site."""
        return self.bursts is None or self.bursts.speaks(now_s, data)

    def swallows(
        self, link: int, side: str, packet: hci.HCI_AclDataPacket, stream: Callable[..., random.Random]
    ) -> bool:
        """Whether this packet, acknowledged as it is, never reaches the client: a part of an answer that gets lost.

        `stream` gives the seeded draws of the air.
        """
        if not self.answer_loss:
            return False
        value = value_of(packet)
        if side == CENTRAL:
            if value.startswith(_FRAME):
                self._swallowing.discard(link)
                is_movement = len(value) > _COMMAND_AT and value[_COMMAND_AT] in _MOVING
                if is_movement and stream("answer").random() < self.answer_loss:
                    self._swallowing.add(link)
            return False
        if link not in self._swallowing or not value:
            return False
        if value.endswith(_END):
            self._swallowing.discard(link)
            self.lost += 1
        return True


def manners(variants: Collection[str] = ()) -> Manners:
    """The Manners of a lock with these variants."""
    bursts = Bursts() if BURSTS in variants else None
    return Manners(bursts=bursts, answer_loss=ANSWER_LOSS if LOST_ANSWERS in variants else 0.0)


def _flags(data: bytes) -> int | None:
    """The flags byte of a lock's advertisement, or None where there is no manufacturer data."""
    at = 0
    while at + 1 < len(data) and data[at]:
        if data[at + 1] == _MANUFACTURER and data[at] > _FLAGS_AT:
            return data[at + _FLAGS_AT]
        at += 1 + data[at]
    return None
