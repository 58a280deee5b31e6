"""The millisecond clock, what counts with it, how long to pause before trying again, and the few parts of MicroPython's
asyncio that CPython spells differently.

Edges use these names, so that their unit tests (and the host's tools, where they borrow `ble/link.py`) run on CPython
too. On a board every name is MicroPython's own. Pure code takes a `now` argument instead (CONTRIBUTING.md, "MicroPython
idioms").
"""

import asyncio

try:
    from asyncio import ThreadSafeFlag, sleep_ms, wait_for_ms  # noqa: F401
    from time import ticks_add, ticks_diff, ticks_ms
except ImportError:  # CPython
    from firmware.system.timing_cpython import (  # type: ignore[no-redef]  # noqa: F401
        ThreadSafeFlag,
        sleep_ms,
        ticks_add,
        ticks_diff,
        ticks_ms,
        wait_for_ms,
    )


def remaining_ms(deadline_ms):
    """Milliseconds until the tick `deadline_ms`, at least 0."""
    left_ms = ticks_diff(deadline_ms, ticks_ms())
    return left_ms if left_ms > 0 else 0


class Turn:
    """One holder at a time, with a deadline for those who wait: `acquire`, work, and `release` in `finally`.

    `asyncio.Lock` under `wait_for` would do, but for this: MicroPython runs the acquisition as a task of its own, and a
    caller cancelled just then leaves a lock behind that nobody holds and nobody frees.
    """

    def __init__(self):
        self._is_taken = False
        self._freed = asyncio.Event()

    def is_taken(self):
        return self._is_taken

    async def acquire(self, timeout_ms):
        """Wait for the turn; first come, first served. Raises asyncio.TimeoutError."""
        deadline_ms = ticks_add(ticks_ms(), timeout_ms)
        while self._is_taken:
            self._freed.clear()
            await wait_for_ms(self._freed.wait(), remaining_ms(deadline_ms))
        self._is_taken = True

    def release(self):
        self._is_taken = False
        self._freed.set()


class Uptime:
    """Time since start out of ticks that wrap. Asked more often than ticks wrap (every six days), it never goes back
    and never jumps. `ticks` is a millisecond counter like `ticks_ms`, `diff` belongs to it like `ticks_diff`."""

    def __init__(self, ticks=ticks_ms, diff=ticks_diff):
        self._ticks = ticks
        self._diff = diff
        self._last = ticks()
        self._ms = 0

    def now_ms(self):
        """Milliseconds, only ever rising."""
        now = self._ticks()
        self._ms += self._diff(now, self._last)
        self._last = now
        return self._ms

    def seconds(self):
        """Whole seconds, only ever rising."""
        return self.now_ms() // 1000


def next_pause(pause_s, ran_ms, low=1, high=60):
    """Seconds to pause after a failure, given the pause before this attempt and how long it ran.

    Doubles from `low` up to `high`; starts over at `low` after an attempt that ran for longer than `high` seconds,
    because that was a healthy run. Source: CONTRIBUTING.md, "Errors": pausing 1 s up to 60 s.
    """
    if pause_s <= 0 or ran_ms > high * 1000:
        return low
    return min(pause_s * 2, high)


def jittered_ms(pause_s, octet):
    """`pause_s` as milliseconds, spread evenly over 75 % to 125 % by a random `octet` (0-255).

    A house full of gateways that lost the same broker must not come back in step.
    """
    return pause_s * (750 + 500 * octet // 255)
