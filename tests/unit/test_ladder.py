import asyncio
import unittest

from firmware.system.ladder import Ladder, Rung
from firmware.system.log import ERROR, Log
from firmware.system.restarts import Restarts
from firmware.system.supervisor import Lease
from tests.unit.tasks import cancel


class LadderTest(unittest.TestCase):
    def setUp(self):
        self.climbed = []
        self.restarts = Restarts(lambda: b"", lambda octets: None, "power_on")

    def _rung(self, word, settle_ms=20):
        async def act(why):
            self.climbed.append((word, why))

        return Rung(word, act, settle_ms)

    def _play(self, scenario, calm_ms=600000):
        rungs = [self._rung("rescan"), self._rung("radio_cycle"), self._rung("soft_reset"), self._rung("radio")]
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
                for _ in range(3):
                    climber.trouble("scan_refused")
                    await asyncio.sleep(0.001)
                await asyncio.sleep(0.05)

        self.assertEqual(self._play(scenario), ["rescan", "radio_cycle", "soft_reset", "radio", "radio", "radio"])
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
            climber = Ladder([Rung("radio", slow, 60000)], self.restarts, Log(lambda: 0, lambda line: None, ERROR))
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
