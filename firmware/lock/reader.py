"""The reader and the radio for key fobs: a card, a finger or a fob is presented, and what follows.

Owns the order of the steps: an enrolment that waits for it gets it; otherwise it is looked up, judged by `validity`,
recorded, and the bolt moves. Unknown cards and fingers are guesses, counted apart for each kind. A fob that is not
stored is ignored, and so is one outside its validity, without a record.
Source: domain.md 2 (key feature 8), 3.2, 3.6, 3.11; security.md LIM-4; records 17, 20, 22, 25, 39, 40, 51, 55, 91.
"""

from firmware.lib import records, validity
from firmware.lib.compat import const
from firmware.lock import bolt
from firmware.lock.device import LOCKED_OUT

_FOB_USED = const(55)
_OPEN = const(1)  # button of a fob; 2 locks

# Record types: opened, outside its validity, double locked, unknown, lost; 0: there is none
_CARD = b"\x11\x19\x27\x5b\x33"
_FINGER = b"\x14\x16\x28\x00\x00"
_REFUSALS = ("double_locked", "unknown", "lost")


class Reader:
    """`device` and `motion` are the lock's."""

    def __init__(self, device, motion):
        self._device = device
        self._motion = motion

    def present(self, kind, key, now_ms):
        """A card (its number) or a finger (its template) is held to the lock; `kind` is "card" or "finger"."""
        device = self._device
        stores = device.stores
        device.touch(now_ms)
        if device.enrolment.offer(kind, key, now_ms):
            return
        if not device.is_usable:
            device.feedback.show("refused", now_ms)
            return
        is_card = kind == "card"
        guard = stores.limits.cards if is_card else stores.limits.fingers
        store = stores.cards if is_card else stores.fingerprints
        now = device.situation()
        now.is_locked_out = not guard.begin(now_ms)
        verdict = validity.decide(None if now.is_locked_out else store.credential(key), now)
        if verdict.is_right:
            guard.succeed()
        elif verdict.why != "unknown" and not now.is_locked_out:
            guard.withdraw()  # no guess
        if not verdict.opens:
            self._refuse(kind, key, verdict.why, guard, now_ms)
        elif verdict.open_until_min is not None and device.bolt.state == bolt.UNLOCKED:
            device.feedback.show("unlocked", now_ms)  # open in a window: it changes nothing (domain.md 3.6)
        else:
            opened = (_CARD if is_card else _FINGER)[0]
            self._motion.operate(bolt.UNLOCKED, opened, self._tail(kind, key), None, now_ms)

    def _tail(self, kind, key):
        return records.by_card(key) if kind == "card" else self._device.stores.fingerprints.number(key)

    def _refuse(self, kind, key, why, guard, now_ms):
        device = self._device
        if why not in ("frozen", "lockout", "low_battery"):  # these say nothing of the credential: no record
            types = _CARD if kind == "card" else _FINGER
            refused = types[2 + _REFUSALS.index(why)] if why in _REFUSALS else types[1]
            if refused:
                device.record(refused, self._tail(kind, key))
        if why == "unknown" and guard.is_pausing:
            device.record(LOCKED_OUT)
            why = "lockout"
        device.feedback.show(why if why in ("lockout", "low_battery") else "refused", now_ms)

    def press_fob(self, address, button, battery, now_ms):
        """A button of a fob is pressed. `address` as on the air, `battery` of the fob in per cent."""
        device = self._device
        if device.enrolment.offer("fob", address + bytes((battery,)), now_ms) or not device.is_usable:
            return
        fobs = device.stores.fobs
        credential = fobs.credential(address)
        if credential is None:  # somebody else's
            return
        fobs.sighted(address, battery, now_ms)
        device.wake(now_ms)
        now = device.situation()
        if not validity.decide(credential, now).opens:
            device.feedback.show("refused", now_ms)
            return
        target = bolt.UNLOCKED if button == _OPEN else bolt.LOCKED
        if device.bolt.state == target == bolt.UNLOCKED and validity.passage_until(now) is not None:
            return  # open in a window: it changes nothing (domain.md 3.6)
        self._motion.operate(target, _FOB_USED, address + bytes((button, battery)), None, now_ms)
