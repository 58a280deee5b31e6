"""T-KEY-3: frames under the public default key to a lock that is somebody's, all opcodes and levels. Argument: seed.

Nothing but silence or a constant answer under the lock's own key (a refusal; to 0x45 the battery), and nothing changes.
"""

import random

import mutants
import score

from firmware.lib import crypto, frame, opcodes
from tests.unit.lock_rig import Rig, erase

(SEED,) = score.arguments()
_FOLDER = score.scratch("default-key")
_CONSTANT = (0x02, 0x07, 0x1B)
_GREETED = b"\x45\x01\x64"  # hardware-facts.md F20: the battery, which the lock advertises


def state(rig):
    device = rig.device
    keys = device.stores.keys
    limits = device.stores.limits
    kept = (keys.is_paired, keys.aes, keys.admin_ps, keys.unlock_key, keys.admin_passcode, len(device.stores.passcodes))
    return kept + (device.bolt.movements, len(device.stores.ring), limits.user.consecutive, limits.admin.consecutive)


def main():
    random.seed(SEED)
    result = score.Score()
    rig = Rig(_FOLDER).paired()
    for level in ("S0", "S1", "user", "admin", "S3"):
        rig.reach(level)
        before = state(rig)
        answered = {}
        for opcode in range(256):
            for plain in (mutants.PLAINS.get(opcode, b"\x01"), b"", mutants.noise(20)):
                if rig.engine.is_over:
                    rig.reach(level)
                    before = state(rig)
                payload = crypto.encrypt(crypto.DEFAULT_KEY, plain)
                if crypto.try_decrypt(rig.key, payload)[1]:  # one in 256 has a right padding under any key
                    continue
                sent = rig.raw(frame.encode(opcode, payload))
                if not sent:
                    result.n += 1
                    continue
                try:
                    answer = crypto.decrypt(rig.key, frame.decode(sent[0]).payload)
                except Exception as err:
                    result.check(False, "%02x at %s: not under the lock's key (%r)" % (opcode, level, err))
                    continue
                constant = len(answer) == 3 and answer[:2] == bytes((opcode, 0)) and answer[2] in _CONSTANT
                constant = constant or answer == _GREETED
                constant = constant and answered.get(opcode, answer) == answer
                answered[opcode] = answer
                result.check(constant, "%02x at %s: %s" % (opcode, level, answer.hex()))
                result.check(state(rig) == before, "%02x at %s changed something" % (opcode, level))
        result.figures["refused_" + level] = len(answered)
    rig.reach("S3")
    rig.ask(opcodes.PASSCODE_LIST, b"\x00\x00")
    erase(_FOLDER)
    result.end()


main()
