"""Too little memory while a gateway connects to its broker by TLS (T-TLS-2, R-16): `tls_memory.py HOW`, a JSON object
of host, port, `folder` (ca.der, client.der, client-key.der); `holes`, a range of numbers of bytes; `seed`; `count`, of
further tries.

Two kinds of memory. MicroPython's heap is filled but for one hole, so that with each size another allocation fails.
That of the TLS library is the C library's: where the allocator has been replaced (`os.getenv("FAIL:n:m")` lets the
n-th to the m-th call from now fail, and tells how many there were), one allocation of a handshake fails, or all from
there on; first each of the earliest ones, then a random choice. Afterwards memory is back, and the client must come up.
"""

import asyncio
import gc
import os
import random

from firmware.net.mqtt import Mqtt
from firmware.system.log import Log
from firmware.system.supervisor import Lease
from tests.faults.programs.score import Score, arguments

_WAIT_MS = 60000
_FOR_EVER = 1 << 40
_EARLY = 4  # one in so many tries is of the earliest allocations: files, contexts, certificates

how = arguments()[0]
score = Score()
steps: dict = {}


def content(name):
    with open(how["folder"] + "/" + name + ".der", "rb") as file:
        return file.read()


class Eager(Lease):
    """Does not pause."""

    async def sleep_ms(self, pause_ms):
        await asyncio.sleep_ms(1)


class Heap:
    """MicroPython's: full but for a hole."""

    def __init__(self, free):
        self._free = free
        self._blocks: list = [None] * 1024
        self.name = "hole of %d" % free

    def spoil(self):
        gc.collect()
        hole = bytearray(self._free)
        at = 0
        size = 1 << 20
        while size >= 32 and at < len(self._blocks):
            try:
                self._blocks[at] = bytearray(size)
                at += 1
            except MemoryError:
                size //= 2
        del hole

    def mend(self):
        for at in range(len(self._blocks)):
            self._blocks[at] = None
        gc.collect()


class Library:
    """The C library's: calls `first` to `last` fail."""

    def __init__(self, first, last):
        self._control = "FAIL:%d:%d" % (first, last)
        self.name = "allocation %d%s" % (first, "" if last == first + 1 else " and later ones")

    def spoil(self):
        os.getenv(self._control)

    def mend(self):
        return int(os.getenv("FAIL:0:0") or 0)


async def attempt(shortage):
    client = Mqtt(
        "board",
        how["host"],
        how["port"],
        Log(sink=lambda line: None),
        ca=content("ca"),
        identity=(content("client"), content("client-key")),
    )
    client.subscribe(["t/in", "t/out"])
    lease = Eager()
    running = [asyncio.create_task(client.run(lease))]
    waited_ms = 0
    fault = ""
    shortage.spoil()
    try:
        while waited_ms < _WAIT_MS and not (client.is_up or client.failures or running[0].done()):
            await asyncio.sleep_ms(1)
            waited_ms += 1
    except MemoryError:
        fault = "the loop ended"
    calls = shortage.mend()
    ended = running[0].done()
    step = "up" if client.is_up else "job" if ended else client.step
    steps[step] = steps.get(step, 0) + 1
    if ended:  # the supervisor starts it anew
        running[0] = await _over(running[0], client, lease)
    while waited_ms < _WAIT_MS and not client.is_up and not fault:
        await asyncio.sleep_ms(2)
        waited_ms += 2
        if running[0].done():
            fault = "the job ended with memory back"
    score.check(client.is_up and not fault, "%s: %s, %s" % (shortage.name, fault or "does not come back", client.why))
    running[0].cancel()
    await _over(running[0])
    gc.collect()
    return calls


async def _over(task, client=None, lease=None):
    try:
        await task
    except (MemoryError, asyncio.CancelledError):
        pass
    return asyncio.create_task(client.run(lease)) if client else None


async def main():
    await attempt(Heap(1 << 20))  # what is imported late is there from here on
    for free in range(*how["holes"]):
        await attempt(Heap(free))
    if not (os.getenv("FAIL:0:0") or "").isdigit():
        print_end("of the heap alone")
        return
    await attempt(Library(0, 0))
    calls = await attempt(Library(0, 0))
    random.seed(how["seed"])
    for number in range(how["count"]):
        early = number // _EARLY + 1
        first = early if number % _EARLY == 0 else 1 + random.randrange(calls)
        for last in (first + 1, _FOR_EVER):
            await attempt(Library(first, last))
    score.figures["allocations"] = calls
    print_end("")


def print_end(what):
    score.figures["steps"] = ",".join("%s:%d" % (step, steps[step]) for step in sorted(steps))
    if what:
        score.figures["memory"] = what
    score.end()


asyncio.run(main())
