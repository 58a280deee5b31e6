"""The decision in tables: credential, moment, answer. The search against an oracle is in tests/host."""

import unittest

from firmware.lib import credentials, dates, offline_codes, validity, windows


def at(text):
    """ "2026-05-11 08:00" -> minutes since 2000"""
    return dates.to_minutes((int(text[:4]), int(text[5:7]), int(text[8:10]), int(text[11:13]), int(text[14:16])))


def wire(text):
    return dates.encode5((int(text[:4]), int(text[5:7]), int(text[8:10]), int(text[11:13]), int(text[14:16])))


ALWAYS = b"\x00\x01\x01\x00\x00", b"\x63\x01\x01\x00\x00"

START = at("2026-05-11 19:20")  # a Monday; counts from 19:00
YEAR = at("2027-05-11 19:00")


def offline(kind, end=None, used=False):
    return offline_codes.limits(kind, START, end, used)


# (API type, end, used before, moment, why not or None, what follows)
OFFLINE = (
    (1, None, False, "2026-05-11 18:59", "not_yet_valid", None),
    (1, None, False, "2026-05-11 19:00", None, "use_up"),
    (1, None, False, "2026-05-12 00:59", None, "use_up"),
    (1, None, False, "2026-05-12 01:00", "expired", None),  # 6 hours
    (1, None, True, "2026-05-11 19:05", "used_up", None),
    (1, None, True, "2026-05-11 18:59", "not_yet_valid", None),
    (2, None, False, "2026-05-11 18:59", "not_yet_valid", None),
    (2, None, False, "2026-05-12 18:59", None, "note_first_use"),
    (2, None, False, "2026-05-12 19:00", "suspended", None),  # 24 hours
    (2, None, True, "2026-05-12 19:00", None, None),
    (2, None, True, "2098-05-12 19:00", None, None),
    (3, YEAR, False, "2026-05-11 18:59", "not_yet_valid", None),
    (3, YEAR, False, "2026-05-12 18:59", None, "note_first_use"),
    (3, YEAR, False, "2026-05-12 19:00", "suspended", None),
    (3, YEAR, True, "2027-05-11 18:59", None, None),
    (3, YEAR, True, "2027-05-11 19:00", "expired", None),
    (3, at("2026-05-11 21:40"), False, "2026-05-11 20:59", None, "note_first_use"),
    (3, at("2026-05-11 21:40"), False, "2026-05-11 21:00", "expired", None),  # cut to the hour
    (4, None, False, "2026-05-11 18:59", "not_yet_valid", None),
    (4, None, False, "2026-05-11 19:00", None, "erase_all"),
    (4, None, False, "2026-05-12 18:59", None, "erase_all"),
    (4, None, False, "2026-05-12 19:00", "expired", None),
    (6, at("2026-05-11 22:00"), False, "2026-05-11 21:59", None, "note_first_use"),
    (6, at("2026-05-11 22:00"), False, "2026-05-11 22:00", "outside_hours", None),
    (6, at("2026-05-11 22:59"), False, "2026-05-11 21:59", None, "note_first_use"),  # cut to the hour
    (6, at("2026-05-11 22:59"), False, "2026-05-11 22:00", "outside_hours", None),
    (6, at("2026-05-11 22:00"), False, "2026-05-12 19:00", "suspended", None),
    (6, at("2026-05-11 22:00"), True, "2026-05-12 19:00", None, None),
    (6, at("2026-05-11 22:00"), True, "2028-02-29 21:59", None, None),
    (6, at("2026-05-11 22:00"), True, "2026-05-10 19:00", "not_yet_valid", None),
    (5, at("2026-05-11 22:00"), False, "2026-05-11 19:30", "outside_hours", None),  # a Monday
    (5, at("2026-05-11 22:00"), False, "2026-05-16 19:00", None, "note_first_use"),  # the first weekend
    (5, at("2026-05-11 22:00"), False, "2026-05-17 18:59", "outside_hours", None),
    (5, at("2026-05-11 22:00"), False, "2026-05-17 19:00", "suspended", None),
    (5, at("2026-05-11 22:00"), True, "2026-05-17 19:00", None, None),
    (7, at("2026-05-11 22:00"), False, "2026-05-11 19:30", None, "note_first_use"),
    (7, at("2026-05-11 22:00"), True, "2026-05-15 19:30", None, None),
    (7, at("2026-05-11 22:00"), True, "2026-05-16 19:30", "outside_hours", None),
    (8, at("2026-05-11 22:00"), True, "2026-05-18 19:30", None, None),
    (9, at("2026-05-11 22:00"), False, "2026-05-12 21:59", None, "note_first_use"),
    (9, at("2026-05-11 22:00"), False, "2026-05-13 19:00", "suspended", None),
    (10, at("2026-05-11 22:00"), True, "2026-05-13 19:30", None, None),
    (11, at("2026-05-11 22:00"), True, "2026-05-14 19:30", None, None),
    (12, at("2026-05-11 22:00"), True, "2026-05-15 19:30", None, None),
    (13, at("2026-05-11 22:00"), True, "2026-05-16 19:30", None, None),
    (14, at("2026-05-11 22:00"), True, "2026-05-17 19:30", None, None),
    (14, at("2026-05-11 22:00"), True, "2026-05-16 19:30", "outside_hours", None),
    (14, at("2026-05-12 02:00"), True, "2026-05-18 01:59", None, None),  # over midnight: Sunday's
    (15, at("2026-05-11 22:00"), True, "2026-05-11 19:30", "outside_hours", None),  # no such type
    (5, at("2026-05-13 22:00"), True, "2026-05-16 19:30", "outside_hours", None),  # more than a day
)

