"""A bounded queue from an interrupt handler to one task. Owns nothing but its ring.

One producer (the handler), one consumer (the task): each moves only its own index, so neither needs a lock, also where
the radio's handler runs on another thread (ESP32).
"""

import asyncio

from firmware.system.timing import ThreadSafeFlag, remaining_ms, ticks_add, ticks_ms, wait_for_ms


class Inbox:
    """Ring of `depth` items. `dropped` counts items that came while it was full; the oldest items are kept."""

    def __init__(self, depth):
        self._ring = [None] * (depth + 1)  # one slot stays free, so that full and empty differ
        self._head = 0
        self._tail = 0
        self._flag = ThreadSafeFlag()
        self._is_waiting = False
        self._is_nudged = False
        self.dropped = 0
        self.is_closed = False

    def put(self, item):
        """Queue `item`; safe in an interrupt handler. False when there was no room."""
        head = self._head
        after = (head + 1) % len(self._ring)
        if after == self._tail:
            self.dropped += 1
            return False
        self._ring[head] = item
        self._head = after
        self._flag.set()
        return True

    def close(self):
        """Nothing more will come: once empty, `get` returns None. Safe in an interrupt handler."""
        self.is_closed = True
        self._flag.set()

    def nudge(self):
        """End a `get_within` that waits, as if its time were up. For tasks; nothing happens when none waits."""
        if self._is_waiting:
            self._is_nudged = True
            self._flag.set()

    def get_nowait(self):
        """The oldest item, or None when there is none."""
        tail = self._tail
        if tail == self._head:
            return None
        item = self._ring[tail]
        self._ring[tail] = None
        self._tail = (tail + 1) % len(self._ring)
        return item

    async def get(self):
        """Wait for the oldest item; None once the inbox is closed and empty. One task at a time."""
        while True:
            if self._tail != self._head:
                return self.get_nowait()
            if self.is_closed:
                return None
            await self._flag.wait()

    async def get_within(self, timeout_ms):
        """`get` with a limit; raises asyncio.TimeoutError only when nothing is queued.

        Not `wait_for(get())`: an item that arrives as the time runs out would be lost with the cancelled task.
        """
        deadline_ms = ticks_add(ticks_ms(), timeout_ms)
        self._is_waiting = True
        self._is_nudged = False
        try:
            while self._tail == self._head:
                if self.is_closed:
                    return None
                left_ms = remaining_ms(deadline_ms)
                if not left_ms or self._is_nudged:
                    raise asyncio.TimeoutError
                try:
                    await wait_for_ms(self._flag.wait(), left_ms)
                except asyncio.TimeoutError:
                    pass  # the flag may have been cleared by the cancelled wait: look once more
        finally:
            self._is_waiting = False
        return self.get_nowait()

    def clear(self):
        """Forget what is queued. Only the consumer may call it."""
        while self._tail != self._head:
            self.get_nowait()

    def __len__(self):
        return (self._head - self._tail) % len(self._ring)
