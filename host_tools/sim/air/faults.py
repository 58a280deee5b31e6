"""What can be done to the air on request: cut, lose, corrupt, delay, jam, put a lock to sleep.

Owns the rules and what they say about one packet or one place; `air` and `controller` ask at the moments that matter.
Addresses are texts, `aa:bb:cc:dd:ee:ff`, of the radios' public addresses. `lock` is the peripheral of a link.
A *data packet* is one link-layer data PDU with a fragment of L2CAP in it; empty PDUs and link-layer control are not
counted, and neither is a packet that is lost and sent again.
"""

import asyncio
import math
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from bumble import hci

CENTRAL, PERIPHERAL = "central", "peripheral"
SIDES = (CENTRAL, PERIPHERAL)

_ATT_CHANNEL = 4
_HEADERS = 7  # L2CAP header, ATT opcode and handle
_VALUES = (0x52, 0x1B, 0x1D)  # Write Command, Notification, Indication: what carries frames
_WRITE_REQUEST = 0x12
_FOR_EVER = math.inf


@dataclass(eq=False)
class Rule:
    """Which packets are meant: those of the link to `lock` (None: every link) that `sender` sends (None: both)."""

    lock: str | None = None
    sender: str | None = None

    def __post_init__(self) -> None:
        if self.sender not in (None, *SIDES):
            raise ValueError("the sender is central or peripheral, not %r" % (self.sender,))

    def meets(self, lock: str, sender: str) -> bool:
        """Whether a packet is meant."""
        return self.lock in (None, lock) and self.sender in (None, sender)


@dataclass(eq=False)
class Cut(Rule):
    """Break the link at the sender's n-th data packet, counted on each link from its beginning or from the arming.

    `is_delivered` False: *before* delivery, the packet never arrives. True: *after* delivery, the other host has it,
    and nothing passes any more, not even the acknowledgement. Either way both ends learn of it by supervision time-out
    only. `reset`, when given, is called at the same moment: it resets one end's host, whose radio is then silent.
    A cut happens once.
    """

    at: int = 1
    is_delivered: bool = False
    reset: Callable[[], None] | None = None
    has_happened: bool = False
    counted: dict[int, int] = field(default_factory=dict)  # by the number of the link

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.at < 1:
            raise ValueError("packets are counted from 1, not from %d" % self.at)


@dataclass(eq=False)
class Loss(Rule):
    """Lose more: `chance` that a data packet is damaged on the air, so that its CRC fails and it is sent again."""

    chance: float = 0.5


@dataclass(eq=False)
class Corrupt(Rule):
    """Change a bit of a value above the link layer, with this `chance` for each packet that carries one."""

    chance: float = 1.0
    changed: int = 0


@dataclass(eq=False)
class Delay(Rule):
    """Hold each data packet back for so long before it may leave; the order stays."""

    delay_s: float = 0.1


@dataclass(eq=False)
class Jam:
    """Noise around one place, or everywhere when `radius_m` is infinite: no radio in it hears anything."""

    x_m: float = 0.0
    y_m: float = 0.0
    radius_m: float = _FOR_EVER

    def covers(self, place: tuple[float, float]) -> bool:
        return math.dist(place, (self.x_m, self.y_m)) <= self.radius_m


@dataclass
class Sleep:
    """The lock advertises for `awake_s` and is silent for a gap drawn (evenly in its logarithm) from `gap_s`.

    With `awake_s` 0 it sends one advertisement between gaps. Links go on: a connected lock is awake.
    """

    gap_s: tuple[float, float]
    awake_s: float
    until_s: float = 0.0  # end of the present period
    is_awake: bool = False

    def speaks(self, now_s: float, draw: random.Random) -> bool:
        """Whether an advertisement that is due now is sent."""
        if self.is_awake and now_s < self.until_s:
            return True
        if self.is_awake or not self.until_s:  # a gap begins
            self.is_awake = False
            self.until_s = now_s + self._gap(draw)
            return False
        if now_s < self.until_s:
            return False
        if self.awake_s:
            self.is_awake = True
            self.until_s = now_s + self.awake_s
        else:
            self.until_s = now_s + self._gap(draw)
        return True

    def _gap(self, draw: random.Random) -> float:
        low, high = self.gap_s
        return math.exp(draw.uniform(math.log(low), math.log(high)))


