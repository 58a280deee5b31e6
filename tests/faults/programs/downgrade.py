"""T-DWN-2: legacy and short headers, and every version but (5, 3), to a lock at every level. Arguments: n, seed.

No answer, no effect. The payloads are right requests under the right key, so that only the header is wrong.
"""

import random
import re

import mutants
import score

from firmware.lib import crypto, frame
from tests.unit.lock_rig import Rig, erase

N, SEED = score.arguments()
_FOLDER = score.scratch("downgrade")
_GREETING = re.compile(b"\x7f\x5a\x05\x01.....\x45")  # answered, with the battery alone (hardware-facts.md F20)
_LEVELS = ("S0", "S1", "user", "S3", "P", "open")


def state(rig):
    device = rig.device
    keys = device.stores.keys
    limits = device.stores.limits
    options = device.stores.options
    kept = (
        keys.is_paired,
        keys.aes,
        keys.admin_passcode,
        len(device.stores.passcodes),
        device.is_resetting,
        len(device.stores.ring),
    )
    kept += (options.autolock_s, options.sound, options.remote_unlock, device.pairing.stage, device.bolt.movements)
    return kept + (limits.user.consecutive, limits.admin.consecutive, device.stores.clock.seconds())


def legacy(command, payload):
    """The envelope of the generations before (lock-ble-link.md 4.2): type, then command, encryption byte, length."""
    kind = random.randint(0, 4)
    seed = random.getrandbits(8)
    coded = bytes(octet ^ seed ^ frame.CRC_TABLE[len(payload) & 0xFF] for octet in payload)
    raw = b"\x7f\x5a" + bytes((kind, command, seed, len(coded) & 0xFF)) + coded
    return raw + bytes((frame.crc_standard(raw),)) + b"\r\n"


def downgraded(rig):
    command = random.choice(mutants.COMMANDS)
    plain = mutants.PLAINS[command]
    key = crypto.DEFAULT_KEY if command in (0x45, 0x19) else rig.key
    payload = crypto.encrypt(key, plain)
    way = random.randint(0, 4)
    if way == 0:
        return legacy(command, random.choice((plain, payload)))
    version = (5, 3)
    while version == (5, 3):
        version = random.getrandbits(8) if way == 1 else random.randint(0, 15), random.randint(0, 7)
    raw = frame.encode(command, payload, protocol=version[0], version=version[1], vendor=bool(random.getrandbits(1)))
    if way == 2:  # a short header: some of its fields are missing
        at = random.randint(3, 10)
        raw = raw[:at] + raw[at + random.randint(1, 12 - at) :]
        return b"" if raw[2:4] == b"\x05\x03" else raw
    return mutants.mutate(raw) if way == 3 else raw


def main():
    random.seed(SEED)
    result = score.Score()
    rig = Rig(_FOLDER)
    done = 0
    while done < N:
        for level in _LEVELS:
            rig.reach(level)
            before = state(rig)
            while not rig.engine.is_over:
                raw = downgraded(rig)
                if b"\x7f\x5a\x05\x03" in raw or _GREETING.search(raw) or raw.endswith(b"\x7f"):  # or whole again
                    continue
                done += 1
                answers = []
                for part in mutants.pieces(raw):
                    answers += rig.send(part)
                rig.now_ms += 30
                rig.engine.poll(rig.now_ms)
                result.check(not answers and state(rig) == before, "%s: %s" % (level, raw.hex()))
    erase(_FOLDER)
    result.end()


main()
