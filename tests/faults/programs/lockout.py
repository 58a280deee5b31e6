"""T-LCK-1 to 4: wrong codes at the keypad. Arguments: what, seed, n.

what: "rules" (numbers of LIM-4), "cut" (power cut at every digit of every entry, for 24 hours), "clock" (the clock
jumps by a day, by hand and over the link), "wrap" (the board's ticks wrap in the middle of everything).
"""

import random

import score

from firmware.lib import opcodes, records
from firmware.lib.messages import pairing_client, passcode_client, session_client
from firmware.system.timing import Uptime
from tests.unit.lock_rig import Refused, Rig, erase

WHAT, SEED, N = score.arguments()
_FOLDER = score.scratch("lockout-" + WHAT)
_DAY_MS = 86400000
_HOUR_MS = 3600000
_CODE = "739105"
_ADMIN_CODE = "2468135"
_PAUSES_S = (300, 600, 1200, 2400, 3600, 3600)
_TURN = 1 << 30  # of ticks
_HOPELESS = 1000  # entries in a day: no lockout in sight


def prepare():
    rig = Rig(_FOLDER).paired()
    rig.reach("S3")
    rig.ask(opcodes.PASSCODE, passcode_client.add(passcode_client.PERMANENT, _CODE))
    rig.ask(opcodes.SET_ADMIN_PASSCODE, pairing_client.set_admin_passcode(_ADMIN_CODE))
    rig.disconnect()
    return rig


def wrong_code():
    while True:
        code = "%06d" % random.randint(0, 999999)
        if code != _CODE:
            return code


def opens(rig, code):
    """Type a code; True if the bolt moved. It is locked again afterwards, within 7 s."""
    before = rig.device.bolt.movements
    for key in code + "#":
        rig.lock.keypad.press(key, rig.now_ms)
    moved = rig.device.bolt.movements > before
    if moved:
        rig.wait(7000, 100)
    return moved


def evaluated(rig):
    """True if a wrong code is looked at now: it is recorded as such."""
    before = rig.device.stores.ring.next_number
    opens(rig, wrong_code())
    return rig.device.stores.ring.next_number != before


def told(rig, since):
    """Types of the records written since the record number `since`."""
    ring = rig.device.stores.ring
    return [records.decode(raw).type for raw in ring.newest(ring.next_sequence - since)]


def fill(rig, result):
    """Five wrong ones: the first lockout."""
    for n in range(5):
        result.check(evaluated(rig), "wrong code %d is not looked at" % n)


def rules(rig, result):
    for _ in range(N):
        since = rig.device.stores.ring.next_sequence
        fill(rig, result)
        for number, pause_s in enumerate(_PAUSES_S):
            end_ms = rig.now_ms + 1000 * pause_s
            result.check(told(rig, since).count(48) == number + 1, "one record for each lockout")
            for code in (_CODE, _ADMIN_CODE, wrong_code()):
                result.check(not opens(rig, code), "opened in lockout %d" % number)
            rig.now_ms = end_ms - 1
            result.check(not opens(rig, _CODE) and not evaluated(rig), "lockout %d ended early" % number)
            rig.now_ms = end_ms
            if number < len(_PAUSES_S) - 1:
                result.check(evaluated(rig), "lockout %d lasts too long" % number)
        result.check(opens(rig, random.choice((_CODE, _ADMIN_CODE))), "a right code after the lockout")
        for _ in range(4):
            result.check(evaluated(rig), "the row began anew")
        result.check(opens(rig, _CODE), "four wrong ones do not lock out")
        fill(rig, result)
        spent = rig.device.stores.limits.keypad.spent
        rig.connect()
        rig.operate(opcodes.LOCK)
        result.check(not opens(rig, _CODE), "locking over the link ended the lockout")
        rig.operate(opcodes.UNLOCK)
        rig.disconnect()
        rig.wait(7000, 100)
        result.check(opens(rig, _CODE), "an unlock over the link ends the lockout")
        result.check(rig.device.stores.limits.keypad.spent == spent, "the budget was refunded")
        while rig.device.stores.limits.keypad.spent < 30:
            rig.now_ms += rig.device.stores.limits.keypad.wait_ms(rig.now_ms)
            evaluated(rig)
        rig.connect()
        rig.operate(opcodes.UNLOCK)
        rig.disconnect()
        rig.wait(7000, 100)
        result.check(not opens(rig, _CODE), "an unlock over the link refunds the budget")
        rig.now_ms += 25 * _HOUR_MS
        result.check(opens(rig, _CODE), "after a day")


class Cut(Exception):
    """The power went."""


class NoPower:
    """In the place of the stored codes: the attempt has been counted, and then the power goes."""

    def credential(self, digits):
        raise Cut


