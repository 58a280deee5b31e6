"""The millisecond clock and the few parts of MicroPython's asyncio that CPython spells differently.

Edges use these names, so that their unit tests (and the host's tools, where they borrow `ble/link.py`) run on CPython
too. On a board every name is MicroPython's own. Pure code takes a `now` argument instead (CONTRIBUTING.md, "MicroPython
idioms").
"""

import asyncio
import time

try:
    from asyncio import ThreadSafeFlag, sleep_ms, wait_for_ms
    from time import ticks_add, ticks_diff, ticks_ms
except ImportError:  # CPython

    def ticks_ms():
        """Milliseconds of a clock that never goes back; here it does not wrap, on a board it does."""
        return int(time.monotonic() * 1000)

    def ticks_add(at_ms, delta_ms):
        """`at_ms` moved by `delta_ms`, on the same circle."""
        return at_ms + delta_ms

    def ticks_diff(end_ms, start_ms):
        """Milliseconds from `start_ms` to `end_ms`, negative when `end_ms` is earlier."""
        return end_ms - start_ms

    def sleep_ms(pause_ms):
        """Awaitable that ends after `pause_ms`."""
        return asyncio.sleep(pause_ms / 1000)

    def wait_for_ms(awaitable, timeout_ms):
        """`asyncio.wait_for` in milliseconds; raises asyncio.TimeoutError."""
        return asyncio.wait_for(awaitable, timeout_ms / 1000)

    class ThreadSafeFlag:
        """One waiter; `wait` clears the flag. Enough for tests, where nothing interrupts."""

        def __init__(self):
            self._event = asyncio.Event()

        def set(self):
            self._event.set()

        def clear(self):
            self._event.clear()

        async def wait(self):
            await self._event.wait()
            self._event.clear()


def remaining_ms(deadline_ms):
    """Milliseconds until the tick `deadline_ms`, at least 0."""
    left_ms = ticks_diff(deadline_ms, ticks_ms())
    return left_ms if left_ms > 0 else 0
