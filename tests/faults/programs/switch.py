"""T-REM-2 and T-REM-4 at the lock: arguments n, seed.

n random frames under the link's key but without an administrator never change the remote-unlock switch, whichever way
it stands; an unlock that shows the gateways' uid is refused while it is off. (Another uid is not caught by that: the
reserved uid is a label, and without roles the gateway's own refusal is the barrier.)
"""

import random

import mutants
import score

from firmware.lib import crypto, frame, opcodes
from tests.unit.lock_rig import Refused, Rig, erase

N, SEED = score.arguments()
_FOLDER = score.scratch("switch")
_GATEWAY = 0x47415445


def stands(rig):
    return rig.device.stores.options.remote_unlock


def put(rig, value):
    rig.reach("S3")
    rig.ask(opcodes.REMOTE_UNLOCK, bytes((2, value)))
    rig.start(False)
    return stands(rig) == value


def by_gateway(rig):
    """True if an unlock that shows the gateways' uid moves the bolt."""
    rig.reach("S1")
    before = rig.pins.movements
    try:
        rig.operate(opcodes.UNLOCK, _GATEWAY)
    except Refused as err:
        return None if err.error != 0x02 else False
    moved = rig.pins.movements > before
    rig.operate(opcodes.LOCK, _GATEWAY)
    return moved


def flood(rig, result, n):
    value = stands(rig)
    for _ in range(n):
        if rig.engine.session is None or rig.engine.is_over:
            rig.reach(random.choice(("S0", "S1", "user", "admin")))
        if random.getrandbits(1):
            size = random.randint(0, 17)
            payload = crypto.encrypt(
                rig.key, bytes((random.randint(0, 3), random.getrandbits(1))) + mutants.noise(size)
            )
            raw = frame.encode(opcodes.REMOTE_UNLOCK, payload if random.getrandbits(2) else payload[:16])
        elif random.getrandbits(1):
            raw = frame.encode(opcodes.REMOTE_UNLOCK, crypto.encrypt(rig.key, bytes((2, random.getrandbits(1)))))
        else:
            raw = mutants.request((rig.key,))[0]
        rig.send(raw)
        rig.now_ms += 5
        result.check(stands(rig) == value, "the switch changed by %s" % raw.hex())


def main():
    random.seed(SEED)
    result = score.Score()
    rig = Rig(_FOLDER).paired()
    result.check(stands(rig) == 0, "on by default")
    for value in (0, 1):
        result.check(put(rig, value), "not stored")
        result.check(by_gateway(rig) is bool(value), "a gateway's unlock with the switch at %d" % value)
        flood(rig, result, N // 2)
        result.check(by_gateway(rig) is bool(value), "a gateway's unlock after the flood, switch at %d" % value)
    rig.reach("S3")
    rig.plain(opcodes.RESET, empty=True)
    rig.disconnect()
    rig.reach("S0")
    result.check(stands(rig) == 0, "on after a reset")
    erase(_FOLDER)
    result.end()


main()
