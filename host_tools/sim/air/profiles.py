"""Air profiles: what the air does to packets. Owns their numbers; who draws by them is `air` and `controller`."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Profile:
    """What an air does to packets. A further profile is one more line in PROFILES.

    No intervals here: the advertising interval is the lock image's choice, the connection interval
    the central's (architecture.md, "The simulator").
    """

    name: str
    paced: bool = True  # False: packets leave at once instead of at connection events
    packet_loss: float = 0.0  # chance that one data packet stays unanswered in its connection event
    advert_loss: float = 0.0  # chance that one listener misses one advertisement
    connect_loss: float = 0.0  # chance that the advertiser misses CONNECT_IND: the attempt fails with 0x3E
    packets_per_event: int = 4
    by_distance: bool = True  # False: everybody hears everybody at -50 dBm
    noise_db: float = 2.0


PROFILES = {
    "ideal": Profile("ideal", paced=False, by_distance=False, noise_db=0.0),
    "home": Profile("home", packet_loss=0.05, advert_loss=0.05, connect_loss=0.05),
    "bad": Profile("bad", packet_loss=0.20, advert_loss=0.20, connect_loss=0.50),
    # hardware-facts.md F3: half of the attempts, with a good signal. Advertisements that are missed are part of that
    # half, so none gets lost besides. The locks' own part is in `real.py`.
    "real": Profile("real", packet_loss=0.05, connect_loss=0.50),
}
