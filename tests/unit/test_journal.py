import os
import unittest

from firmware.system import store
from firmware.system.journal import Journal
from tests.scratch import scratch

_FOLDER = scratch("journal")


def _wipe():
    if store.exists(_FOLDER):
        for name in os.listdir(_FOLDER):
            os.remove(_FOLDER + "/" + name)


def _cut(path, octets):
    with open(path, "rb") as file:
        raw = file.read()
    with open(path, "wb") as file:
        file.write(raw[: len(raw) - octets])


class JournalTest(unittest.TestCase):
    def setUp(self):
        _wipe()

    def tearDown(self):
        _wipe()

    def test_records_come_back_in_order_after_reopening(self):
        journal = Journal(_FOLDER, segment_records=3, keep_segments=10)
        for number in range(10):
            self.assertEqual(journal.append(b"record %d" % number), 1 + number)
        again = Journal(_FOLDER, segment_records=3, keep_segments=10)
        self.assertEqual((again.first_seq, again.next_seq, len(again)), (1, 11, 10))
        self.assertEqual(list(again.records(9)), [(9, b"record 8"), (10, b"record 9")])
        self.assertEqual(again.get(5), b"record 4")
        self.assertEqual(again.get(4), b"record 3")
        self.assertEqual(again.get(11), None)

    def test_oldest_segment_goes_when_all_are_full(self):
        journal = Journal(_FOLDER, segment_records=2, keep_segments=2)
        for number in range(7):
            journal.append(bytes([number]) * 200)
        self.assertEqual((journal.first_seq, journal.next_seq), (5, 8))
        self.assertEqual([seq for seq, _ in journal.records()], [5, 6, 7])
        self.assertEqual(journal.get(4), None)

    def test_small_records_gather_and_settle(self):
        journal = Journal(_FOLDER, 16, 4)
        for number in range(200):
            journal.append(b"small record %03d" % number)
            if number % 7 == 0:
                again = Journal(_FOLDER, 16, 4)
                self.assertEqual((again.first_seq, again.next_seq), (journal.first_seq, number + 2))
                self.assertEqual(again.get(number + 1), b"small record %03d" % number)
        found = list(journal.records())
        self.assertEqual(found, list(Journal(_FOLDER, 16, 4).records()))
        self.assertEqual(found, [(1 + n, b"small record %03d" % n) for n in range(found[0][0] - 1, 200)])
        self.assertTrue(len(found) >= 3 * 16)

    def test_long_record_takes_the_small_ones_along(self):
        journal = Journal(_FOLDER, 16, 4)
        for payload in (b"a", b"b", b"c" * 500, b"d", b"e" * 1024):
            journal.append(payload)
        wanted = [(1, b"a"), (2, b"b"), (3, b"c" * 500), (4, b"d"), (5, b"e" * 1024)]
        self.assertEqual(list(journal.records()), wanted)
        self.assertEqual(list(Journal(_FOLDER, 16, 4).records()), wanted)

    def test_torn_tail_at_every_length_is_dropped_and_its_number_used_again(self):
        for size, name in ((4, "/tail.0"), (200, "/00000001.seg")):
            for octets in range(1, 7 + size + 5):
                _wipe()
                journal = Journal(_FOLDER)
                journal.append(b"kept" * (size // 4))
                journal.append(b"torn" * (size // 4))
                _cut(_FOLDER + name, octets)
                again = Journal(_FOLDER)
                self.assertEqual(again.torn, 1)
                self.assertEqual(again.append(b"next"), 2)
                self.assertEqual(list(again.records()), [(1, b"kept" * (size // 4)), (2, b"next")])
                self.assertEqual(list(Journal(_FOLDER).records()), [(1, b"kept" * (size // 4)), (2, b"next")])

    def test_flipped_bit_costs_the_record_it_is_in(self):
        for size, name in ((4, "/tail.0"), (130, "/00000001.seg")):
            _wipe()
            journal = Journal(_FOLDER)
            payloads = [bytes([0xA5, number]) + b"x" * size for number in range(3)]
            for payload in payloads:
                journal.append(payload)
            with open(_FOLDER + name, "rb") as file:
                raw = file.read()
            frame = size + 2 + 12
            self.assertEqual(len(raw), 3 * frame)
            for at in range(len(raw)):
                with open(_FOLDER + name, "wb") as file:
                    file.write(raw[:at] + bytes([raw[at] ^ 1]) + raw[at + 1 :])
                again = Journal(_FOLDER)
                self.assertEqual(again.torn, 1)
                lost = at // frame
                self.assertEqual(
                    list(again.records()), [(1 + n, payload) for n, payload in enumerate(payloads) if n != lost]
                )

    def test_small_file_that_is_stale_is_not_read_again(self):
        journal = Journal(_FOLDER, 16, 4)
        for number in range(60):
            journal.append(b"record that fills %03d" % number)
        copies = {}
        for name in os.listdir(_FOLDER):
            if name.startswith("tail"):
                with open(_FOLDER + "/" + name, "rb") as file:
                    copies[name] = file.read()
        for number in range(60, 120):
            journal.append(b"record that fills %03d" % number)
        wanted = list(journal.records())
        with open(_FOLDER + "/tail.7", "wb") as file:
            file.write(copies["tail.7"])
        found = list(Journal(_FOLDER, 16, 4).records())
        self.assertEqual(found, wanted[: len(found)])

    def test_trim_drops_whole_segments_and_keeps_the_numbering(self):
        journal = Journal(_FOLDER, segment_records=2, keep_segments=10)
        for number in range(6):
            journal.append(bytes([number]) * 150)
        journal.trim_below(4)
        self.assertEqual(journal.first_seq, 3)
        journal.trim_below(100)
        self.assertEqual((journal.first_seq, journal.next_seq), (5, 7))
        self.assertEqual(Journal(_FOLDER, 2, 10).next_seq, 7)

    def test_clear_goes_on_or_starts_anew(self):
        journal = Journal(_FOLDER)
        journal.append(b"a")
        journal.append(b"b")
        journal.clear()
        self.assertEqual((len(journal), journal.next_seq, Journal(_FOLDER).next_seq), (0, 3, 3))
        journal.clear(1)
        self.assertEqual((len(journal), journal.append(b"c"), journal.get(1)), (0, 1, b"c"))

    def test_numbers_start_anew_without_what_was_before(self):
        journal = Journal(_FOLDER, 4, 4)
        for number in range(50):
            journal.append(b"before %d" % number)
        journal.clear(0)
        self.assertEqual(journal.append(b"after"), 0)
        self.assertEqual(list(Journal(_FOLDER, 4, 4).records()), [(0, b"after")])

    def test_hole_left_by_damage_is_skipped(self):
        journal = Journal(_FOLDER, segment_records=3, keep_segments=10)
        for number in range(6):
            journal.append(bytes([number]) * 120)
        _cut(_FOLDER + "/00000001.seg", 1)
        self.assertEqual([seq for seq, _ in Journal(_FOLDER, 3, 10).records()], [1, 2, 4, 5, 6])

    def test_trimming_while_reading(self):
        journal = Journal(_FOLDER, segment_records=1, keep_segments=10)
        for number in range(4):
            journal.append(bytes([number]) * 120)
        seen = []
        for seq, _ in journal.records():
            seen.append(seq)
            journal.trim_below(3)
        self.assertEqual(seen, [1, 3, 4])

    def test_record_that_is_too_long_is_refused(self):
        self.assertRaises(ValueError, Journal(_FOLDER).append, bytes(1025))