# (BLE type, trailer, used before, moment, why not or None, what follows)
STORED = (
    (1, ALWAYS[0], False, "2026-05-11 19:00", None, None),
    (1, ALWAYS[0], False, "2099-12-31 23:59", None, None),
    (1, wire("2026-05-11 19:20"), False, "2026-05-11 19:19", "not_yet_valid", None),
    (1, wire("2026-05-11 19:20"), False, "2026-05-11 19:20", None, None),  # minutes, no first-use rule
    (1, wire("2026-05-11 19:20"), False, "2026-05-13 19:20", None, None),
    (2, wire("2026-05-11 19:20") + wire("2026-05-14 07:00"), False, "2026-05-14 06:59", None, "use_up"),  # no 6 hours
    (2, wire("2026-05-11 19:20") + wire("2026-05-14 07:00"), True, "2026-05-14 06:59", "used_up", None),
    (2, wire("2026-05-11 19:20") + wire("2026-05-14 07:00"), False, "2026-05-14 07:00", "expired", None),
    (2, ALWAYS[0] + ALWAYS[1], False, "2026-05-14 07:00", None, "use_up"),
    (2, ALWAYS[0] + ALWAYS[1], True, "2026-05-14 07:00", "used_up", None),
    (3, wire("2024-02-29 00:00") + wire("2024-03-01 00:00"), False, "2024-02-28 23:59", "not_yet_valid", None),
    (3, wire("2024-02-29 00:00") + wire("2024-03-01 00:00"), False, "2024-02-29 00:00", None, None),
    (3, wire("2024-02-29 00:00") + wire("2024-03-01 00:00"), False, "2024-02-29 23:59", None, None),
    (3, wire("2024-02-29 00:00") + wire("2024-03-01 00:00"), False, "2024-03-01 00:00", "expired", None),
    (4, b"\x00\x01\x01\x08\x00\x04\x39", False, "2026-05-11 08:00", None, None),  # 1081: Monday, 10 hours
    (4, b"\x00\x01\x01\x08\x00\x04\x39", False, "2026-05-11 18:00", "outside_hours", None),
    (4, b"\x00\x01\x01\x08\x00\x04\x39", False, "2026-05-12 08:00", "outside_hours", None),
    (4, b"\x1a\x05\x0b\x16\x00\x04\x09", False, "2026-05-11 05:00", "not_yet_valid", None),  # 1033: 22:00, 10 hours
    (4, b"\x1a\x05\x0b\x16\x00\x04\x09", False, "2026-05-11 22:00", None, None),  # from this day on
    (4, b"\x1a\x05\x0b\x16\x00\x04\x09", False, "2026-05-12 07:59", None, None),
    (4, b"\x1a\x05\x0b\x16\x00\x04\x09", False, "2026-05-12 08:00", "outside_hours", None),
    (0, ALWAYS[0] + ALWAYS[1], False, "2026-05-16 08:00", "expired", None),  # no such type
    (5, ALWAYS[0] + ALWAYS[1], False, "2026-05-16 08:00", "expired", None),
    (4, b"\x00\x01\x01\x08\x00\x03\xe7", False, "2026-05-16 08:00", "outside_hours", None),  # 999 is no code
)

