"""The reader: a card (a finger, a fob) held to the lock, and what follows. Owns the order of the steps.

An enrolment that waits for it takes it; else it is looked up, judged by `validity`, recorded, and the bolt moves.
Unknown ones are guesses, counted apart for each kind. Source: domain.md 3.2, 3.6, 3.11; security.md LIM-4.
"""

from firmware.lib import records, validity
from firmware.lock import access, bolt
from firmware.lock.device import LOCKED_OUT


class Kind:
    """How one kind of credential is judged and told: `find(key)` -> Credential or None, a guard, and the types of the
    records (None: there is none) of which `tail(key)` is the rest.
    """

    def __init__(self, find, guard, tail, opened, outside, double_locked, unknown, lost=None):
        self.find = find
        self.guard = guard
        self.tail = tail
        self.opened = opened
        self.outside = outside
        self.double_locked = double_locked
        self.unknown = unknown
        self.lost = lost

    def refused(self, why):
        """The type of the record of a refusal, or None: what says nothing of the credential leaves no record."""
        if why in ("frozen", "lockout", "low_battery"):
            return None
        words = {"unknown": self.unknown, "lost": self.lost, "double_locked": self.double_locked}
        return words.get(why, self.outside)


def of_cards(device):
    """Cards: records 17, 25, 39, 91, 51."""
    return Kind(device.cards.credential, device.limits.cards, records.by_card, 17, 25, 39, 91, 51)


def of_fingers(device):
    """Fingerprints: records 20, 22, 40; a finger that nobody knows leaves none."""
    store = device.fingerprints
    return Kind(store.credential, device.limits.fingers, store.number, 20, 22, 40, None)


class Reader:
    """`kinds`: word -> Kind."""

    def __init__(self, device, kinds):
        self._device = device
        self._kinds = kinds

    def present(self, word, key, now_ms):
        """`key` (bytes) of the kind `word` is held to the lock."""
        thing = self._device
        thing.touch(now_ms)
        if thing.enrolment.offer(word, key, now_ms):
            return
        if not thing.is_usable:
            thing.feedback.show("refused", now_ms)
            return
        kind = self._kinds[word]
        now = access.situation(thing)
        now.is_locked_out = not kind.guard.begin(now_ms)
        verdict = validity.decide(None if now.is_locked_out else kind.find(key), now)
        if verdict.is_right:
            kind.guard.succeed()
        elif verdict.why != "unknown" and not now.is_locked_out:
            kind.guard.withdraw()  # no guess
        if verdict.opens:
            self._open(kind, key, verdict, now_ms)
        else:
            self._refuse(kind, key, verdict.why, now_ms)

    def _open(self, kind, key, verdict, now_ms):
        thing = self._device
        if verdict.open_until_min is not None and thing.bolt.state == bolt.UNLOCKED:
            thing.feedback.show("unlocked", now_ms)  # open in a window: it changes nothing (domain.md 3.6)
            return
        thing.operate(bolt.UNLOCKED, kind.opened, kind.tail(key), _nothing, now_ms)

    def _refuse(self, kind, key, why, now_ms):
        thing = self._device
        told = kind.refused(why)
        if told is not None:
            thing.record(told, kind.tail(key))
        if why == "unknown" and kind.guard.is_pausing:
            thing.record(LOCKED_OUT)
            why = "lockout"
        thing.feedback.show(why if why in ("lockout", "low_battery") else "refused", now_ms)


def _nothing(arrived):
    pass
