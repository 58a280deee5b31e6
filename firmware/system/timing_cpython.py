"""MicroPython's clock and asyncio as CPython can have them, for `timing`. No board loads this file."""

import asyncio
import time


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
