"""Codes made without the lock: known answers, their limits, and that the search finds each and nothing else."""

import unittest

from firmware.lib import crypto, dates
from firmware.lib import offline_codes as codes

SEEDS = bytes(range(61))
SECRET = codes.secret(SEEDS)
NOW = dates.to_minutes((2026, 5, 11, 14, 0)) // 60  # a Monday
ONCE, PERMANENT, PERIOD, ERASE = range(1, 5)

# Worked out apart, from lib/README.md alone: (kind, start, number) -> digits
KNOWN_SECRET = "d7f84b36f5ff6ce205fd84f14ad11e9899475af49f46e40663c2a7b3334a2dba"
KNOWN = (
    (1, 231062, 0, "962561892"),
    (1, 231062, 199, "269267920"),
    (2, 231062, 7, "937398628"),
    (3, 231062, 65, "542528291"),
    (4, 231062, 0, "207301729"),
    (6, 231062, 9, "410225183"),
    (14, 231206, 3, "312374908"),
)


def find(digits, now=NOW, secret=SECRET):
    return codes.Search(secret, now, digits).run()


class TestDerivation(unittest.TestCase):
    def test_known_answers(self):
        self.assertEqual(SECRET.hex(), KNOWN_SECRET)
        for kind, start, number, digits in KNOWN:
            self.assertEqual(codes.digits(SECRET, kind, start, number), digits)

    def test_hmac_of_many_messages_is_hmac(self):
        many = crypto.Hmac(SECRET)
        for message in (b"", b"ab", bytes(200)):
            self.assertEqual(many.of(message), crypto.hmac_sha256(SECRET, message))

    def test_how_many_codes_there_are(self):
        self.assertEqual([codes.count(kind, NOW) for kind in (ONCE, PERMANENT, PERIOD, ERASE)], [200, 20, 66, 1])
        days = [kind for kind in range(5, 15) if codes.count(kind, NOW)]
        self.assertEqual(days, [6, 7, 8])  # daily, Monday to Friday, Monday
        self.assertEqual([codes.count(6, NOW - 14 + hour) for hour in (0, 14, 23)], [24, 24, 24])
        self.assertEqual((codes.DURATIONS_H[0], codes.DURATIONS_H[-1]), (1, 366 * 24))
        for kind, number in ((ONCE, 200), (PERMANENT, 20), (PERIOD, 66), (ERASE, 1), (5, 0), (0, 0), (15, 0)):
            self.assertRaises(ValueError, codes.digits, SECRET, kind, NOW, number)


class TestSearch(unittest.TestCase):
    def test_every_kind_is_found(self):
        for kind, back, number in ((1, 0, 0), (1, 5, 199), (2, 23, 19), (3, 0, 65), (4, 23, 0), (6, 14, 23), (8, 3, 7)):
            wanted = kind, NOW - back, number
            self.assertEqual(find(codes.digits(SECRET, *wanted)), wanted)

    def test_out_of_time_is_found_within_a_day_only(self):
        for kind, back, is_found in ((1, 29, True), (1, 30, False), (2, 47, True), (2, 48, False), (3, -24, True)):
            digits = codes.digits(SECRET, kind, NOW - back, 1)
            self.assertEqual(find(digits), (kind, NOW - back, 1) if is_found else None)

    def test_other_secrets_and_other_digits_are_not_found(self):
        digits = codes.digits(SECRET, 2, NOW, 3)
        self.assertEqual(find(digits, secret=codes.secret(bytes(61))), None)
        other = "%09d" % ((int(digits) + 1) % 10**9)
        self.assertEqual(find(other), None)

    def test_a_search_is_bounded_and_pauses(self):
        search = codes.Search(SECRET, NOW, "000000000")
        pauses = sum(1 for _ in search.steps())
        self.assertEqual(search.found, None)
        self.assertTrue(search.digests < 4500, search.digests)
        self.assertTrue(pauses >= search.digests // 8)

    def test_chance_of_a_guess(self):
        most = 0
        for day in range(7):
            for hour in range(0, 24, 5):
                now = (NOW // 24 + day) * 24 + hour
                openers = 6 * codes.ONCE_COUNT + 24 * (codes.PERMANENT_COUNT + len(codes.DURATIONS_H))
                for start in range(now - 23, now + 1):
                    for kind in range(5, 15):
                        openers += max(0, codes.count(kind, start) - (now - start))
                most = max(most, openers)
        self.assertTrue(3264 < most <= 4164, most)  # of 10^9: below 5e-6 (lib/README.md)

    def test_limits_of_a_code(self):
        found = codes.credential(PERIOD, NOW, 24)
        self.assertEqual((found.start_min, found.end_min), (60 * NOW, 60 * (NOW + 48)))
        found = codes.credential(8, NOW, 2, True)
        self.assertEqual(found.windows[0][3:], (14 * 60, 180))
        self.assertTrue(found.is_used and found.is_offline)
        self.assertEqual(codes.ERASE, ERASE)


if __name__ == "__main__":
    unittest.main()