_NIGHT = b"\x01\x01\x00\x16\x00\x06\x00"  # Mondays 22:00 to Tuesday 06:00

# (start, end, windows, moment, why not or None)
DATED = (
    (ALWAYS[0], ALWAYS[1], b"", "2026-05-11 00:00", None),
    (ALWAYS[0], ALWAYS[1], b"", "2099-12-31 23:59", None),
    (ALWAYS[0], b"\x63\x0c\x01\x17\x3b", b"", "2099-12-31 23:59", None),  # another client's "always"
    (b"\x00\x01\x1f\x0e\x00", b"\x63\x0c\x1f\x0e\x00", b"", "2000-01-01 00:00", None),
    (wire("2026-05-11 08:00"), wire("2026-05-31 18:00"), b"", "2026-05-11 07:59", "not_yet_valid"),
    (wire("2026-05-11 08:00"), wire("2026-05-31 18:00"), b"", "2026-05-31 17:59", None),
    (wire("2026-05-11 08:00"), wire("2026-05-31 18:00"), b"", "2026-05-31 18:00", "expired"),
    (wire("2026-05-11 08:00"), wire("2026-05-31 18:00"), _NIGHT, "2026-05-11 21:59", "outside_hours"),
    (wire("2026-05-11 08:00"), wire("2026-05-31 18:00"), _NIGHT, "2026-05-12 05:59", None),
    (wire("2026-05-12 01:00"), wire("2026-05-31 18:00"), _NIGHT, "2026-05-12 05:59", None),  # applied inside the period
    (wire("2026-05-11 08:00"), wire("2026-05-12 03:00"), _NIGHT, "2026-05-12 03:00", "expired"),
    (ALWAYS[0], ALWAYS[1], _NIGHT + b"\x03\x1f\x00\x08\x00\x09\x00", "2026-05-31 08:30", None),
    (ALWAYS[0], ALWAYS[1], _NIGHT + b"\x03\x1f\x00\x08\x00\x09\x00", "2026-04-30 08:30", "outside_hours"),
    (ALWAYS[0], ALWAYS[1], bytes(7), "2026-04-30 08:30", "outside_hours"),  # damaged: never, not always
)

# (start, end, flag position, the lock's, moment, why not or None)
EKEYS = (
    (None, None, 0, 0, "2000-01-01 00:00", None),
    ((2026, 5, 11, 8, 0), (2026, 5, 12, 8, 0), 0, 0, "2026-05-11 07:59", "not_yet_valid"),
    ((2026, 5, 11, 8, 0), (2026, 5, 12, 8, 0), 0, 0, "2026-05-12 07:59", None),
    ((2026, 5, 11, 8, 0), (2026, 5, 12, 8, 0), 0, 0, "2026-05-12 08:00", "expired"),
    (None, None, 4, 5, "2026-05-11 08:00", "revoked"),
    (None, None, 5, 5, "2026-05-11 08:00", None),
    (None, None, 6, 5, "2026-05-11 08:00", None),
)


class TestTables(unittest.TestCase):
    def check(self, credential, moment, why, then, label):
        verdict = validity.decide(credential, validity.Situation(at(moment)))
        self.assertEqual((verdict.why, verdict.then), (why, then), label)
        self.assertEqual(verdict.opens, why is None and then != "erase_all", label)

    def test_codes_of_the_algorithm(self):
        for row in OFFLINE:
            kind, end, used, moment, why, then = row
            self.check(offline(kind, end, used), moment, why, then, str(row))

    def test_stored_codes(self):
        for row in STORED:
            kind, trailer, used, moment, why, then = row
            self.check(credentials.passcode(kind, trailer, used), moment, why, then, str(row))

    def test_what_is_not_said_to_be_used_is_not(self):
        now = validity.Situation(START)
        self.assertEqual(validity.decide(credentials.passcode(2, ALWAYS[0] + ALWAYS[1]), now).then, "use_up")
        self.assertEqual(validity.decide(offline_codes.limits(2, START), now).then, "note_first_use")

    def test_cards_fingerprints_and_fobs(self):
        for row in DATED:
            start, end, windows, moment, why = row
            self.check(credentials.dated(start, end, windows), moment, why, None, str(row))

    def test_ekeys(self):
        for row in EKEYS:
            start, end, flag_pos, lock_pos, moment, why = row
            now = validity.Situation(at(moment))
            now.flag_pos = lock_pos
            credential = credentials.ekey(start, end, flag_pos)
            self.assertEqual(validity.decide(credential, now).why, why, str(row))
            self.assertEqual(validity.claim_refusal(credential, now), why, str(row))


