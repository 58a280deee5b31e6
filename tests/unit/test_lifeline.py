import asyncio
import unittest

from firmware.system.lifeline import Lifeline
from firmware.system.log import ERROR, Log
from firmware.system.restarts import Restarts
from tests.unit.tasks import cancel


class _Watchdog:
    is_there = True

    def __init__(self, timeout_ms):
        _Board.timeouts.append(timeout_ms)

    def feed(self):
        pass


class _Board:
    """What a lifeline uses of firmware.board."""

    Watchdog = _Watchdog
    timeouts: list = []

    def __init__(self, kept=b"GH2\x04"):
        self.kept = kept
        self.resets = []
        _Board.timeouts = []

    def rtc_memory(self):
        return self.kept

    def set_rtc_memory(self, octets):
        self.kept = octets

    def reset_cause(self):
        return "hard"

    def reset(self):
        self.resets.append("hard")

    def soft_reset(self):
        self.resets.append("soft")


class _Trial:
    name = "b"
    is_on_trial = True

    def __init__(self, err=None):
        self._err = err

    def keep(self):
        if self._err:
            raise self._err
        self.is_on_trial = False


class LifelineTest(unittest.TestCase):
    def setUp(self):
        self.board = _Board()

    def _lifeline(self, is_minimal=False, slot=None):
        return Lifeline(self.board, Log(lambda: 0, lambda line: None, ERROR), is_minimal, slot)

    def _play(self, lifeline, pause_s):
        async def whole():
            task = asyncio.create_task(lifeline.run())
            await asyncio.sleep(pause_s)
            await cancel(task)

        asyncio.run(whole())

    def _next(self):
        return Restarts(lambda: self.board.kept, lambda octets: None, "hard")

    def test_watchdog_gives_the_start_more_time_than_the_run(self):
        self._play(self._lifeline(), 0.01)
        self.assertEqual(_Board.timeouts, [30000, 8000])

    def test_minimal_mode_ends_after_ten_healthy_minutes_when_that_hurts_nothing(self):
        lifeline = self._lifeline(True)
        self._play(lifeline, 0.05)
        self.assertEqual(self.board.resets, [])
        lifeline = self._lifeline(True)
        lifeline.supervisor.rounds = lambda: 600
        lifeline.is_idle = lambda: False
        self._play(lifeline, 0.05)
        self.assertEqual(self.board.resets, [])
        lifeline.is_idle = lambda: True
        self._play(lifeline, 0.05)
        self.assertEqual(self.board.resets[0], "hard")
        self.assertEqual((self._next().why, self._next().quick), ("calm", 0))

    def test_full_mode_is_not_left(self):
        lifeline = self._lifeline()
        lifeline.supervisor.rounds = lambda: 6000
        self._play(lifeline, 0.05)
        self.assertEqual(self.board.resets, [])

    def test_owners_restart_is_no_crash(self):
        lifeline = self._lifeline()
        lifeline.ask_reboot()
        self._play(lifeline, 1.2)
        self.assertEqual((self._next().why, self._next().quick), ("asked", 0))

    def test_outputs_are_safe_before_a_reset(self):
        lifeline = self._lifeline()
        seen = []
        lifeline.make_safe = lambda: seen.append(list(self.board.resets))
        lifeline.reset("failing", "scanner")
        self.assertEqual((seen, self.board.resets), ([[]], ["hard"]))
        self.assertEqual((self._next().why, self._next().what), ("failing", "scanner"))

    def test_reset_waits_until_it_hurts_nothing(self):
        lifeline = self._lifeline()
        answers = [False, True]
        lifeline.is_idle = lambda: answers.pop(0)
        asyncio.run(lifeline.reset_when_idle("radio", "deaf"))
        self.assertEqual((answers, self.board.resets, self._next().what), ([], ["hard"], "deaf"))

    def _try(self, rounds, is_fit=True, ends=0, err=None):
        """Firmware on trial after so many rounds: (whether it still is, resets)."""
        self.board = _Board()
        lifeline = self._lifeline(slot=_Trial(err))
        lifeline.supervisor.rounds = lambda: rounds
        lifeline.is_fit = lambda: is_fit
        for _ in range(ends):
            lifeline.restarts.count("job")
        self._play(lifeline, 0.05)
        return lifeline.slot.is_on_trial, self.board.resets[:1]

    def test_firmware_on_trial_is_kept_when_it_has_run_for_a_while(self):
        self.assertEqual(self._try(14), (True, []))
        self.assertEqual(self._try(15), (False, []))

    def test_firmware_on_trial_is_given_up_for_the_end_of_a_job_or_when_it_is_not_fit_in_time(self):
        self.assertEqual(self._try(1, ends=1), (True, ["hard"]))
        self.assertEqual((self._next().why, self._next().what), ("failing", "trial"))
        self.assertEqual(self._try(119, is_fit=False), (True, []))
        self.assertEqual(self._try(120, is_fit=False), (True, ["hard"]))
        self.assertEqual(self._try(119, err=OSError(28)), (True, []))

    def test_what_ended_before_this_start_does_not_count(self):
        self.board = _Board(b"GH2\x01" + bytes(13) + bytes(20) + b"\x00\x07" + bytes(8))
        lifeline = self._lifeline(slot=_Trial())
        self.assertEqual(lifeline.restarts.counts()["job"], 7)
        lifeline.supervisor.rounds = lambda: 15
        self._play(lifeline, 0.05)
        self.assertEqual((lifeline.slot.is_on_trial, self.board.resets), (False, []))
