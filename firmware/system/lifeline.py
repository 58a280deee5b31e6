"""A board's beginning and end, the same for both roles: watchdog, supervisor, why it started, how it is reset. Owns the
watchdog and every deliberate reset.

Firmware on trial after an update proves itself here: it keeps its slot once all jobs have run for a while without an
end, and is given up with the first end of a job, or after two minutes (security.md OTA-2).

In minimal mode (`main.py` asks for it after five quick resets) the composition root adds only the jobs without which
the board is of no use; ten healthy minutes, or a loss of power, lead back to all of them.
"""

import gc

from firmware.lib.compat import const
from firmware.system.restarts import Restarts, Slot
from firmware.system.supervisor import Supervisor
from firmware.system.timing import sleep_ms, ticks_add, ticks_diff, ticks_ms

_STARTING_MS = const(30000)  # modules are read and stores scanned before the loop runs
_RUNNING_MS = const(8000)  # with 4 s of silence and one round, below 15 s (security.md R-19)
_LOOK_MS = const(500)
_REBOOT_MS = const(500)  # so that the answer leaves before the reset
_IDLE_MS = const(10000)
_MINIMAL_ROUNDS = const(600)
_PROOF_ROUNDS = const(15)
_TRIAL_ROUNDS = const(120)


def _always():
    return True


def _nothing():
    pass


class Lifeline:
    """`board` is firmware.board. Set by the composition root: `is_idle()`, True when a reset would disturb nothing;
    `make_safe()`, stops what must not go on through a reset; `is_fit()`, False when this firmware does not work;
    `tick()`, called every `tick_ms`: periodic work that does not wait needs no job of its own."""

    def __init__(self, board, log, is_minimal=False, slot=None):
        self._board = board
        self._log = log.area("lifeline")
        self._pass_time = log.pass_time
        self.is_minimal = is_minimal
        self.restarts = Restarts(board.rtc_memory, board.set_rtc_memory, board.reset_cause())
        self.slot = slot or Slot()
        self._ends_before = self._ends()
        self.is_idle = self.is_fit = _always
        self.make_safe = _nothing
        self.tick = _nothing
        self.tick_ms = _LOOK_MS
        self._reboot_ms = None
        self._watchdog = board.Watchdog(_STARTING_MS)
        if not self._watchdog.is_there:
            self._log.warn("no_watchdog")
        self.supervisor = Supervisor(log, ticks_ms, self.restarts, self._feed, self._give_up)
        self.supervisor.add("housekeeping", self._keep_house)

    def _feed(self):
        self._watchdog.feed()

    async def run(self):
        """All jobs, for ever."""
        restarts = self.restarts
        self._log.info(
            "started", why=restarts.why, what=restarts.what or "-", quick=restarts.quick, minimal=self.is_minimal
        )
        self._watchdog = self._board.Watchdog(_RUNNING_MS)
        await self.supervisor.run()

    def describe(self):
        """Members for `hello`, `info` and `metrics`: why it started, and what has been counted since power came on."""
        restarts = self.restarts
        return {
            "why": restarts.why,
            "what": restarts.what,
            "minimal": self.is_minimal,
            "counts": restarts.counts(),
            "slot": self.slot.name,
            "trial": self.slot.is_on_trial,
        }

    def reset(self, why, what="", is_soft=False):
        """Reset the board now, safe outputs first."""
        self.make_safe()
        self.restarts.announce(why, what)
        self._log.warn("resetting", why=why, what=what or "-")
        if is_soft:
            self._board.soft_reset()
        self._board.reset()

    async def reset_when_idle(self, why, what="", is_soft=False):
        """Reset as soon as it disturbs nothing, at the latest after 10 s."""
        began_ms = ticks_ms()
        while not self.is_idle() and ticks_diff(ticks_ms(), began_ms) < _IDLE_MS:
            await sleep_ms(_LOOK_MS)
        self.reset(why, what, is_soft)

    def ask_reboot(self, after_ms=0):
        """Reset in a moment, and so many milliseconds later, because the owner asks for it."""
        self._reboot_ms = ticks_add(ticks_ms(), after_ms)

    def _ends(self):
        """How many ends jobs have had since power came on."""
        counts = self.restarts.counts()
        return counts.get("job", 0) + counts.get("no_memory", 0)

    def _judge(self):
        """Judge firmware on trial: keep the slot, or go back."""
        rounds = self.supervisor.rounds()
        if self._ends() != self._ends_before or rounds >= _TRIAL_ROUNDS:
            self.reset("failing", "trial")
        if rounds >= _PROOF_ROUNDS and self.is_fit():
            try:
                self.slot.keep()
            except OSError as err:
                self._log.warn("slot_not_kept", err=err)
                return
            self._log.info("slot_kept", slot=self.slot.name)

    def _give_up(self, name, why):
        gc.collect()
        self.reset(why, name)

    async def _keep_house(self, lease):
        while True:
            self._pass_time()
            self.tick()
            if self.slot.is_on_trial:
                self._judge()
            if self._reboot_ms is not None and ticks_diff(ticks_ms(), self._reboot_ms) > _REBOOT_MS:
                self.restarts.healthy()  # this end does not count as a crash
                self.reset("asked")
            if self.is_minimal and self.supervisor.rounds() >= _MINIMAL_ROUNDS and self.is_idle():
                self.restarts.healthy()
                self.reset("calm")
            await lease.sleep_ms(self.tick_ms)