def limited():
    made = credentials.dated(wire("2026-05-11 08:00"), wire("2026-05-31 18:00"))
    return made


def lost():
    made = credentials.dated(*ALWAYS)
    made.is_lost = True
    return made


def remote():
    made = credentials.ekey(None, None, 0)
    made.is_remote = True
    return made


# For each property of the lock that stands against it, the answer to (a card, the admin passcode, an erase code, an
# unknown one, a lost card, an ekey through a gateway).
AGAINST = (
    ("is_frozen", ("frozen",) * 6),
    ("is_locked_out", ("lockout",) * 6),
    ("is_double_locked", ("double_locked", None, "double_locked", "unknown", "lost", "double_locked")),
    ("is_battery_low", ("low_battery", "low_battery", None, "unknown", "lost", "low_battery")),
    (None, (None, None, None, "unknown", "lost", None)),
)


class TestDoor(unittest.TestCase):
    def now(self, **changed):
        found = validity.Situation(at("2026-05-12 12:00"))
        found.is_remote_unlock_on = True
        for name in changed:
            setattr(found, name, changed[name])
        return found

    def test_what_stands_against_whom(self):
        everybody = (limited(), credentials.admin(), credentials.erase(), None, lost(), remote())
        for name, expected in AGAINST:
            now = self.now()
            if name:
                setattr(now, name, True)
            self.assertEqual(tuple(validity.decide(one, now).why for one in everybody), expected, name)

    def test_the_word_is_the_first_that_applies(self):
        expired = credentials.dated(wire("2026-05-11 08:00"), wire("2026-05-11 18:00"))
        now = self.now(is_frozen=True, is_locked_out=True, is_double_locked=True, is_battery_low=True)
        self.assertEqual(validity.decide(expired, now).why, "frozen")
        now.is_frozen = False
        self.assertEqual(validity.decide(expired, now).why, "lockout")
        now.is_locked_out = False
        self.assertEqual(validity.decide(expired, now).why, "expired")
        verdict = validity.decide(limited(), now)
        self.assertEqual((verdict.why, verdict.is_right), ("double_locked", True))
        now.is_double_locked = False
        verdict = validity.decide(limited(), now)
        self.assertEqual((verdict.why, verdict.is_right, verdict.then), ("low_battery", True, None))
        self.assertFalse(validity.decide(expired, now).is_right)
        self.assertTrue(validity.decide(limited(), self.now()).is_right)

    def test_nothing_is_used_up_by_a_refusal(self):
        for name in ("is_frozen", "is_locked_out", "is_double_locked", "is_battery_low"):
            now = validity.Situation(at("2026-05-11 19:30"))
            setattr(now, name, True)
            for kind in (1, 2):
                verdict = validity.decide(offline(kind), now)
                self.assertEqual((verdict.opens, verdict.then), (False, None))

    def test_a_situation_of_which_nothing_is_said_is_the_strict_one(self):
        self.assertEqual(validity.decide(remote(), validity.Situation(0)).why, "remote_unlock_disabled")

    def test_remote_unlock_switch(self):
        now = self.now(is_remote_unlock_on=False)
        self.assertEqual(validity.decide(remote(), now).why, "remote_unlock_disabled")
        self.assertIsNone(validity.claim_refusal(remote(), now))
        self.assertTrue(validity.decide(credentials.ekey(None, None, 0), now).opens)

    def test_locking(self):
        self.assertIsNone(validity.lock_refusal(self.now(is_double_locked=True)))
        self.assertEqual(validity.lock_refusal(self.now(is_frozen=True, is_battery_low=True)), "frozen")
        self.assertEqual(validity.lock_refusal(self.now(is_battery_low=True)), "low_battery")

    def test_an_erasure_bars_the_codes_that_had_begun(self):
        for barred, why in (("2026-05-11 18:59", None), ("2026-05-11 19:00", "barred"), ("2026-05-11 19:20", "barred")):
            now = validity.Situation(at("2026-05-11 20:00"))
            now.barred_min = at(barred)
            for kind, end in ((1, None), (2, None), (3, YEAR), (6, START + 240)):
                for used in (False, True) if kind != 1 else (False,):
                    self.assertEqual(validity.decide(offline(kind, end, used), now).why, why)
            self.assertTrue(validity.decide(credentials.passcode(1, ALWAYS[0]), now).opens)


