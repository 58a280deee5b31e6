"""T-BRF-1 to 4: somebody with the link's key guesses for 24 hours, leaping from pause to pause. Arguments: what, seed.

what: "user" (0x55, 0x47), "admin" (0x41 and 0x30, and 0x47 to an administrator's challenge), "cut" (power cut after
every attempt), "owner" (the owner unlocks in between), "garbage" (frames that do not decrypt: count given as third).
"""

import random

import mutants
import score

from firmware.lib import crypto, frame, opcodes, records
from firmware.lib.messages import passcode_client, session_client
from tests.unit.lock_rig import ADMIN_PS, UNLOCK_KEY, Refused, Rig, erase

WHAT, SEED = score.arguments()[:2]
_FOLDER = score.scratch("brute-" + WHAT)
_DAY_MS = 86400000
_CODE = "739105"
_WRONG = (0x03, 0x08)
_HOPELESS = 500  # guesses evaluated: no bound in sight


class Guesser:
    """`guess` sends one wrong answer: True if it was evaluated."""

    def __init__(self, rig, by_admin):
        self.rig = rig
        self.by_admin = by_admin
        self.way = 0

    def link(self):
        self.rig.engine.poll(self.rig.now_ms)
        if self.rig.engine.session is None or self.rig.engine.is_over:
            self.rig.disconnect()
            self.rig.connect()

    def _challenge(self, command):
        if command == opcodes.CHECK_USER:
            return session_client.challenge(self.rig.ask(command, session_client.check_user()))
        return session_client.challenge(self.rig.ask(command, session_client.check_admin(ADMIN_PS)))

    def guess(self, unlock_key=None):
        rig = self.rig
        self.link()
        wrong = random.randint(1, 0x7FFFFFFF) if unlock_key is None else unlock_key
        self.way = (self.way + 1) % 3
        try:
            if self.by_admin and self.way == 0 and unlock_key is None:
                rig.ask(opcodes.CHECK_ADMIN, session_client.check_admin(wrong))
            elif self.by_admin and self.way == 1:
                challenge = self._challenge(opcodes.CHECK_ADMIN)
                rig.ask(opcodes.CHECK_RANDOM, session_client.check_random(challenge, wrong))
            else:
                challenge = self._challenge(opcodes.CHECK_ADMIN if self.by_admin else opcodes.CHECK_USER)
                rig.ask(opcodes.UNLOCK, session_client.operate(challenge, wrong, rig.now_ms & 0xFFFFFF))
        except Refused as err:
            return err.error in _WRONG
        return True


def keypad_works(rig, result):
    """T-BRF-3: the code at the keypad and the button inside open throughout."""
    result.figures["keypad_tries"] = result.figures.get("keypad_tries", 0) + 1
    before = rig.pins.movements
    rig.type(_CODE + "#")
    rig.wait(400)
    rig.button.active = True
    rig.wait(200)
    rig.button.active = False
    rig.wait(600)
    result.check(rig.pins.movements == before + 2, "keypad or button is affected")


def day(rig, guesser, result, cuts=False):
    """24 hours of guessing; the number of evaluated guesses."""
    limits = rig.device.stores.limits
    guard = limits.admin if guesser.by_admin else limits.user
    until_ms = rig.now_ms + _DAY_MS
    evaluated = refused = 0
    while rig.now_ms < until_ms and evaluated < _HOPELESS:
        if guesser.guess():
            evaluated += 1
        if cuts:
            rig.start()
            limits = rig.device.stores.limits
            guard = limits.admin if guesser.by_admin else limits.user
        moved = rig.device.bolt.movements
        for _ in range(3):  # as fast as the link allows: none of these is looked at, right or wrong
            if guard.wait_ms(rig.now_ms) > 500:
                result.check(not guesser.guess(), "evaluated in a pause")
                result.check(not guesser.guess(UNLOCK_KEY), "a right answer is looked at in a pause")
                refused += 2
        result.check(rig.device.bolt.movements == moved, "the bolt moved")
        keypad_works(rig, result)
        wait_ms = guard.wait_ms(rig.now_ms)
        if wait_ms > 2000:  # to a random moment of the pause, and to the last before its end
            rig.now_ms += random.randint(0, wait_ms - 2000)
            result.check(not guesser.guess(), "evaluated in the middle of a pause")
            rig.now_ms += guard.wait_ms(rig.now_ms) - 1
            result.check(not guesser.guess(), "evaluated before the end of a pause")
            rig.now_ms += 1
    result.figures["refused_unseen"] = refused
    return evaluated


def with_owner(rig, result):
    """The owner's unlocks end each row of failures; the budget of the day does not grow by it."""
    guesser = Guesser(rig, False)
    until_ms = rig.now_ms + _DAY_MS
    evaluated = owner = 0
    while rig.now_ms < until_ms and evaluated < _HOPELESS:
        while guesser.guess() and evaluated < _HOPELESS:
            evaluated += 1
            result.n += 1
            if (
                rig.device.stores.limits.user.consecutive == 4
                and rig.device.stores.limits.user.wait_ms(rig.now_ms) == 0
            ):
                guesser.way = 0
                owner += guesser.guess(UNLOCK_KEY)
                rig.wait(7000, 100)
        rig.now_ms += max(1000, rig.device.stores.limits.user.wait_ms(rig.now_ms))
        guesser.way = 0
        owner += guesser.guess(UNLOCK_KEY)
        rig.wait(7000, 100)
    result.check(owner > 24, "the owner got in %d times only" % owner)
    result.figures["owner"] = owner
    return evaluated


def garbage(rig, result, n):
    """T-BRF-4: what does not decrypt never advances a counter, nor does anything a stranger may ask."""
    limits = rig.device.stores.limits
    rig.reach("S0")
    for _ in range(n):
        if rig.engine.is_over:
            rig.reach("S0")
        if random.getrandbits(1):
            command = random.choice((opcodes.CHECK_ADMIN, opcodes.CHECK_RANDOM, opcodes.UNLOCK, opcodes.CHECK_USER))
            raw = frame.encode(command, crypto.encrypt(mutants.noise(16), mutants.noise(random.randint(0, 20))))
        else:
            raw = mutants.request((mutants.noise(16),))[0]
        for part in mutants.pieces(raw):
            rig.send(part)
        found = (limits.user.consecutive, limits.admin.consecutive, limits.user.spent, limits.admin.spent)
        result.check(found == (0, 0, 0, 0), "a counter moved")
    return 0


def main():
    random.seed(SEED)
    result = score.Score()
    rig = Rig(_FOLDER).paired()
    rig.reach("S3")
    rig.ask(opcodes.PASSCODE, passcode_client.add(passcode_client.PERMANENT, _CODE))
    rig.disconnect()
    rig.now_ms += 2 * _DAY_MS
    if WHAT == "garbage":
        garbage(rig, result, score.arguments()[2])
    elif WHAT == "owner":
        evaluated = with_owner(rig, result)
        result.check(evaluated <= 100 + 24, "%d guesses evaluated" % evaluated)
        result.figures["evaluated_" + WHAT] = evaluated
    else:
        evaluated = day(rig, Guesser(rig, WHAT == "admin"), result, WHAT == "cut")
        result.check(6 < evaluated <= 5 + 6 + 24, "%d guesses evaluated" % evaluated)
        if WHAT != "cut":
            told = [records.decode(raw).type for raw in rig.device.stores.ring.newest(500)].count(48)
            result.check(told == evaluated - 4, "%d records of a lockout for %d pauses" % (told, evaluated - 4))
        result.figures["evaluated_" + WHAT] = evaluated
    erase(_FOLDER)
    result.end()


main()
