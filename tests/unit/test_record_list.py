import unittest

from firmware.lib import record_list, records


class Listed(unittest.TestCase):
    def test_card_and_fingerprint_have_other_numbers_in_the_list(self):  # the two published samples
        self.assertEqual((record_list.listed(17), record_list.listed(20)), ((7, False), (8, False)))

    def test_failures_and_what_is_not_listed(self):
        self.assertEqual(record_list.listed(11), (4, True))
        for type in (0, 2, 14, 93, 101, 102, 200, 255):
            self.assertEqual(record_list.listed(type), (None, False))

    def test_what_the_list_calls_a_failure_is_not_reported_as_done(self):
        for type in range(256):
            if record_list.listed(type)[1]:
                self.assertFalse(records.meaning(type)[2])
