"""The radio for key fobs: a button of one is pressed. Owns what follows: button 1 opens, button 2 locks.

A fob that waits to be let in is taken; any other is heard only if it is stored, and outside its validity it is ignored,
without a record (domain.md 2, key feature 8; record 55).
"""

from firmware.lib import validity
from firmware.lib.compat import const
from firmware.lock import access, bolt

_USED = const(55)
_OPEN = const(1)


class FobRadio:
    """`press` is what the radio hands over."""

    def __init__(self, device):
        self._device = device

    def press(self, address, button, battery, now_ms):
        """`address` as on the air, `battery` of the fob in per cent."""
        thing = self._device
        if thing.enrolment.offer("fob", address + bytes((battery,)), now_ms) or not thing.is_usable:
            return
        credential = thing.fobs.credential(address)
        if credential is None:  # somebody else's: it is not even touched
            return
        thing.fobs.heard(address, battery, now_ms)
        thing.wake(now_ms)
        now = access.situation(thing)
        if not validity.decide(credential, now).opens:
            thing.feedback.show("refused", now_ms)
            return
        target = bolt.UNLOCKED if button == _OPEN else bolt.LOCKED
        if thing.bolt.state == target == bolt.UNLOCKED and validity.passage_until(now) is not None:
            return  # open in a window: it changes nothing (domain.md 3.6)
        thing.operate(target, _USED, address + bytes((button, battery)), _nothing, now_ms)


def _nothing(arrived):
    pass
