"""The air between the simulated radios: who hears whom, how well, and when.

Owns positions, signal strength, loss and the clock of every link (connection events, supervision). The radio
chip is `controller.py`. Time is the event loop's time. Every draw comes from a stream that belongs to one ordered
pair of addresses, so that one seed gives each link the same draws, independent of the other links.
"""

import asyncio
import collections
import itertools
import math
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from bumble import hci, link

from host_tools.sim.air.faults import CENTRAL, PERIPHERAL, Faults
from host_tools.sim.air.profiles import PROFILES, Profile
from host_tools.sim.air.real import Manners

_SENSITIVITY_DBM = -95
_EDGE_DBM = -87  # below this mean, noise takes single packets under the sensitivity
_REMEMBERED = 10000  # links, and timers
_FIRST_EVENT_S = 0.0025  # transmit window after CONNECT_IND (Core 5.x, Vol 6 Part B, 4.5.3)
_CONTROL_FIRST_S = 1e-6
_ESTABLISH_EVENTS = 6  # events without an answer after which a new link counts as failed (same, 4.5.2)


def parse_address(text: str) -> hci.Address:
    """`aa:bb:cc:dd:ee:ff` or 12 hex digits -> public address. Raises ValueError."""
    raw = bytes.fromhex(text.replace(":", ""))
    if len(raw) != 6:
        raise ValueError(f"{text!r} is not an address of six bytes")
    return hci.Address(raw[::-1], hci.Address.PUBLIC_DEVICE_ADDRESS)


@dataclass(frozen=True)
class Advert:
    """One advertising PDU and the scan response that an active scanner would get for it."""

    address: hci.Address
    kind: int  # ADV_IND 0, ADV_SCAN_IND 2, ADV_NONCONN_IND 3
    data: bytes
    response: bytes


@dataclass
class LinkRecord:
    """What passed on one link, or on an attempt that failed; it outlives the link. Times are the event loop's.

    `packets`: data packets delivered, by sender (`central`, `peripheral`); `lost`: those that had to be sent again.
    """

    number: int
    central: str
    peripheral: str
    began_s: float
    ended_s: float | None = None
    reason: int | None = None  # HCI error code that ended it
    packets: dict[str, int] = field(default_factory=lambda: {CENTRAL: 0, PERIPHERAL: 0})
    lost: dict[str, int] = field(default_factory=lambda: {CENTRAL: 0, PERIPHERAL: 0})


# Hears every data packet that is sent, also one that a cut swallows: (link, sender's side, octets of the packet).
Tap = Callable[[LinkRecord, str, bytes], None]


