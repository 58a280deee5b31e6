"""T-PAIR-1, as far as it has an object: what of a lock's keys goes over the air, and when. Argument: n locks.

Locks are not provisioned over USB yet, so the key itself has to be sent once. A listener hears every byte of a pairing
and of the owner's later visits, knows the public default key, and looks for the keys in what is sent and in what he can
decipher: the link's key is in the one answer to 0x19, and nothing else is in anything that he can read without it.
"""

import score

from firmware.lib import crypto, frame, opcodes
from firmware.lib.messages import pairing_client, passcode_client
from tests.unit.lock_rig import ADMIN_PS, UNLOCK_KEY, Rig, erase

(N,) = score.arguments()
_FOLDER = score.scratch("on-air")
_CODE = "739105"
_ADMIN_CODE = "2468135"


class Listener:
    """Between a client and the lock's engine: keeps the frames of both."""

    def __init__(self, engine):
        self._engine = engine
        self._receive = engine.receive
        self._poll = engine.poll
        self.heard = []
        self._sent = b""
        engine.receive = self.receive
        engine.poll = self.poll

    def receive(self, link, part, now_ms):
        self._sent += bytes(part)
        if self._sent.endswith(b"\r\n") and len(self._sent) == 15 + self._sent[11]:
            self.heard.append(self._sent)
            self._sent = b""
        answers = self._receive(link, part, now_ms)
        self.heard.extend(answers)
        return answers

    def poll(self, now_ms):
        answers = self._poll(now_ms)
        self.heard.extend(answers)
        return answers

    def readable(self, key=crypto.DEFAULT_KEY):
        """(raw, what `key` makes of it) of every frame."""
        for raw in self.heard:
            yield raw, crypto.try_decrypt(key, frame.decode(raw).payload)[0]


def secrets(rig):
    numbers = [value.to_bytes(4, "big") for value in (ADMIN_PS, UNLOCK_KEY)]
    codes = [_CODE.encode(), _ADMIN_CODE.encode(), bytes(int(digit) for digit in _ADMIN_CODE)]
    return [rig.device.stores.keys.aes] + numbers + codes


def holders(heard, secret):
    return [number for number, (raw, plain) in enumerate(heard) if secret in raw or secret in plain]


def one(result):
    rig = Rig(_FOLDER)
    listener = Listener(rig.engine)
    rig.pair(finish=False)
    rig.ask(opcodes.SET_ADMIN_PASSCODE, pairing_client.set_admin_passcode(_ADMIN_CODE))
    rig.ask(opcodes.PAIRING_DONE, b"")
    pairing = list(listener.readable())
    for secret in secrets(rig):
        found = holders(pairing, secret)
        expected = 1 if secret == rig.device.stores.keys.aes else 0
        result.check(len(found) == expected, "%d frames of the pairing give a secret away" % len(found))
    found = holders(pairing, rig.device.stores.keys.aes)
    told = bytes(pairing[found[0]][1]) if found else b""
    result.check(told[:2] == bytes((opcodes.GET_AES_KEY, 1)), "the key is in something else than the answer to 0x19")
    rig.disconnect()
    listener.heard.clear()
    rig.reach("S3")
    rig.ask(opcodes.PASSCODE, passcode_client.add(passcode_client.PERMANENT, _CODE))
    rig.ask(opcodes.GET_ADMIN_PASSCODE, b"")
    rig.operate(opcodes.UNLOCK)
    rig.wait(2000, 100)
    rig.disconnect()
    result.check(len(listener.heard) == 13, "the listener heard %d frames, not 13" % len(listener.heard))
    for secret in secrets(rig):
        result.check(not holders(list(listener.readable()), secret), "a later visit gives a secret away")
    for number in (ADMIN_PS.to_bytes(4, "big"), _CODE.encode()):  # he would see it, if he had the key
        result.check(holders(list(listener.readable(rig.key)), number), "the listener is blind")


def main():
    result = score.Score()
    for _ in range(N):
        one(result)
    erase(_FOLDER)
    result.end()


main()
