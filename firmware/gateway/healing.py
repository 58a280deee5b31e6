"""Looks after the radio. Owns the judgement of `ble.health`'s signs (`RadioWatch`), what is tried when it does not work
and in which order (`Ladder`), and scanning that climbs (`Healing`).

What the stack itself got wrong may lead as far as a reset. Silence, and attempts that fail, may have other causes, such
as a lock that was carried away: for them the radio is switched off and on, again and again at longer pauses, and no
more.
"""

import asyncio

from firmware.lib.compat import const
from firmware.lib.errors import LinkError

_CALM_MS = const(600000)
_ACT_MS = const(20000)  # a reset waits until it disturbs nothing
_RESCAN_MS = const(20000)  # what each rung is given to show an effect
_RADIO_MS = const(30000)
_REFUSED_MS = const(2000)
_GAP_MS = const(15000)  # so long a time between looks says that time has leapt, or that everything stood still
_REFUSED = const(8)
_UNREPORTED = const(2)
_FAILED = const(24)
_NEAR_S = const(600)  # a lock sighted within this time should be sighted again
_HEARD_S = const(60)
_DEAF_MS = const(90000)
_DEAF_MAX_MS = const(1440000)  # of silence between two attempts to end it
_MASK = const(0x3FFFFFFF)
_HIGHEST = "radio_cycle"


class Ladder:
    """What is tried, one rung after the other: `rungs` are (word of `restarts.WORDS`, async function, time in ms that
    it is given to show an effect), from the gentlest to the hardest. Each use of one is counted.

    Whoever finds trouble calls `trouble(why)` each time, as long as it lasts. The first call takes the lowest rung,
    later ones the next, up to the rung that they name; ten minutes without trouble lead back to the lowest. Trouble
    that may lead to a low rung only does not bring other trouble nearer to a higher one.
    """

    def __init__(self, rungs, restarts, log, calm_ms=_CALM_MS):
        self._rungs = rungs
        self._restarts = restarts
        self._log = log.area("ladder")
        self._calm_ms = calm_ms
        self._woken = asyncio.Event()
        self._why = ""
        self._highest = 0
        self._level = 0

    def trouble(self, why, highest=None):
        """Something is wrong: `why` is a word for the log. `highest` names the last rung that it may lead to, for
        what may have another cause than this board. Returns at once; may be called from any task."""
        self._why = why
        words = [word for word, _, _ in self._rungs]
        self._highest = max(self._highest, len(words) - 1 if highest is None else words.index(highest))
        self._woken.set()

    async def run(self, lease):
        """Climb when there is trouble, for ever."""
        while True:
            if not await lease.wait(self._woken, self._calm_ms if self._level else None):
                self._level = 0
                self._log.info("calm")
                continue
            word, act, settle_ms = self._rungs[min(self._level, self._highest)]
            self._level = max(self._level, min(self._level + 1, self._highest))
            self._restarts.count(word)
            self._log.warn(word, why=self._why)
            lease.renew(_ACT_MS)
            await act(self._why)
            await lease.sleep_ms(settle_ms)
            self._woken.clear()  # calls that came while the rung acted saw the state before it had an effect
            self._highest = 0


class Healing:
    """`radio` and `scanner` are those of firmware.ble; `ladder.trouble(why)` climbs."""

    def __init__(self, radio, scanner, lifeline, log):
        self._radio = radio
        self._scanner = scanner
        reset = lifeline.reset_when_idle
        rungs = (
            ("rescan", self._rescan, _RESCAN_MS),
            ("radio_cycle", self._cycle, _RADIO_MS),
            ("soft_reset", lambda why: reset("radio", why, True), 0),
            ("radio", lambda why: reset("radio", why), 0),
        )
        self.ladder = Ladder(rungs, lifeline.restarts, log)

    async def scan(self, lease):
        """Scan for ever; a stack that refuses is trouble."""
        while True:
            try:
                await self._scanner.run(lease)
            except LinkError:
                self.ladder.trouble("scan_refused")
                await lease.sleep_ms(_REFUSED_MS)

    async def _rescan(self, why):
        self._radio.stop_scan()

    async def _cycle(self, why):
        self._radio.restart()


class RadioWatch:
    """`trouble(why, highest)` as in `Ladder`; `linked()` is true while a link to a lock is up."""

    def __init__(self, health, registry, trouble, linked):
        self._health = health
        self._registry = registry
        self._trouble = trouble
        self._linked = linked
        self._listened_ms = health.listened_ms()
        self._adverts = 0
        self._silent_ms = 0
        self._deaf_ms = _DEAF_MS

    def look(self):
        """Judge, every few seconds."""
        health = self._health
        self._listen()
        if health.unreported >= _UNREPORTED:
            self._report("connect_unreported")
        elif health.refused >= _REFUSED:
            self._report("connect_refused")
        elif health.failed >= _FAILED and self._is_any_heard(_HEARD_S if health.failed < 2 * _FAILED else _NEAR_S):
            # While the radio connects it receives no advertisements, so a lock that was near counts as well.
            self._report("connects_fail", _HIGHEST)
        elif self._silent_ms >= self._deaf_ms and self._is_any_heard(_NEAR_S + self._silent_ms // 1000):
            self._deaf_ms += min(self._deaf_ms, _DEAF_MAX_MS)
            self._trouble("deaf", _HIGHEST)

    def _listen(self):
        """Add up for how long the radio scanned and received nothing at all. Not while a lock is connected: it may be
        the only one near, and it is silent."""
        listened_ms = self._health.listened_ms()
        passed_ms = (listened_ms - self._listened_ms) & _MASK
        self._listened_ms = listened_ms
        if self._adverts != self._health.adverts:
            self._adverts = self._health.adverts
            self._silent_ms = 0
            self._deaf_ms = _DEAF_MS
        elif passed_ms < _GAP_MS and not self._linked():
            self._silent_ms += passed_ms

    def _report(self, why, highest=None):
        self._health.forgive()
        self._trouble(why, highest)

    def _is_any_heard(self, within_s):
        """True when a lock that is served was sighted so recently."""
        for lock in self._registry.all():
            age_s = self._registry.age_s(lock)
            if age_s is not None and age_s <= within_s:
                return True
        return False
