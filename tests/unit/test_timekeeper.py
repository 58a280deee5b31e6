import unittest

from firmware.lib import timekeeper
from firmware.lib.errors import ProtocolError

_T = 1795481374000
_HOUR = 3600000
_DAY = 24 * _HOUR


def trusted(at_ms=_T):
    keeper = timekeeper.Timekeeper(_T - 100 * _DAY)
    keeper.sample(at_ms, 0)
    keeper.sample(at_ms + 2000, 2000)
    return keeper


class Boot(unittest.TestCase):
    def test_states(self):
        self.assertEqual(timekeeper.Timekeeper().state, timekeeper.UNTRUSTED)
        keeper = timekeeper.Timekeeper(_T)
        self.assertEqual((keeper.state, keeper.now_ms(5)), (timekeeper.FLOOR, _T))
        self.assertIsNone(keeper.sample(_T + 1000, 0))
        self.assertEqual((keeper.state, keeper.is_pending), (timekeeper.FLOOR, True))
        self.assertEqual(keeper.sample(_T + 3000, 2000), 0)
        self.assertEqual((keeper.state, keeper.now_ms(4000)), (timekeeper.TRUSTED, _T + 5000))

    def test_two_samples_must_agree_within_five_seconds(self):
        keeper = timekeeper.Timekeeper()
        for n in range(20):  # a server that alternates
            self.assertIsNone(keeper.sample(_T + (n % 2) * 5001, 0))
        self.assertEqual(keeper.state, timekeeper.UNTRUSTED)
        keeper.sample(_T, 0)
        self.assertEqual(keeper.sample(_T + 5000, 0), 0)

    def test_rtc_counts_only_above_the_floor_and_is_never_trusted(self):
        keeper = timekeeper.Timekeeper(_T)
        keeper.guess(_T - 1, 0)
        self.assertEqual(keeper.now_ms(10), _T)
        keeper.guess(_T + 500, 0)
        self.assertEqual((keeper.now_ms(10), keeper.state), (_T + 510, timekeeper.FLOOR))
        keeper.sample(_T + 1500, 0)
        self.assertEqual((keeper.sample(_T + 1500, 0), keeper.drift_ms), (1000, None))  # nothing to compare with

    def test_samples_below_the_floor_never_count(self):
        keeper = timekeeper.Timekeeper(_T)
        for mono in range(0, 10 * _HOUR, _HOUR):
            self.assertIsNone(keeper.sample(_T - _DAY + mono, mono))
        self.assertEqual(keeper.state, timekeeper.FLOOR)


class Floor(unittest.TestCase):
    def test_time_near_the_floor_becomes_the_floor_at_once(self):
        keeper = timekeeper.Timekeeper(_T - _DAY)
        self.assertIsNone(keeper.floor_to_keep(0))
        keeper.sample(_T, 0)
        self.assertIsNone(keeper.floor_to_keep(0))
        keeper.sample(_T + 2000, 2000)
        self.assertEqual(keeper.floor_to_keep(2000), _T + 2000)

    def test_a_lie_at_the_first_start_does_not_outlive_the_truth(self):
        keeper = timekeeper.Timekeeper(_T - _DAY)
        lie = 10 * 365 * _DAY
        keeper.sample(_T + lie, 0)
        keeper.sample(_T + lie + 2000, 2000)
        self.assertEqual(keeper.state, timekeeper.TRUSTED)
        mono = 2000
        for _ in range(5):  # and goes on for hours
            mono += _HOUR
            keeper.sample(_T + lie + mono, mono)
            self.assertIsNone(keeper.floor_to_keep(mono))
        for _ in range(3):
            mono += 61000
            keeper.sample(_T + mono, mono)
        self.assertEqual(keeper.now_ms(mono), _T + mono)
        self.assertEqual(keeper.floor_to_keep(mono), _T + mono)

    def test_a_far_time_becomes_the_floor_after_six_hours_of_agreement(self):
        keeper = timekeeper.Timekeeper(_T - 300 * _DAY)
        keeper.sample(_T, 0)
        keeper.sample(_T + 2000, 2000)
        kept = [keeper.floor_to_keep(hours * _HOUR + 2000) is not None for hours in range(8)]
        self.assertEqual(kept, [False] * 6 + [True] * 2)

    def test_days_of_uptime_do_not_make_the_time_look_far(self):
        keeper = timekeeper.Timekeeper(_T - 1000)
        keeper.sample(_T, 0)
        keeper.sample(_T + 2000, 2000)
        self.assertEqual(keeper.floor_to_keep(40 * _DAY), _T + 40 * _DAY)


