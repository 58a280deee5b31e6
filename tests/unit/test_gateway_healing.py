import asyncio
import unittest

from firmware.ble.health import Health
from firmware.gateway.healing import Ladder, RadioWatch
from firmware.system.log import ERROR, Log
from firmware.system.restarts import Restarts
from firmware.system.supervisor import Lease
from tests.unit.tasks import cancel


class LadderTest(unittest.TestCase):
    def setUp(self):
        self.climbed = []
        self.restarts = Restarts(lambda: b"", lambda octets: None, "power_on")

    def _rung(self, word, settle_ms):
        async def act(why):
            self.climbed.append((word, why))

        return word, act, settle_ms

    def _play(self, scenario, calm_ms=600000, settle_ms=20):
        rungs = [self._rung(word, settle_ms) for word in ("rescan", "radio_cycle", "soft_reset", "radio")]
        climber = Ladder(rungs, self.restarts, Log(lambda: 0, lambda line: None, ERROR), calm_ms)

        async def whole():
            task = asyncio.create_task(climber.run(Lease()))
            await scenario(climber)
            await cancel(task)

        asyncio.run(whole())
        return [word for word, _ in self.climbed]

    def test_trouble_that_lasts_climbs_and_each_rung_is_given_time(self):
        async def scenario(climber):
            for _ in range(6):
                for _ in range(3):  # at once: within the time that a rung is given
                    climber.trouble("scan_refused")
                    await asyncio.sleep(0)
                await asyncio.sleep(0.15)

        climbed = self._play(scenario, settle_ms=100)
        self.assertEqual(climbed, ["rescan", "radio_cycle", "soft_reset", "radio", "radio", "radio"])
        self.assertEqual(
            self.restarts.counts(), {"power_on": 1, "rescan": 1, "radio_cycle": 1, "soft_reset": 1, "radio": 3}
        )

    def test_the_lease_covers_a_rung_that_takes_its_time_and_the_time_it_is_given(self):
        lease = Lease()
        seen = []

        async def slow(why):
            seen.append(lease.rounds)
            await asyncio.sleep(0.01)

        async def whole():
            climber = Ladder([("radio", slow, 60000)], self.restarts, Log(lambda: 0, lambda line: None, ERROR))
            task = asyncio.create_task(climber.run(lease))
            await asyncio.sleep(0.001)
            seen.append(lease.rounds)
            climber.trouble("refused")
            await asyncio.sleep(0.05)
            seen.append(lease.rounds)
            await cancel(task)

        asyncio.run(whole())
        self.assertEqual(seen, [None, 4 + 20, 4 + 60])

    def test_trouble_of_another_making_never_resets(self):
        async def scenario(climber):
            for _ in range(4):
                climber.trouble("nothing_heard", "radio_cycle")
                await asyncio.sleep(0.05)

        self.assertEqual(self._play(scenario), ["rescan", "radio_cycle", "radio_cycle", "radio_cycle"])

    def test_trouble_of_another_making_brings_no_reset_nearer(self):
        async def scenario(climber):
            for most in ("radio_cycle", "radio_cycle", "radio_cycle", None, None):
                climber.trouble("some", most)
                await asyncio.sleep(0.05)

        self.assertEqual(self._play(scenario), ["rescan", "radio_cycle", "radio_cycle", "radio_cycle", "soft_reset"])

    def test_calm_leads_back_to_the_lowest_rung(self):
        async def scenario(climber):
            for pause_s in (0.04, 0.12, 0):
                climber.trouble("scan_refused")
                await asyncio.sleep(pause_s)
            await asyncio.sleep(0.02)

        self.assertEqual(self._play(scenario, 30), ["rescan", "radio_cycle", "rescan"])


class Signs(Health):
    """With a time of listening to be set by hand."""

    listened = (1 << 30) - 50000  # about to wrap

    def listened_ms(self):
        return self.listened & 0x3FFFFFFF


class Locks:
    def __init__(self, *ages_s):
        self.ages_s = list(ages_s)

    def all(self):
        return range(len(self.ages_s))

    def age_s(self, lock):
        return self.ages_s[lock]


