"""T-PAIR-2: pairing where it is not allowed ("times"); T-PAIR-3: again and again ("keys"). Arguments: what, n, seed."""

import random

import score

from firmware.lib import advert, crypto, frame, opcodes
from firmware.lib.messages import pairing_client, session_client
from tests.unit.lock_rig import ADMIN_PS, UNLOCK_KEY, Refused, Rig, erase

WHAT, N, SEED = score.arguments()
_FOLDER = score.scratch("pairing-" + WHAT)
_ADD = pairing_client.add_admin(ADMIN_PS, UNLOCK_KEY)


def keys(rig):
    kept = rig.device.stores.keys
    return (kept.is_paired, kept.aes, kept.admin_ps, kept.unlock_key, rig.device.pairing.key)


def refused(rig, command, plain, key):
    """True if the answer is error 07, under the key of the lock's owner or, if it has none, the default one.

    To 0x45 somebody's lock answers its battery (hardware-facts.md F20).
    """
    sent = rig.raw(frame.encode(command, crypto.encrypt(key, plain)))
    if len(sent) != 1:
        return False
    kept = rig.device.stores.keys
    is_paired = rig.device.pairing.is_final
    wanted = b"\x45\x01\x64" if command == opcodes.INIT and is_paired else bytes((command, 0, 7))
    key = kept.aes if is_paired else crypto.DEFAULT_KEY
    return crypto.try_decrypt(key, frame.decode(sent[0]).payload) == (wanted, True)


def all_refused(rig, result, when, key=None):
    """INIT, GET_AES_KEY and ADD_ADMIN, all three, and nothing changes."""
    before = keys(rig)
    key = key or (rig.key if rig.device.stores.keys.is_paired else crypto.DEFAULT_KEY)
    for command, plain in ((0x45, b""), (0x19, b"SCIENER"), (0x56, _ADD)):
        result.check(refused(rig, command, plain, key), "%02x %s" % (command, when))
    result.check(keys(rig) == before, "keys changed %s" % when)
    shown = bool(rig.device.flags(rig.now_ms) & advert.SETTABLE)
    result.check(shown == rig.device.pairing.is_open(rig.now_ms), "the advertisement is wrong %s" % when)


def outside(rig, result):
    rig.now_ms += 120000
    rig.reach("factory")
    all_refused(rig, result, "outside of the window")
    rig.disconnect()
    rig.lock.keypad.touch(rig.now_ms)
    rig.now_ms += 15000
    rig.connect()
    all_refused(rig, result, "after the window")
    rig.disconnect()
    rig.lock.keypad.touch(rig.now_ms)
    rig.start(False)  # a reboot closes it
    rig.connect()
    all_refused(rig, result, "after a reboot")
    rig.disconnect()


def window_ends(rig, result):
    """A link, and touches, keep it open for 120 s in all."""
    rig.reach("open")
    began_ms = rig.now_ms
    while rig.now_ms - began_ms < 119000:
        rig.now_ms += 1000
        rig.lock.keypad.touch(rig.now_ms)
        result.check(rig.device.pairing.is_open(rig.now_ms), "closed at %d ms" % (rig.now_ms - began_ms))
    rig.now_ms = began_ms + 120000
    result.check(not rig.device.pairing.is_open(rig.now_ms), "open after 120 s")


def second_client(rig, result):
    """The first has got its key and drops out; the second cannot go on from there, and gets a key of its own."""
    rig.reach("keyed")
    first = rig.key
    rig.disconnect()
    rig.connect()
    result.check(rig.device.pairing.is_open(rig.now_ms), "the window is still open")
    result.check(refused(rig, 0x56, _ADD, first), "a second client takes up the first one's key")
    result.check(refused(rig, 0x56, _ADD, crypto.DEFAULT_KEY), "a second client without a key")
    second = bytes(pairing_client.aes_key(rig.ask(0x19, b"SCIENER", crypto.DEFAULT_KEY)))
    result.check(second != first, "the same key for a second client")
    result.check(refused(rig, 0x19, b"OTHER", crypto.DEFAULT_KEY), "a second key on one link")
    rig.disconnect()
    result.check(not rig.device.stores.keys.is_paired, "half a pairing is kept")


def finished(rig, result, keep):
    rig.reach("P")
    rig.ask(opcodes.PAIRING_DONE, b"")
    link = bytes(rig.key)
    keep(link)
    rig.lock.keypad.touch(rig.now_ms)
    all_refused(rig, result, "after success, on its link")
    rig.disconnect()
    rig.lock.keypad.touch(rig.now_ms)
    rig.connect()
    all_refused(rig, result, "of a lock that is somebody's")
    all_refused(rig, result, "of a lock that is somebody's, under the default key", crypto.DEFAULT_KEY)
    rig.ask(opcodes.STATUS, session_client.status_request())
    rig.disconnect()


def cut_off(rig, result):
    """The link or the power goes somewhere before the end: as if nothing had been."""
    rig.reach("P")
    for _ in range(random.randint(0, 3)):
        rig.ask(*random.choice(((0x43, b"\x1a\x05\x0b\x0e\x17\x07"), (0x53, b"\x02\x04\x06\x08"), (0x36, b"\x01"))))
    before = bytes(rig.key)
    if random.getrandbits(1):
        rig.start()
    else:
        rig.disconnect()
    kept = rig.device.stores.keys
    result.check(
        not kept.is_paired and kept.admin_passcode == b"" and not rig.device.stores.clock.is_trusted, "half kept"
    )
    rig.reach("keyed")
    result.check(bytes(rig.key) != before, "the key of a pairing that was cut off came again")


def dead_generator(rig, result):
    """T-RNG-2: no key, and no pairing, from a random generator that does not work."""
    import os

    class Stuck:
        @staticmethod
        def urandom(n):
            return b"\x5a" * n

    rig.reach("open")
    crypto.os = Stuck
    try:
        rig.ask(0x19, b"SCIENER", crypto.DEFAULT_KEY)
        result.check(False, "a key from a generator that is stuck")
    except Refused as err:
        result.check(err.error == 0x13 and rig.device.pairing.key is None, "refused with %02x" % err.error)
    crypto.os = os
    rig.reach("user")
    crypto.os = Stuck
    try:
        rig.ask(opcodes.CHECK_USER, session_client.check_user())
        result.check(False, "a challenge from a generator that is stuck")
    except Refused as err:
        result.check(err.error == 0x13 and rig.engine.session.open_challenge(rig.now_ms) is None, "challenge")
    crypto.os = os


def main():
    random.seed(SEED)
    result = score.Score()
    rig = Rig(_FOLDER, clock_backup=True)
    seen = [b""] * N  # made before the heap is in pieces
    for n in range(N):

        def keep(link, n=n):
            seen[n] = link

        if WHAT == "times":
            outside(rig, result)
            window_ends(rig, result)
            second_client(rig, result)
        cut_off(rig, result)
        finished(rig, result, keep)
        rig.reach("factory")
    dead_generator(rig, result)
    result.check(rig.pins.movements == 0, "the bolt moved")
    seen.sort()
    result.check(all(seen[n] != seen[n - 1] for n in range(1, N)), "a key came again")
    result.figures = {"pairings": N}
    off = Rig(_FOLDER, pairing_over_air=False)
    off.lock.keypad.touch(off.now_ms)
    off.connect()
    all_refused(off, result, "with pairing over the air switched off")
    erase(_FOLDER)
    result.end()


main()