class Jumps(unittest.TestCase):
    def test_small_corrections_at_once(self):
        keeper = trusted()
        self.assertEqual(keeper.sample(_T + _HOUR - 5000, _HOUR), -5000)
        self.assertEqual((keeper.drift_ms, keeper.now_ms(_HOUR)), (-5000, _T + _HOUR - 5000))

    def steps(self, jump_ms):
        """How many samples, a minute apart, it takes to move a trusted clock by `jump_ms`."""
        keeper = trusted()
        for n in range(1, 10):
            mono = n * 60000
            before = keeper.now_ms(mono)
            if keeper.sample(_T + mono + jump_ms, mono) is not None:
                self.assertEqual(keeper.now_ms(mono), _T + mono + jump_ms)
                return n
            self.assertEqual(keeper.now_ms(mono), before)

    def test_confirmations(self):
        for jump_ms, needed in ((5001, 2), (_DAY, 2), (_DAY + 1, 3), (365 * _DAY, 3), (-5001, 3), (-_HOUR, 3)):
            self.assertEqual(self.steps(jump_ms), needed)

    def test_confirmations_close_together_count_once(self):
        keeper = trusted()
        for mono in range(3000, 60000, 1000):
            self.assertIsNone(keeper.sample(_T + _HOUR + mono, mono))
        self.assertEqual(keeper.sample(_T + _HOUR + 64000, 64000), _HOUR)

    def test_alternating_server_moves_nothing(self):
        keeper = trusted()
        for n in range(1, 200):
            mono = n * 61000
            jump = (_HOUR, -_HOUR, 365 * _DAY, -50 * _DAY)[n % 4]
            self.assertIsNone(keeper.sample(_T + mono + jump, mono))
        self.assertEqual(keeper.now_ms(mono), _T + mono)
        self.assertEqual(keeper.state, timekeeper.TRUSTED)

    def test_a_good_sample_ends_a_pending_jump(self):
        keeper = trusted()
        keeper.sample(_T + 60000 + _HOUR, 60000)
        self.assertTrue(keeper.is_pending)
        keeper.sample(_T + 120000, 120000)
        self.assertFalse(keeper.is_pending)
        self.assertIsNone(keeper.sample(_T + 180000 + _HOUR, 180000))


class Agreement(unittest.TestCase):
    def test_who_is_believed(self):
        for offsets, servers, agreed in (
            ((), 3, None),
            ((7,), 3, None),
            ((7,), 1, None),  # nobody confirms it
            ((0, 5000), 3, 0),
            ((0, 5001), 3, None),
            ((0, _DAY, 100), 3, 0),
            ((_DAY, 0, _DAY + 5000), 3, _DAY),  # two that lie alike outvote one
            ((0, 4000, 8000), 3, 0),  # two groups of two
            ((0, 100, 4900), 3, 100),
            ((-4900, 0, 100), 3, 0),
            ((0, 1), 2, 0),
            ((0, 1), 4, None),
            ((0, 1, _DAY, _DAY), 4, None),
            ((0, 1, 2, _DAY), 4, 1),
            ((0, 1, _DAY, _DAY), 5, None),
            ((0, 1, 2, _DAY, _DAY), 5, 1),
        ):
            for told in (offsets, tuple(reversed(offsets))):
                self.assertEqual(timekeeper.agreed(told, servers), agreed, "%s of %d" % (told, servers))

    def test_one_of_three_moves_nothing_however_it_lies(self):
        for lie in [sign << bits for bits in range(0, 40, 3) for sign in (1, -1)]:
            for spread in (0, 50, 4999):
                told = timekeeper.agreed((0, lie, spread), 3)
                self.assertTrue(-5000 <= told <= 5000, "%d, %d" % (lie, spread))
                self.assertIsNone(timekeeper.agreed((0, lie), 3) if abs(lie) > 5000 else None)