class AirLink:
    """The common state of both ends of one LE connection. `pair`: addresses of the central and the peripheral."""

    def __init__(self, air: "Air", pair: tuple[str, str], ends: list, interval_s: float, timeout_s: float) -> None:
        self.air = air
        self.ends = ends  # controller.LinkEnd: one, when the other side missed CONNECT_IND
        self.timeout_s = timeout_s if air.faults.supervision_s is None else air.faults.supervision_s
        self.record = LinkRecord(next(air.numbers), *pair, asyncio.get_running_loop().time())
        air.history.append(self.record)
        self.is_over = False
        self._is_cut = False
        self._silence: asyncio.TimerHandle | None = None
        self.set_interval(interval_s)

    def set_interval(self, interval_s: float) -> None:
        """Start counting connection events anew."""
        self._asked_s = interval_s
        self.interval_s = interval_s if self.air.profile.paced else 0.0
        self._anchor = asyncio.get_running_loop().time() + (_FIRST_EVENT_S if self.interval_s else 0.0)

    def repace(self) -> None:
        """The air has another profile."""
        self.set_interval(self._asked_s)

    def at_next_event(self, call: Callable, *args: object, is_control: bool = False) -> asyncio.Handle:
        """Run `call` at the next connection event (at once on an air without pacing).

        `is_control`: before what else happens at that event, as a link layer puts its own packets before data: the
        keys that follow an encryption must find it on. Timers of the same time run in any order.
        """
        loop = asyncio.get_running_loop()
        if not self.interval_s:
            return loop.call_soon(call, *args)
        passed = math.floor((loop.time() - self._anchor) / self.interval_s)
        at_s = self._anchor + max(0, passed + 1) * self.interval_s
        return loop.call_at(at_s - _CONTROL_FIRST_S if is_control else at_s, call, *args)

    def after_events(self, count: int, call: Callable, *args: object) -> asyncio.Handle:
        """Run `call` after `count` connection intervals."""
        return asyncio.get_running_loop().call_later(count * self.interval_s, call, *args)

    def fail(self) -> None:
        """Nobody answers: the initiator gives up after six intervals, as a chip does."""
        reason = hci.HCI_ErrorCode.CONNECTION_FAILED_TO_BE_ESTABLISHED_ERROR
        self.after_events(_ESTABLISH_EVENTS, self.end, reason)

    @property
    def is_silent(self) -> bool:
        """No packet passes, and the supervision timer runs."""
        return self._silence is not None

    def fall_silent(self, for_good: bool = False) -> None:
        """From now on nothing passes. Unless `recover` comes first, the hosts learn of it by supervision time-out.

        `for_good`: it was cut, or one end has lost power; there is nothing to recover.
        """
        self._is_cut = self._is_cut or for_good
        if not self.is_over and self._silence is None:
            reason = hci.HCI_ErrorCode.CONNECTION_TIMEOUT_ERROR
            self._silence = asyncio.get_running_loop().call_later(self.timeout_s, self.end, reason)

    def recover(self) -> None:
        """Packets pass again."""
        if self._silence is not None and not self._is_cut:
            self._silence.cancel()
            self._silence = None
            for end in self.ends:
                end.wake()

    def end(self, reason: int, local: object = None) -> None:
        """Close both ends. `local` is the end whose host asked for it and is told so."""
        if self.is_over:
            return
        self.is_over = True
        self.record.ended_s = asyncio.get_running_loop().time()
        self.record.reason = int(reason)
        if self._silence is not None:
            self._silence.cancel()
        self.air.links.discard(self)
        for end in self.ends:
            mine = hci.HCI_ErrorCode.CONNECTION_TERMINATED_BY_LOCAL_HOST_ERROR
            end.close(mine if end is local else reason)


