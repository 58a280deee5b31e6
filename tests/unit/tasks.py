"""Tasks of a test's event loop."""

import asyncio


async def cancel(task):
    """Cancel a task, once, and await its end; what swallows a cancellation is seen by hanging here."""
    task.cancel()
    try:
        await task
    except asyncio.CancelledError:
        pass