class Faults:
    """The faults in force. `stream(*key)` gives the seeded draws, `review()` tells the air that places have changed."""

    def __init__(self, stream: Callable[..., random.Random], review: Callable[[], None]) -> None:
        self._stream = stream
        self._review = review
        self._cuts: list[Cut] = []
        self._rules: list[Loss | Corrupt | Delay] = []
        self._jams: list[Jam] = []
        self._sleepers: dict[str, Sleep] = {}
        self._timers: set[asyncio.TimerHandle] = set()
        self.supervision_s: float | None = None  # instead of what centrals ask for, so that tests need not wait

    # --- arming

    def cut(
        self,
        lock: str | None,
        sender: str,
        at: int,
        is_delivered: bool = False,
        reset: Callable[[], None] | None = None,
    ) -> Cut:
        """Arm a cut, see Cut. Raises ValueError."""
        rule = Cut(lock, sender, at, is_delivered, reset)
        self._cuts.append(rule)
        return rule

    def lose(self, chance: float, lock: str | None = None, sender: str | None = None) -> Loss:
        """More loss, see Loss."""
        return self._add(Loss(lock, sender, chance))

    def corrupt(self, chance: float, lock: str | None = None, sender: str | None = None) -> Corrupt:
        """Wrong bits in values, see Corrupt."""
        return self._add(Corrupt(lock, sender, chance))

    def delay(self, delay_s: float, lock: str | None = None, sender: str | None = None) -> Delay:
        """Late packets, see Delay."""
        return self._add(Delay(lock, sender, delay_s))

    def _add(self, rule: Any) -> Any:
        self._rules.append(rule)
        return rule

    def jam(self, x_m: float = 0.0, y_m: float = 0.0, radius_m: float = _FOR_EVER, for_s: float | None = None) -> Jam:
        """Jam a place, or everything; until `lift` or for so long. Links with an end in it fall silent."""
        made = Jam(x_m, y_m, radius_m)
        self._jams.append(made)
        self._review()
        if for_s is not None:
            self._timers.add(asyncio.get_running_loop().call_later(for_s, self.lift, made))
        return made

    def sleep(self, lock: str, low_s: float, high_s: float | None = None, awake_s: float = 0.0) -> None:
        """Let a lock sleep, see Sleep; a gap of 0 wakes it for good. Raises ValueError."""
        high_s = low_s if high_s is None else high_s
        if not 0 <= low_s <= high_s:
            raise ValueError("a gap of %g to %g s" % (low_s, high_s))
        self._sleepers.pop(lock, None)
        if low_s:
            self._sleepers[lock] = Sleep((low_s, high_s), awake_s)

    def lift(self, fault: object = None) -> None:
        """End one fault, or all of them. Whoever has lost a link for it meanwhile has lost it."""
        every: tuple[list, ...] = (self._cuts, self._rules, self._jams)
        for kept in every:
            kept[:] = [each for each in kept if fault is not None and each is not fault]
        if fault is None:
            self._sleepers.clear()
            for timer in self._timers:
                timer.cancel()
            self._timers.clear()
        self._review()

    def describe(self) -> list[str]:
        """What is in force, for people."""
        lines = [repr(each) for each in (*self._cuts, *self._rules, *self._jams)]
        return lines + ["%s: %r" % pair for pair in self._sleepers.items()]

    # --- asked by the air

    def is_jammed(self, place: tuple[float, float]) -> bool:
        """Whether a radio there is deaf."""
        return bool(self._jams) and any(each.covers(place) for each in self._jams)

    def is_asleep(self, address: str, now_s: float) -> bool:
        """Whether the advertisement of this radio that is due now is not sent."""
        sleeper = self._sleepers.get(address)
        return sleeper is not None and not sleeper.speaks(now_s, self._stream("sleep", address))

    def loses(self, lock: str, sender: str) -> bool:
        """Whether this data packet is damaged on the air, besides what the profile does."""
        return any(
            self._stream("loss", lock, sender).random() < rule.chance
            for rule in self._rules
            if isinstance(rule, Loss) and rule.meets(lock, sender)
        )

    def delay_s(self, lock: str, sender: str) -> float:
        """How long a data packet is held back."""
        if not self._rules:
            return 0.0
        return sum(rule.delay_s for rule in self._rules if isinstance(rule, Delay) and rule.meets(lock, sender))

    def cut_at(self, lock: str, sender: str, number: int) -> Cut | None:
        """Count a data packet that is about to be delivered on link `number`: the cut that happens at it, or None."""
        due = None
        for rule in self._cuts:
            if rule.meets(lock, sender):
                rule.counted[number] = rule.counted.get(number, 0) + 1
                if rule.counted[number] == rule.at and due is None:
                    due = rule
        if due is not None:
            due.has_happened = True
            self._cuts.remove(due)
        return due

    def damaged(self, lock: str, sender: str, packet: hci.HCI_AclDataPacket) -> hci.HCI_AclDataPacket:
        """The packet as it arrives above the link layer."""
        for rule in self._rules:
            if isinstance(rule, Corrupt) and rule.meets(lock, sender) and _carries_value(packet):
                draw = self._stream("corrupt", lock, sender)
                if draw.random() < rule.chance:
                    rule.changed += 1
                    octets = bytearray(packet.data)
                    octets[draw.randrange(_HEADERS, len(octets))] ^= 1 << draw.randrange(8)
                    packet = hci.HCI_AclDataPacket(
                        packet.connection_handle,
                        packet.pb_flag,
                        packet.bc_flag,
                        packet.data_total_length,
                        bytes(octets),
                    )
        return packet


def _carries_value(packet: hci.HCI_AclDataPacket) -> bool:
    return bool(value_of(packet, _VALUES))


def value_of(packet: hci.HCI_AclDataPacket, kinds: tuple[int, ...] = (*_VALUES, _WRITE_REQUEST)) -> bytes:
    """The value that a packet writes or notifies, as far as it is in this packet; b"" for any other packet."""
    octets = packet.data
    is_value = (
        packet.pb_flag != 1  # not the rest of a longer L2CAP packet
        and len(octets) > _HEADERS
        and octets[2] | octets[3] << 8 == _ATT_CHANNEL
        and octets[4] in kinds
    )
    return bytes(octets[_HEADERS:]) if is_value else b""