class Air(link.LocalLink):
    """All radios within one house. `controllers` holds those that have power."""

    controllers: set[Any]  # controller.RadioController, which imports us

    def __init__(self, seed: int = 0, profile: str = "ideal") -> None:
        super().__init__()
        self.seed = seed
        self.profile = PROFILES[profile]
        self.links: set[AirLink] = set()
        self.history: collections.deque[LinkRecord] = collections.deque(maxlen=_REMEMBERED)
        self.numbers = itertools.count(1)
        self.taps: list[Tap] = []
        self.late_s: collections.deque[float] = collections.deque(maxlen=_REMEMBERED)  # of their timers, the latest
        self.faults = Faults(self.stream, self.review)
        self.manners: dict[str, Manners] = {}  # of single locks, by the address of their radio
        self.leap_s = 0.0  # the site's: what the rhythm of a lock's advertising goes by
        self.is_held = False  # nothing is heard: no advertisement, and so no new link
        self._places: dict[bytes, tuple[float, float]] = {}
        self._streams: dict[tuple, random.Random] = {}

    def stream(self, *key: object) -> random.Random:
        """The random stream of one purpose and pair; the same for the same seed and key."""
        if key not in self._streams:
            self._streams[key] = random.Random("/".join(str(part) for part in (self.seed, *key)))
        return self._streams[key]

    def place(self, address: hci.Address, x_m: float, y_m: float) -> None:
        """Put the radio with this address somewhere. Links that leave or regain range notice."""
        self._places[bytes(address)] = (x_m, y_m)
        self.review()

    def change_profile(self, profile: Profile) -> None:
        """From now on another air."""
        self.profile = profile
        for each in self.links:
            each.repace()
        self.review()

    def busy_with(self) -> str:
        """What is under way between two radios, in words; empty if nothing is."""
        for each in self.links:
            return "the link %s to %s is up" % (each.record.central, each.record.peripheral)
        for radio in self.controllers:
            if radio.pending_le_connection:
                peer = bytes(radio.pending_le_connection.peer_address)[::-1].hex(":")
                return "%s is connecting to %s" % (radio.mac, peer)
        return ""

    def review(self) -> None:
        """Places or faults have changed: links lose or regain each other."""
        for each in tuple(self.links):
            if len(each.ends) == 2:
                if self._reach(*(end.controller.public_address for end in each.ends)):
                    each.recover()
                else:
                    each.fall_silent()

    def _reach(self, one: hci.Address, other: hci.Address) -> bool:
        """Whether two radios can talk: both in range, neither jammed."""
        if any(self.faults.is_jammed(self.position(each)) for each in (one, other)):
            return False
        return self._mean_dbm(one, other) >= _SENSITIVITY_DBM

    def position(self, address: hci.Address) -> tuple[float, float]:
        """Where a radio stands; until it is placed, somewhere within a room of 3 m by 3 m."""
        if bytes(address) not in self._places:
            draw = self.stream("place", address)
            self._places[bytes(address)] = (draw.uniform(0, 3), draw.uniform(0, 3))
        return self._places[bytes(address)]

    def _mean_dbm(self, one: hci.Address, other: hci.Address) -> float:
        """Log-distance model of rooms: -45 dBm at 1 m, path loss exponent 2.5."""
        if not self.profile.by_distance:
            return -50.0
        return -45.0 - 25.0 * math.log10(max(0.1, math.dist(self.position(one), self.position(other))))

    def rssi_dbm(self, sender: hci.Address, listener: hci.Address) -> int:
        """Signal strength of one packet."""
        noise = self.profile.noise_db
        mean = self._mean_dbm(sender, listener)
        return round(self.stream("rssi", sender, listener).gauss(mean, noise) if noise else mean)

    def misses_connect(self, central: hci.Address, peripheral: hci.Address) -> bool:
        """Draw whether the advertiser misses CONNECT_IND."""
        manners = self.manners.get(bytes(peripheral)[::-1].hex(":"))
        chance = max(self.profile.connect_loss, manners.connect_loss if manners else 0.0)
        lost = self.loses("connect", chance, central, peripheral)
        return lost or self.faults.is_jammed(self.position(peripheral))

    def loses_data(self, end: Any, other: Any) -> bool:
        """Draw whether a data packet of this end of a link is lost, by the air, by distance or by a fault."""
        pair = end.controller.public_address, other.controller.public_address
        if self.loses("data", self.profile.packet_loss, *pair):
            return True
        if self._mean_dbm(*pair) < _EDGE_DBM and self.rssi_dbm(*pair) < _SENSITIVITY_DBM:
            return True
        return self.faults.loses(end.link_state.record.peripheral, end.side)

    def loses(self, what: str, chance: float, sender: hci.Address, listener: hci.Address) -> bool:
        """Draw whether this packet is lost."""
        return bool(chance) and self.stream(what, sender, listener).random() < chance

    def advertiser(self, address: hci.Address) -> Any:
        """The radio that advertises under this address, or None."""
        for each in self.controllers:
            if each.le_legacy_advertiser.enabled and each.le_legacy_advertiser.address == address:
                return each
        return None

    def advertise(self, sender: Any, advert: Advert) -> None:
        """Let every listening radio in range hear one advertisement. Of several initiators the draw takes one."""
        loop = asyncio.get_running_loop()
        if self.is_held or self.faults.is_asleep(sender.mac, loop.time()):
            return
        manners = self.manners.get(sender.mac)
        if manners and not manners.speaks(loop.time() + self.leap_s, advert.data):
            return
        rivals = []
        for each in self.controllers:
            if each is sender or not each.is_listening():
                continue
            if self.faults.is_jammed(self.position(each.public_address)):
                continue
            pair = sender.public_address, each.public_address
            rssi_dbm = self.rssi_dbm(*pair)
            if rssi_dbm >= _SENSITIVITY_DBM and not self.loses("advert", self.profile.advert_loss, *pair):
                if each.wants(advert):
                    rivals.append((each.mac, each, rssi_dbm))
                else:
                    loop.call_soon(each.hear, advert, rssi_dbm)
        if len(rivals) > 1:  # their CONNECT_INDs collide; who is stronger at that moment is received
            rivals.sort(key=lambda rival: rival[0])
            self.stream("race", sender.mac).shuffle(rivals)
        for _, each, rssi_dbm in rivals:
            loop.call_soon(each.hear, advert, rssi_dbm)
