"""T-ORC-1: six kinds of bad frames, told apart by nothing: arguments n of each kind, seed.

At each level: no answer, the link over with the third or after 2 s, and the same number of operations (cipher calls and
blocks, CRC runs, structure checks, comparisons, appends to flash) for every kind.
"""

import random
import time

import score

from firmware.lib import crypto, frame, opcodes
from firmware.lock import engine
from firmware.lock.commands import table
from tests.unit.lock_rig import Rig, erase

N, SEED = score.arguments()
_FOLDER = score.scratch("oracle")
_KINDS = ("crc", "length", "padding", "structure", "key", "version")
# Level: commands that it lets through, each with a plain text of a wrong structure that fills two blocks
_LEVELS = {
    "S0": (opcodes.STATUS, opcodes.CHECK_USER),
    "S1": (opcodes.CHECK_ADMIN, opcodes.SET_CLOCK),
    "user": (opcodes.UNLOCK, opcodes.LOG),
    "S3": (opcodes.PASSCODE, opcodes.PASSCODE_LIST),
    "P": (opcodes.SET_CLOCK, opcodes.INIT_PASSWORDS),
}
_VERSIONS = ((5, 0), (5, 1), (5, 2), (5, 4), (6, 3), (10, 1), (0x85, 3), (255, 255))
_LEGACY = ((0, 3), (1, 3), (2, 1), (3, 0), (4, 3))

counts = {}


def counted(name, function, size=None):
    def wrapper(*given):
        counts[name] = counts.get(name, 0) + 1
        if size is not None:
            counts[name + "_size"] = counts.get(name + "_size", 0) + size(given)
        return function(*given)

    return wrapper


def instrument():
    """Count what costs time or leaves a trace; the code itself is the one that ships."""
    import firmware.system.journal as journal

    crypto._cipher = counted("cipher", crypto._cipher, lambda given: len(given[4]) // 16)
    crypto.try_decrypt = counted("decrypt", crypto.try_decrypt)
    crypto.equal = counted("equal", crypto.equal)
    frame.crc_standard = counted("crc", frame.crc_standard)
    frame.crc_vendor = counted("crc", frame.crc_vendor)
    journal.Journal.append = counted("append", journal.Journal.append)
    engine.functions = lambda command: tuple(map(counted, ("structure", "handle"), table.functions(command)))


def bad(kind, command, key, pair):
    """One frame of this kind; its payload fills two blocks."""
    while True:
        raw = _bad(kind, command, key, pair)
        if kind == "key" and crypto.try_decrypt(key, raw[12:-3])[1]:
            continue  # once in 256: by chance it is a request under the lock's key
        if kind == "version" and b"\x7f" in raw[1:]:
            continue  # what looks like another header inside a legacy frame counts as one more
        return raw


def _bad(kind, command, key, pair):
    noise = b"\x01" + bytes(random.getrandbits(8) for _ in range(19))  # a length that no command has for operation 1
    if kind == "length":
        size = random.choice([size for size in range(17, 32)])
        return frame.encode(command, crypto.encrypt(key, noise)[:size])
    if kind == "padding":
        while True:
            payload = bytes(random.getrandbits(8) for _ in range(32))
            if not crypto.try_decrypt(key, payload)[1]:
                return frame.encode(command, payload)
    if kind == "key":
        return frame.encode(command, crypto.encrypt(noise[:16], noise))
    raw = bytearray(frame.encode(command, crypto.encrypt(key, noise)))
    if kind == "crc":
        wanted = (frame.crc_standard(raw[:-3]), frame.crc_vendor(raw[:-3]))
        while raw[-3] in wanted:
            raw[-3] = random.getrandbits(8)
    if kind == "version":
        return frame.encode(command, bytes(raw[12:-3]), protocol=pair[0], version=pair[1])
    return bytes(raw)


def measure(rig, level, kind, n, result, versions):
    """Operation counts of n frames, each judged; (set of counts, times in us)."""
    seen = {}
    times = []
    rig.reach(level)
    commands = _LEVELS[level]
    on_link = 0
    for number in range(n):
        if on_link == 3 or (on_link and random.getrandbits(4) == 0):
            if on_link < 3:  # not the third: then the time ends it
                rig.now_ms += 1999
                result.check(not rig.engine.is_over and not rig.engine.poll(rig.now_ms), "%s: over early" % kind)
                rig.now_ms += 1
                rig.engine.poll(rig.now_ms)
            result.check(rig.engine.is_over, "%s at %s: not over" % (kind, level))
            rig.reach(level)
            on_link = 0
        if level == "user" and not rig.engine.session.open_challenge(rig.now_ms):
            rig.reach(level)
            on_link = 0
        command = commands[number % len(commands)]
        raw = bad(kind, command, rig.key, versions[number % len(versions)])
        for name in list(counts):
            counts[name] = 0
        began = time.ticks_us()
        answers = rig.engine.receive(rig.link, raw, rig.now_ms)
        times.append(time.ticks_diff(time.ticks_us(), began))
        what = tuple(sorted(item for item in counts.items() if item[1]))
        seen[what] = seen.get(what, 0) + 1
        on_link += 1
        result.check(answers == [], "%s at %s was answered" % (kind, level))
        result.check(rig.engine.is_over == (on_link == 3), "%s at %s: frame %d" % (kind, level, on_link))
    times.sort()
    return seen, times[len(times) // 2]


def main():
    random.seed(SEED)
    result = score.Score()
    rig = Rig(_FOLDER).paired()
    instrument()
    spread_us = 0
    told = None
    for level in _LEVELS:
        reference = None
        medians = []
        for kind in _KINDS:
            seen, median_us = measure(rig, level, kind, N // len(_LEVELS), result, _VERSIONS)
            medians.append(median_us)
            reference = reference or seen
            result.check(len(seen) == 1 and set(seen) == set(reference), "%s at %s costs %r" % (kind, level, seen))
            told = told or seen
        spread_us = max(spread_us, max(medians) - min(medians))
        measure(rig, level, "version", N // len(_LEVELS), result, _LEGACY)
    result.figures = {"operations": dict(list(told)[0]), "medians_apart_us": spread_us}
    erase(_FOLDER)
    result.end()


main()