class RadioWatchTest(unittest.TestCase):
    def setUp(self):
        self.signs = Signs()
        self.locks = Locks(5, None)
        self.told = []
        self.is_linked = False
        self.watch = RadioWatch(
            self.signs,
            self.locks,
            lambda why, most=None: self.told.append((why, most)),
            lambda: self.is_linked,
        )

    def pass_time(self, seconds):
        """Nothing is heard for so long."""
        for _ in range(seconds // 5):
            self.signs.listened += 5000
            if self.locks.ages_s[0] is not None:
                self.locks.ages_s[0] += 5
            self.watch.look()

    def test_health_counts_what_fails_in_a_row(self):
        signs = self.signs
        signs.attempted(is_unreported=True)
        signs.attempted(is_unreported=True)
        self.assertEqual((signs.unreported, signs.refused, signs.failed), (2, 0, 2))
        signs.attempted(is_refused=True)
        self.assertEqual((signs.unreported, signs.refused, signs.failed), (0, 1, 3))
        signs.attempted()
        self.assertEqual((signs.unreported, signs.refused, signs.failed), (0, 0, 4))
        signs.linked()
        self.assertEqual(signs.failed, 0)

    def test_silence_is_that_of_a_radio_that_scans(self):
        for _ in range(200):
            self.watch.look()
        self.assertEqual(self.told, [])
        health = Health()
        self.assertEqual(health.listened_ms(), 0)
        health.listens(True)
        health.listens(False)
        self.assertTrue(0 <= health.listened_ms() < 10000)

    def test_what_the_stack_got_wrong_may_lead_to_a_reset(self):
        self.signs.unreported = 2
        self.watch.look()
        self.signs.refused = 8
        self.watch.look()
        self.watch.look()
        self.assertEqual(self.told, [("connect_unreported", None), ("connect_refused", None)])

    def test_attempts_that_fail_are_the_radios_only_while_a_lock_is_heard(self):
        self.signs.failed = 24
        self.locks.ages_s[0] = 61
        self.watch.look()
        self.assertEqual(self.told, [])
        self.locks.ages_s[0] = 3
        self.watch.look()
        self.assertEqual(self.told, [("connects_fail", "radio_cycle")])
        self.locks.ages_s[0] = 500
        self.signs.failed = 47
        self.watch.look()
        self.assertEqual(len(self.told), 1)
        self.signs.failed = 48
        self.watch.look()
        self.assertEqual(len(self.told), 2)

    def test_silence_is_told_at_longer_and_longer_pauses(self):
        self.pass_time(85)
        self.assertEqual(self.told, [])
        self.pass_time(10)
        self.assertEqual(self.told, [("deaf", "radio_cycle")])
        self.pass_time(80)
        self.assertEqual(len(self.told), 1)
        self.pass_time(10)
        self.assertEqual(len(self.told), 2)
        self.pass_time(600)
        self.assertEqual(len(self.told), 4)
        self.signs.advertised()
        self.locks.ages_s[0] = 0
        self.pass_time(95)
        self.assertEqual(len(self.told), 5)

    def test_a_silence_without_end_is_told_every_24_minutes(self):
        self.pass_time(3600)
        told = len(self.told)
        self.pass_time(86400)
        self.assertEqual(len(self.told) - told, 60)

    def test_silence_says_nothing_without_a_lock_that_was_near(self):
        for age_s in (None, 700):
            self.locks.ages_s[0] = age_s
            self.signs.advertised()
            self.pass_time(300)
        self.assertEqual(self.told, [])

    def test_silence_says_nothing_while_a_lock_is_served(self):
        self.is_linked = True
        self.pass_time(600)
        self.is_linked = False
        self.locks.ages_s[0] = 0
        self.pass_time(80)
        self.assertEqual(self.told, [])

    def test_a_leap_of_time_is_no_silence(self):
        self.pass_time(50)
        self.signs.listened += 3600000
        self.watch.look()
        self.assertEqual(self.told, [])
