import unittest

from firmware.gateway.registry import Twins

_LOCK = bytes(6)
_OTHER = bytes(range(6))


class TwinsTest(unittest.TestCase):
    def test_contents_that_go_back_and_forth_are_two(self):
        twins = Twins()
        found = [twins.sighted(_LOCK, b"ab"[turn % 2 : turn % 2 + 1]) for turn in range(40)]
        self.assertTrue(any(found))
        self.assertFalse(any(found[:10]))

    def test_contents_that_change_or_stay_are_one(self):
        twins = Twins()
        for turn in range(200):
            self.assertFalse(twins.sighted(_LOCK, bytes((turn,))))
            self.assertFalse(twins.sighted(_LOCK, bytes((turn,))))
        for word in (b"locked", b"unlocked", b"locked", b"unlocked", b"locked"):
            self.assertFalse(twins.sighted(_LOCK, word))

    def test_each_address_is_one_of_its_own_and_the_room_is_bounded(self):
        twins = Twins(2)
        for turn in range(40):
            self.assertFalse(twins.sighted(b"one", b"a"))
            self.assertFalse(twins.sighted(b"two", b"b"))
            self.assertFalse(twins.sighted(bytes((turn,)), b"c"))

    def test_who_is_heard_while_the_lock_answers_is_another(self):
        twins = Twins()
        twins.linked(_LOCK, -400)
        twins.sighted(_OTHER, b"a")
        self.assertFalse(twins.answered(_LOCK))
        twins.sighted(_LOCK, b"a")
        self.assertFalse(twins.answered(_OTHER))
        twins.sighted(_LOCK, b"a")
        self.assertTrue(twins.answered(_LOCK))
        self.assertFalse(twins.answered(_LOCK))  # told

    def test_what_was_heard_before_the_link_or_after_it_says_nothing(self):
        twins = Twins()
        twins.sighted(_LOCK, b"a")
        twins.linked(_LOCK)
        twins.sighted(_LOCK, b"a")  # out of a queue
        self.assertFalse(twins.answered(_LOCK))
        twins.linked(None)
        twins.sighted(_LOCK, b"a")
        self.assertFalse(twins.answered(_LOCK))


if __name__ == "__main__":
    unittest.main()
