"""One holder at a time, with a deadline for those who wait. Owns nothing but the queue.

`asyncio.Lock` under `wait_for` would do, but for this: MicroPython runs the acquisition as a task of its own, and a
caller cancelled just then leaves a lock behind that nobody holds and nobody frees.
"""

import asyncio

from firmware.system.timing import remaining_ms, ticks_add, ticks_ms, wait_for_ms


class Turn:
    """`acquire`, work, and `release` in `finally`."""

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
