"""The deep sleep of a simulated board: owns when it is over. `board` starts the board again then."""

import asyncio
import time
from collections.abc import Callable

from host_tools.sim.board.mechanics import Mechanics

TIMER_WAKE = 4  # of machine.wake_reason()
_LOOK_S = 0.01


class Nap:
    """Over when its time is (leaps count), when a pin has its level, or when somebody ends it.

    `sleep_ms` 0: for ever. `wakes`: [pins, level, whether any of them is enough, the wake reason], for each of
    esp32.wake_on_ext0 and wake_on_ext1 that the program has called.
    """

    def __init__(self, leap_s: Callable[[], float], mechanics: Mechanics, sleep_ms: int, wakes: list) -> None:
        self._leap_s = leap_s
        self._mechanics = mechanics
        self._until_s = time.monotonic() + leap_s() + sleep_ms / 1000 if sleep_ms > 0 else None
        self._wakes = wakes
        self._ended = False

    def end(self) -> None:
        """Wake it."""
        self._ended = True

    def _reason(self) -> int:
        for pins, level, is_any, reason in self._wakes:
            hits = [self._mechanics.inputs.get(pin, 0) == level for pin in pins]
            if any(hits) if is_any else all(hits):
                return reason
        is_due = self._until_s is not None and time.monotonic() + self._leap_s() >= self._until_s
        return TIMER_WAKE if is_due else 0

    async def over(self) -> int:
        """Wait for the end; returns the wake reason, 0 when somebody ended it."""
        reason = 0
        while not self._ended and not (reason := self._reason()):
            await asyncio.sleep(_LOOK_S)
        return 0 if self._ended else reason
