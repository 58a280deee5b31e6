"""Runs `net/udp`'s resolver on MicroPython for test_resolver.py: `resolver.py PORT HOST`. Prints the address or the
failure, and the longest time for which the loop stood still meanwhile."""

import asyncio
import sys

from firmware.lib.errors import NetError
from firmware.net.udp import Resolver
from firmware.system.timing import sleep_ms, ticks_diff, ticks_ms


async def main():
    worst = [0]

    async def beat():
        while True:
            began_ms = ticks_ms()
            await sleep_ms(20)
            worst[0] = max(worst[0], ticks_diff(ticks_ms(), began_ms) - 20)

    task = asyncio.create_task(beat())
    try:
        print("ADDRESS", await Resolver(lambda: "127.0.0.1", int(sys.argv[1])).address(sys.argv[2]))
    except NetError as err:
        print("FAILED", err)
    task.cancel()
    print("STOOD", worst[0])


asyncio.run(main())