def entry(rig, cut_at):
    """Type a wrong code, power cut before key `cut_at` (7: behind, 8: while it is judged). (cost, was in a lockout)"""
    before = rig.device.stores.limits.keypad.spent
    in_pause = False
    for place, key in enumerate(wrong_code() + "#"):
        if place == cut_at:
            rig.start()
        in_pause = rig.device.stores.limits.keypad.wait_ms(rig.now_ms) > 0
        if place == 6 and cut_at == 8:
            rig.device.stores.passcodes = NoPower()
        try:
            rig.lock.keypad.press(key, rig.now_ms)
        except Cut:
            rig.start()
    if cut_at == 7:
        rig.start()
    return rig.device.stores.limits.keypad.spent - before, in_pause


def cut(rig, result):
    """Digits with a power cut behind each; what counts is how many wrong codes were looked at within 24 hours."""
    worst = 0
    for _ in range(N):
        rig.now_ms += 3 * _DAY_MS
        rig.device.stores.limits.keypad.wait_ms(rig.now_ms)
        result.check(opens(rig, _CODE), "the row of before ends")
        until_ms = rig.now_ms + _DAY_MS
        looked_at = typed = 0
        while rig.now_ms < until_ms and typed < _HOPELESS:
            typed += 1
            cut_at = random.randint(0, 8)
            cost, in_pause = entry(rig, cut_at)
            looked_at += cost
            expected = 0 if in_pause or cut_at in (3, 4, 5, 6) else 1  # what is left of it may be too short for a code
            result.check(cost == expected, "cut at %d: counted %d" % (cut_at, cost))
            guard = rig.device.stores.limits.keypad
            full = guard.wait_ms(rig.now_ms)
            if full:
                if random.getrandbits(1):
                    rig.now_ms += random.randint(0, full - 1)
                    rig.start()  # begins anew, in full
                    guard = rig.device.stores.limits.keypad
                    result.check(guard.wait_ms(rig.now_ms) == full, "not re-armed in full")
                result.check(not opens(rig, _CODE), "a power cut ended the lockout")
                rig.now_ms += guard.wait_ms(rig.now_ms)
        result.check(typed < _HOPELESS, "no lockout holds over power cuts")
        result.check(4 <= looked_at <= 30 + 24, "%d wrong codes looked at in a day" % looked_at)
        worst = max(worst, looked_at)
        while not opens(rig, _CODE):
            rig.now_ms += rig.device.stores.limits.keypad.wait_ms(rig.now_ms)
    result.figures["evaluated_in_24h"] = worst


def set_clock(rig, date6):
    rig.reach("S3")
    rig.ask(opcodes.SET_CLOCK, session_client.set_clock(date6))
    rig.disconnect()


def clock(rig, result):
    for _ in range(N):
        rig.now_ms += 3 * _DAY_MS
        opens(rig, _CODE)
        fill(rig, result)
        end_ms = rig.now_ms + 300000
        for jump_s in (86400, -86400, 86400, -86400, 40 * 86400):
            if random.getrandbits(1):
                rig.rtc += jump_s
            else:
                rig.rtc = max(rig.rtc, 40 * 86400)
                date = rig.device.stores.clock.date6()
                set_clock(rig, (date[0], date[1], 1 + random.getrandbits(4), date[3], date[4], date[5]))
            result.check(not opens(rig, _CODE), "a jump of the clock ended the lockout")
        rig.now_ms = end_ms - 1
        result.check(not opens(rig, _CODE), "a jump of the clock shortened the lockout")
        rig.now_ms = end_ms
        result.check(opens(rig, _CODE), "a jump of the clock made the lockout longer")


class Ticks:
    """Ticks of 30 bits, and the rig's time made of them by the code that ships."""

    def __init__(self, rig, start):
        self._rig = rig
        self._now = start
        self._uptime = Uptime(lambda: self._now, self._diff)
        self._base_ms = rig.now_ms

    @staticmethod
    def _diff(end, start):
        return ((end - start + _TURN // 2) & (_TURN - 1)) - _TURN // 2

    def leap(self, ms):
        self._now = (self._now + ms) & (_TURN - 1)
        self._rig.now_ms = self._base_ms + self._uptime.now_ms()

    def has_wrapped(self):
        return self._now < _TURN // 2


def wrap(rig, result):
    """The ticks wrap while a lockout runs, or while codes are typed."""
    for _ in range(N):
        rig.now_ms += 3 * _DAY_MS
        opens(rig, _CODE)
        ticks = Ticks(rig, _TURN - random.randint(1, 299999))
        fill(rig, result)
        left_ms = 300000
        while left_ms > 1:
            step = random.randint(1, left_ms - 1)
            ticks.leap(step)
            left_ms -= step
            result.check(not opens(rig, _CODE), "opened %d ms before the end" % left_ms)
        ticks.leap(1)
        result.check(ticks.has_wrapped(), "the ticks did not wrap")
        result.check(opens(rig, _CODE), "the wrap made the lockout longer")


def main():
    random.seed(SEED)
    result = score.Score()
    try:
        {"rules": rules, "cut": cut, "clock": clock, "wrap": wrap}[WHAT](prepare(), result)
    except Refused as err:
        result.fail("refused with %02x" % err.error)
    erase(_FOLDER)
    result.end()


main()
