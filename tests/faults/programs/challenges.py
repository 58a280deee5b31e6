"""T-RND-1: n challenges of a session; T-RND-2: challenges answered twice, late, on another link, to the other command.

Arguments: n of the first, n of the second, seed.
"""

import random

import score

from firmware.lib import opcodes
from firmware.lib.messages import session_client
from firmware.lock.session import Session
from tests.unit.lock_rig import UNLOCK_KEY, Refused, Rig, erase

DRAWN, USED, SEED = score.arguments()
_FOLDER = score.scratch("challenges")
_BITS = 31
_TOP = (1 << 31) - 1
_CHI_BIT = 30  # one degree of freedom: exceeded once in 2*10^7


def drawn(result):
    session = Session((0, 1), 0)
    values = []
    ones = [0] * _BITS
    for _ in range(DRAWN):
        value = session.issue(opcodes.CHECK_USER, 0, 0)
        if not 1 <= value <= _TOP:
            result.fail("challenge out of range")
        values.append(value)
        for bit in range(_BITS):
            ones[bit] += value >> bit & 1
    result.n += DRAWN
    worst = max((2 * count - DRAWN) * (2 * count - DRAWN) / DRAWN for count in ones)
    result.check(worst < _CHI_BIT, "bits are not even: chi2 %.1f" % worst)
    values.sort()
    repeats = sum(1 for place in range(1, DRAWN) if values[place] == values[place - 1])
    usual = DRAWN * (DRAWN - 1) / 2 / _TOP
    result.check(repeats <= usual + 6 * usual**0.5 + 3, "%d repeats, %.1f are usual" % (repeats, usual))
    result.figures["repeats"] = "%d of %.1f usual" % (repeats, usual)
    result.figures["worst_chi2_of_31_bits"] = "%.1f" % worst


def refused(rig, command, plain):
    """The error byte, 0 for success."""
    try:
        rig.ask(command, plain)
        return 0
    except Refused as err:
        return err.error


def operate(challenge, unix_s):
    return session_client.operate(challenge, UNLOCK_KEY, unix_s)


def twice(rig, challenge, n):
    first = refused(rig, opcodes.UNLOCK, operate(challenge, n))
    rig.wait(1000)
    return first == 0 and refused(rig, opcodes.UNLOCK, operate(challenge, n + 1)) == 0x02


def wrong_then_right(rig, challenge, n):
    wrong = refused(rig, opcodes.UNLOCK, session_client.operate(challenge, UNLOCK_KEY + 1, n))
    return wrong == 0x08 and refused(rig, opcodes.UNLOCK, operate(challenge, n)) == 0x02


def late(rig, challenge, n):
    rig.now_ms += 10000 + random.getrandbits(8)
    return refused(rig, opcodes.UNLOCK, operate(challenge, n)) == 0x02


def on_a_new_link(rig, challenge, n):
    rig.disconnect()
    rig.connect()
    return refused(rig, opcodes.UNLOCK, operate(challenge, n)) == 0x02


def after_a_new_check(rig, challenge, n):
    newer = session_client.challenge(rig.ask(opcodes.CHECK_USER, session_client.check_user()))
    return newer != challenge and refused(rig, opcodes.UNLOCK, operate(challenge, n)) == 0x08


def to_the_other_role(rig, challenge, n):
    """decisions.md DEC-19: right, and it opens nothing; the challenge is used up by it."""
    right = refused(rig, opcodes.CHECK_RANDOM, session_client.check_random(challenge, UNLOCK_KEY))
    opens = rig.engine.session.s3_age_ms(rig.now_ms) is not None
    return right == 0 and not opens and refused(rig, opcodes.UNLOCK, operate(challenge, n)) == 0x02


def used(result):
    rig = Rig(_FOLDER).paired()
    rig.wait(100)
    ways = (twice, wrong_then_right, late, on_a_new_link, after_a_new_check, to_the_other_role)
    for n in range(USED):
        way = ways[n % len(ways)]
        challenge = rig.reach("user")
        before = rig.device.bolt.movements
        result.check(way(rig, challenge, n), way.__name__)
        moved = rig.device.bolt.movements - before
        result.check(moved <= (1 if way is twice else 0), "%s moved the bolt" % way.__name__)
        if rig.device.stores.limits.user.spent > 90:
            rig.now_ms += 90000000
    erase(_FOLDER)


random.seed(SEED)
found = score.Score()
if DRAWN:
    drawn(found)
if USED:
    used(found)
found.end()