class Signed(unittest.TestCase):
    def test_while_nothing_is_known_anybody_tells_the_time_and_the_floor_holds(self):
        for is_authority in (False, True):
            keeper = timekeeper.Timekeeper(_T, _T - 300 * _DAY)
            keeper.guess(_T + _HOUR, 0)
            keeper.signed(_T + _DAY, 1000, 0, is_authority)
            self.assertEqual((keeper.state, keeper.now_ms(1000)), (timekeeper.TRUSTED, _T + _DAY))
            self.assertEqual(keeper.signed_age_ms(3000), 2000 if is_authority else None)

    def test_only_an_authority_goes_below_what_was_persisted_and_nobody_below_the_build(self):
        for ago, is_authority, is_taken in ((_DAY, False, False), (_DAY, True, True), (301 * _DAY, True, False)):
            keeper = timekeeper.Timekeeper(_T, _T - 300 * _DAY)
            taken = keeper.signed(_T - ago, 1000, 0, is_authority)
            self.assertEqual((taken is not None, keeper.state == timekeeper.TRUSTED), (is_taken, is_taken))
            self.assertEqual(keeper.now_ms(1000), _T - ago if is_taken else _T)
            if is_taken:
                self.assertEqual(keeper.floor_to_keep(2000), _T - ago + 1000)  # the lie is forgotten for good

    def test_an_authority_corrects_what_the_servers_have_told(self):
        for lie in (31000, 120000, _HOUR, _DAY, 7 * _DAY, 3650 * _DAY, -90000, -_HOUR, -50 * _DAY):
            keeper = trusted(_T + lie)
            self.assertIsNone(keeper.signed(_T + 60000, 60000))  # not everybody does
            self.assertEqual(keeper.now_ms(60000), _T + 60000 + lie)
            self.assertEqual(keeper.signed(_T + 60000, 60000, 0, True), -lie)
            self.assertEqual(keeper.now_ms(60000), _T + 60000)

    def test_a_message_that_was_on_its_way_moves_nothing(self):
        for age in (0, 5000, 30000):
            for late in (0, age // 2, age, age + 29000, -29000):
                keeper = trusted()
                self.assertEqual(keeper.signed(_T + 60000 - late, 60000, age, True), 0)
                self.assertEqual(keeper.now_ms(60000), _T + 60000)
                self.assertEqual(keeper.signed_age_ms(60000), 0)

    def test_servers_stay_near_the_last_signed_time_for_as_long_as_it_is_known(self):
        for step in (100, 4900, 60000, 4 * 60000, _HOUR, _DAY, 7 * _DAY):
            for sign in (1, -1):
                keeper = trusted()
                keeper.signed(_T + 3000, 3000, 0, True)
                lie, mono = 0, 3000
                for _ in range(1000):  # days of lies that grow
                    mono += 240000
                    lie += sign * step
                    keeper.sample(_T + mono + lie, mono)
                    off = keeper.now_ms(mono) - _T - mono
                    self.assertTrue(abs(off) <= 300000 + mono // 10000, "%d by steps of %d" % (off, sign * step))

    def test_what_a_crystal_drifts_is_corrected_by_servers_for_ever(self):
        for parts in (20000, -20000):
            keeper = trusted()
            keeper.signed(_T + 3000, 3000, 0, True)
            mono = 3000
            for _ in range(24 * 200):
                mono += _HOUR
                true = _T + mono + mono // parts
                keeper.sample(true, mono)
                self.assertTrue(abs(keeper.now_ms(mono) - true) < 200)


_TOKEN = b"\x01\x02\x03\x04\x05\x06\x07\x08"


def reply(seconds=0xEC1A3C5B, fraction=0x80000000, first=0x24, stratum=2, token=_TOKEN):
    return (
        bytes([first, stratum])
        + bytes(22)
        + token
        + bytes(8)
        + seconds.to_bytes(4, "big")
        + fraction.to_bytes(4, "big")
    )


class Sntp(unittest.TestCase):
    def test_request(self):
        got = timekeeper.encode_request(_TOKEN)
        self.assertEqual((len(got), got[0], got[40:]), (48, 0x23, _TOKEN))

    def test_reply(self):
        self.assertEqual(timekeeper.decode_reply(reply(2208988800 + 1, 0), _TOKEN), 1000)
        self.assertEqual(timekeeper.decode_reply(reply(0xFFFFFFFF), _TOKEN), (0xFFFFFFFF - 2208988800) * 1000 + 500)
        self.assertEqual(timekeeper.decode_reply(reply(first=0x1C) + b"extension", _TOKEN) % 1000, 500)

    def test_era_after_february_2036(self):
        self.assertEqual(timekeeper.decode_reply(reply(1, 0), _TOKEN), 2085978497000)
        self.assertEqual(timekeeper.decode_reply(reply(0), _TOKEN), 2085978496500)

    def test_what_is_refused(self):
        good = reply()
        for bad in (
            b"",
            good[:47],
            reply(token=bytes(8)),
            reply(first=0x23),  # a client's packet
            reply(first=0x25),  # broadcast
            reply(first=0x14),  # version 2
            reply(first=0xE4),  # server not synchronised
            reply(stratum=0),  # kiss of death
            reply(stratum=16),
            reply(0, 0),
        ):
            with self.assertRaises(ProtocolError):
                timekeeper.decode_reply(bad, _TOKEN)
        for size in range(48):
            with self.assertRaises(ProtocolError):
                timekeeper.decode_reply(good[:size], _TOKEN)
