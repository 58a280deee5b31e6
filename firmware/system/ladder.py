"""The self-healing ladder: what is tried, one rung after the other, when something does not work. Owns the order
and the pauses; what a rung does is given by the composition root.

Gateway's rungs: `rescan`, `radio_cycle` (radio off and on), `soft_reset`, `radio` (hard reset). Each is counted.
"""

import asyncio

from firmware.lib.compat import const

_CALM_MS = const(600000)
_ACT_MS = const(20000)  # a reset waits until it disturbs nothing


class Rung:
    """`act` is an async function; `settle_ms` is the time it is given to show an effect."""

    def __init__(self, word, act, settle_ms):
        self.word = word
        self.act = act
        self.settle_ms = settle_ms


class Ladder:
    """`rungs` from the gentlest to the hardest; their words are in `restarts.WORDS`.

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
        self._most = 0
        self._level = 0

    def trouble(self, why, most=None):
        """Something is wrong: `why` is a word for the log. `most` names the highest rung that it may lead to, for what
        may have another cause than this board. Returns at once; may be called from any task."""
        self._why = why
        words = [rung.word for rung in self._rungs]
        self._most = max(self._most, len(words) - 1 if most is None else words.index(most))
        self._woken.set()

    async def run(self, lease):
        """Climb when there is trouble, for ever."""
        while True:
            if not await lease.wait(self._woken, self._calm_ms if self._level else None):
                self._level = 0
                self._log.info("calm")
                continue
            rung = self._rungs[min(self._level, self._most)]
            self._level = max(self._level, min(self._level + 1, self._most))
            self._restarts.count(rung.word)
            self._log.warn(rung.word, why=self._why)
            lease.renew(_ACT_MS)
            await rung.act(self._why)
            await lease.sleep_ms(rung.settle_ms)
            self._woken.clear()  # calls that came while the rung acted saw the state before it had an effect
            self._most = 0
