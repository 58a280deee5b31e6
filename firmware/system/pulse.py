"""Waiting that the supervisor can see: a long-lived job reports at least every few seconds, also while it waits.

A job gets a function `alive` and calls it, or hands it to these waits. Every wait on something that may never come has
a limit of its own; reporting through one without a limit says only that the job would notice if it came.
"""

import asyncio

from firmware.lib.compat import const
from firmware.system.timing import remaining_ms, sleep_ms, ticks_add, ticks_ms, wait_for_ms

_LAST_MS = const(50)
_SLICE_MS = const(1500)  # well below what the supervisor allows


def nobody():
    """Stands for `alive` where nobody supervises (tests, host tools)."""


async def rest_ms(pause_ms, alive):
    """Sleep for `pause_ms` (at most six days), reporting."""
    until_ms = ticks_add(ticks_ms(), pause_ms)
    while True:
        alive()
        left_ms = remaining_ms(until_ms)
        if not left_ms:
            return
        await sleep_ms(min(left_ms, _SLICE_MS))


async def wait_set(event, alive, limit_ms=None):
    """Wait until `event` is set, reporting; False when `limit_ms` passed first."""
    until_ms = None if limit_ms is None else ticks_add(ticks_ms(), limit_ms)
    while not event.is_set():
        alive()
        left_ms = _SLICE_MS if until_ms is None else remaining_ms(until_ms)
        if not left_ms:  # its own limit may have passed in this very moment, too
            await sleep_ms(_LAST_MS)
            return event.is_set()
        try:
            await wait_for_ms(event.wait(), min(left_ms, _SLICE_MS))
        except asyncio.TimeoutError:
            pass
    alive()
    return True


class _Errand:
    """Work on its way in a task of its own, and how it ended."""

    def __init__(self):
        self.ended = asyncio.Event()
        self.found = None
        self.err = None

    async def run(self, work):
        try:
            self.found = await work
        except Exception as err:  # handed to whoever waits
            self.err = err
        finally:
            self.ended.set()


async def attend(work, alive, limit_ms):
    """Await the coroutine `work`, reporting meanwhile; its result or exception is passed on.

    Raises asyncio.TimeoutError, after cancelling it, when it takes longer than `limit_ms`; None is no limit, for an
    `alive` that itself stops reporting when it is too late.
    """
    errand = _Errand()
    task = asyncio.create_task(errand.run(work))
    try:
        if not await wait_set(errand.ended, alive, limit_ms):
            raise asyncio.TimeoutError
    finally:
        if not errand.ended.is_set():
            task.cancel()
            try:
                await task
            except asyncio.CancelledError:
                pass
    if errand.err is not None:
        raise errand.err
    return errand.found
