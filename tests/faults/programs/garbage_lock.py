"""Mutated requests to the lock's engine, at every level: arguments n, seed, level.

The bolt must not move, nothing may be raised, below an admin session keys, codes and settings stay as they are, without
the key not even a counter moves; and a client with the keys is served right afterwards.
"""

import random

import mutants
import score
from lock_kept import kept

from firmware.lib import crypto, opcodes
from firmware.system.timing import ticks_diff, ticks_ms
from tests.unit.lock_rig import Rig, erase

N, SEED, LEVEL = score.arguments()
_FOLDER = score.scratch("garbage-lock-%s-%d" % (LEVEL, SEED))
_ROUND = 500
_OTHER_KEY = b"\x01" * 16


def counters(rig):
    limits = rig.device.stores.limits
    return [guard.consecutive for guard in (limits.user, limits.admin, limits.keypad)] + [len(rig.device.stores.ring)]


def feed(rig, raw, totals):
    answers = 0
    for part in mutants.pieces(raw):
        if random.getrandbits(9) == 0:  # somebody else comes in the middle, the end of the first not reported
            old = rig.link
            rig.connect()
            if rig.engine.receive(old, part, rig.now_ms):
                raise ValueError("a link that is not there was answered")
        answers += len(rig.engine.receive(rig.link, part, rig.now_ms))
        rig.now_ms += 1
        if rig.engine.is_over:
            break
    totals[0] += answers


def serve(rig, result):
    """A client with the keys comes after all that."""
    rig.now_ms += 90000000
    rig.reach("S3")
    before = rig.pins.movements
    rig.operate(opcodes.UNLOCK)
    rig.operate(opcodes.LOCK)
    result.check(rig.pins.movements == before + 2, "valid traffic is not served")


def main():
    random.seed(SEED)
    result = score.Score()
    rig = Rig(_FOLDER)
    totals = [0]
    links = 0
    began = ticks_ms()
    done = 0
    while done < N:
        rig.reach(LEVEL)
        links += 1
        keys = (
            (crypto.DEFAULT_KEY, _OTHER_KEY) if LEVEL in ("S0", "factory") else (rig.key, rig.key, crypto.DEFAULT_KEY)
        )
        keyless = LEVEL == "S0"
        before = kept(rig)
        counted = counters(rig)
        moved = rig.pins.movements
        motor = rig.device.bolt.movements
        for _ in range(40):
            raw, _ = mutants.request(keys)
            done += 1
            result.n += 1
            try:
                feed(rig, raw, totals)
                if random.getrandbits(3) == 0:
                    feed(rig, raw, totals)  # once more, as clients do that misread an answer
                totals[0] += len(rig.engine.poll(rig.now_ms))
            except Exception as err:
                result.fail("%s: %r of %s" % (LEVEL, err, raw.hex()))
                rig.start(False)
                break
            if rig.engine.is_over or done >= N:
                break
        if (rig.device.bolt.movements, rig.pins.movements) != (motor, moved):
            result.fail("%s: the bolt moved after %s" % (LEVEL, raw.hex()))
        if LEVEL in ("S0", "S1", "user", "admin", "factory") and kept(rig) != before:
            result.fail("%s: changed by %s" % (LEVEL, raw.hex()))
        if keyless and counters(rig) != counted:
            result.fail("a counter moved without the key")
        if links % _ROUND == 0:
            serve(rig, result)
    serve(rig, result)
    took_ms = ticks_diff(ticks_ms(), began)
    result.figures = {LEVEL: "%d answered on %d links, %d/s" % (totals[0], links, 1000 * done // max(1, took_ms))}
    erase(_FOLDER)
    result.end()


main()