# (credential, opens without a trusted clock that shows 2026-05-11 20:00: that moment has been reached)
UNTRUSTED = (
    (credentials.passcode(1, ALWAYS[0]), True),
    (credentials.passcode(1, wire("2026-05-11 20:00")), True),
    (credentials.passcode(1, wire("2026-05-11 20:01")), False),
    (credentials.passcode(2, ALWAYS[0] + ALWAYS[1]), False),
    (credentials.passcode(3, wire("2026-05-11 00:00") + wire("2026-05-12 00:00")), False),
    (credentials.passcode(4, b"\x00\x01\x01\x00\x00\x04\x17"), False),  # every day, 24 hours
    (offline(1), False),
    (offline(2), False),  # the first use may be too late
    (offline(2, None, True), True),
    (offline(3, YEAR, True), False),
    (offline(4), False),
    (offline(6, START + 240, True), False),
    (credentials.dated(*ALWAYS), True),
    (credentials.dated(ALWAYS[0], wire("2098-01-01 00:00")), False),
    (credentials.dated(ALWAYS[0], ALWAYS[1], b"\x02\x00\x00\x00\x00\x00\x00"), False),
    (credentials.ekey(None, None, 0), True),
    (credentials.ekey((2000, 1, 1, 0, 0), (2099, 1, 1, 0, 0), 0), False),  # 0x55: exactly the permanent windows
    (credentials.admin(), True),
)


class TestUntrustedClock(unittest.TestCase):
    def test_only_permanent_ones_open(self):
        for place, (credential, opens) in enumerate(UNTRUSTED):
            now = validity.Situation(at("2026-05-11 20:00"))
            now.is_clock_trusted = False
            verdict = validity.decide(credential, now)
            self.assertEqual((verdict.opens, verdict.why), (opens, None if opens else "untrusted_clock"), str(place))

    def test_the_erase_code_works_and_revoked_ekeys_stay_revoked(self):
        now = validity.Situation(0)
        now.is_clock_trusted = False
        now.flag_pos = 1
        self.assertEqual(validity.decide(credentials.erase(), now).then, "erase_all")
        self.assertEqual(validity.decide(credentials.ekey(None, None, 0), now).why, "revoked")


class TestPassage(unittest.TestCase):
    def setUp(self):
        self.now = validity.Situation(at("2026-05-11 09:00"))
        self.now.passage = windows.passage(b"\x01\x01\x00\x08\x00\x12\x00")  # Mondays 8 to 18

    def test_a_door_that_is_opened_in_a_window_stays_open_until_its_end(self):
        verdict = validity.decide(credentials.admin(), self.now)
        self.assertEqual(verdict.open_until_min, at("2026-05-11 18:00"))
        self.assertEqual(validity.passage_until(self.now), at("2026-05-11 18:00"))
        self.now.now_min = at("2026-05-11 18:00")
        self.assertIsNone(validity.decide(credentials.admin(), self.now).open_until_min)

    def test_a_use_counts_as_one_though_the_door_stands_open(self):
        self.now.now_min = at("2026-05-11 17:00")
        once = offline_codes.limits(1, at("2026-05-11 17:00"))
        self.assertEqual(validity.decide(once, self.now).then, "use_up")

    def test_it_opens_by_itself_only_with_the_switch_and_nothing_against_it(self):
        self.assertEqual(validity.decide_passage(self.now).why, "outside_hours")
        self.now.passage_unlocks = True
        verdict = validity.decide_passage(self.now)
        self.assertEqual((verdict.opens, verdict.open_until_min), (True, at("2026-05-11 18:00")))
        for name, why in (
            ("is_battery_low", "low_battery"),
            ("is_double_locked", "double_locked"),
            ("is_frozen", "frozen"),
        ):
            setattr(self.now, name, True)
            verdict = validity.decide_passage(self.now)
            self.assertEqual((verdict.opens, verdict.why, verdict.open_until_min), (False, why, None))
        self.now.now_min = at("2026-05-11 18:00")
        self.assertEqual(validity.decide_passage(self.now).why, "outside_hours")

    def test_an_untrusted_clock_holds_no_door(self):
        self.now.passage_unlocks = True
        self.now.is_clock_trusted = False
        self.assertIsNone(validity.passage_until(self.now))
        self.assertIsNone(validity.decide(credentials.admin(), self.now).open_until_min)
        self.assertFalse(validity.decide_passage(self.now).opens)
