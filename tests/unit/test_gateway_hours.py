"""Recurring hours and dates in arguments: what a lock is given for them, and what is refused before it is asked."""

import unittest

from firmware.gateway.operations import cards, ekeys, limits, numbered, passcodes
from firmware.lib import commands, dates
from firmware.lib.errors import BadRequest, FirmwareError, Unsupported
from tests.unit.command_rig import Rig
from tests.unit.gateway_rig import known_lock

_S = 1800000000
_FAR = ((_S * 1000, "millisecond"), (_S * 10**6, "far"), (dates.UNIX_2100, "far"), (1 << 62, "far"), (10**30, "2099"))
_ODD = (None, True, "2027-03-29", 1.5, [], {}, -1, 0, 12)


def error_of(work):
    """What `work` raises on purpose."""
    try:
        work()
    except FirmwareError as err:
        return err
    raise AssertionError("nothing was refused")


def other_lock():
    """One that is not ours."""
    lock = known_lock()
    lock.model = "SN9100"
    return lock


class HoursTest(unittest.TestCase):
    def hours(self, lock, days, opens, closes):
        args = {"days": days, "from_min": opens, "to_min": closes, "end": _S}
        limits.check(args)
        return [raw.hex() for raw in limits.windows_of(args, lock)]

    def test_hours_of_a_day(self):
        self.assertEqual(self.hours(known_lock(), [3, 1], 480, 1080), ["01010008001200", "01030008001200"])
        self.assertEqual(self.hours(other_lock(), [3, 1], 480, 1080), ["01010008001200", "01030008001200"])

    def test_hours_over_midnight_are_one_window_in_ours_and_two_in_others(self):
        self.assertEqual(self.hours(known_lock(), [1, 7], 1320, 360), ["01010016000600", "01070016000600"])
        found = self.hours(other_lock(), [1, 7], 1320, 360)
        self.assertEqual(found, ["0101001600173b", "01020000000600", "0107001600173b", "01010000000600"])

    def test_the_end_of_a_day(self):
        self.assertEqual(self.hours(known_lock(), [1], 1320, 1440), ["01010016000000"])
        self.assertEqual(self.hours(other_lock(), [1], 1320, 1440), ["0101001600173b"])
        self.assertEqual(self.hours(known_lock(), [1], 0, 1440), ["01010000000000"])
        self.assertEqual(self.hours(other_lock(), [1], 0, 1440), ["0101000000173b"])

    def test_more_than_a_lock_holds_is_refused_before_anything_is_sent(self):
        for days, lock in (([1, 2, 3, 4, 5], other_lock()), (list(range(1, 8)), other_lock())):
            args = {"number": 7, "days": days, "from_min": 1320, "to_min": 360, "end": _S}
            for module, op in ((cards, "card_add"), (cards, "card_change"), (numbered, "fingerprint_change")):
                module.check(op, dict(args))
                err = error_of(lambda given=(op, args, lock), judge=module.judge: judge(*given))
                self.assertEqual((err.code, err.reason), ("refused", "full"))
            module.judge(op, args, known_lock())
        limits.judge({"days": [1, 2, 3, 4], "from_min": 1320, "to_min": 360}, other_lock())

    def test_hours_that_enclose_nothing_are_refused(self):
        for opens, closes in ((480, 480), (1440, 360), (-1, 5), (5, 1441), (5, 0)):
            self.assertRaises(BadRequest, self.hours, known_lock(), [1], opens, closes)

    def test_a_recurring_code_over_midnight_is_for_a_lock_of_ours(self):
        args = {"code": "864201", "type": "cyclic", "days": "mon", "from_min": 1320, "hours": 8}
        passcodes.check("passcode_add", args)
        passcodes.judge("passcode_add", args, known_lock())
        self.assertRaises(Unsupported, passcodes.judge, "passcode_add", args, other_lock())
        passcodes.judge("passcode_add", dict(args, hours=2), other_lock())


class DatesTest(unittest.TestCase):
    """Every date of every operation: a table of the operations that take some, and the values that are none."""

    OPERATIONS = (
        (passcodes, "passcode_add", {"code": "864201", "type": "period"}),
        (passcodes, "passcode_add", {"code": "864201", "type": "once"}),
        (passcodes, "passcode_change", {"code": "864201"}),
        (cards, "card_add", {"number": 7}),
        (cards, "card_enrol", {}),
        (cards, "card_change", {"number": 7}),
        (numbered, "fingerprint_enrol", {}),
        (numbered, "fingerprint_change", {"number": 7}),
        (numbered, "fob_change", {"mac": "c0ffee000009"}),
        (ekeys, "ekey_add", {"uid": 0x4B000001, "unlock_key": 7}),
        (ekeys, "ekey_change", {"uid": 0x4B000001}),
    )

    def refused(self, module, op, args):
        try:
            module.check(op, args)
        except BadRequest as err:
            return str(err)
        self.fail("%s took %s" % (op, args))

    def test_dates_are_taken(self):
        for module, op, args in self.OPERATIONS:
            module.check(op, dict(args, start=_S, end=_S + 60))

    def test_other_dates_are_refused_and_it_is_said_why(self):
        count = 0
        for module, op, args in self.OPERATIONS:
            for key in ("start", "end"):
                for value, word in _FAR + tuple((odd, key) for odd in _ODD):
                    both = dict(args, start=_S, end=_S + 60)
                    both[key] = value
                    text = self.refused(module, op, both)
                    self.assertTrue(word in text and key in text, (op, key, value, text))
                    count += 1
        self.assertEqual(count, len(self.OPERATIONS) * 2 * (len(_FAR) + len(_ODD)))

    def test_exp(self):
        for value, word in _FAR[:3]:  # no JSON holds larger ones
            payload = ('{"id":"7","op":"unlock","exp":%d}' % value).encode()
            err = error_of(lambda given=payload: commands.parse(given))
            self.assertEqual((err.code, err.id), ("bad_request", "7"))
            self.assertTrue(word in str(err) and "exp" in str(err), str(err))
        rig = Rig("far-exp")
        self.assertEqual(rig.ask("unlock", exp=rig.clock.unix_s + 400 * 86400)["code"], "bad_request")

    def test_dates_of_a_lock_in_an_unknown_zone_are_refused_before_anything_is_sent(self):
        rig = Rig("zoneless")
        rig.lock.zone = None
        for op, args in (
            ("passcode_add", {"code": "864201", "type": "period"}),
            ("passcode_change", {"code": "864201"}),
            ("ekey_change", {"uid": 0x4B000001}),
        ):
            result = rig.ask(op, dict(args, start=_S, end=_S + 60))
            self.assertEqual(result["code"], "no_zone", op)
        self.assertEqual(rig.opened, 0)
        self.assertEqual(rig.ask("time_sync", {})["code"], "no_zone")
        rig.clock.is_signed = True
        self.assertEqual(rig.ask("zone_set", {"zone": "CET-1CEST,M3.5.0,M10.5.0/3"})["code"], "ok")
        self.assertEqual(rig.lock.zone, "CET-1CEST,M3.5.0,M10.5.0/3")


if __name__ == "__main__":
    unittest.main()
