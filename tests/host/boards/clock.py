"""Runs `net/clock` on MicroPython for test_clock_ntp.py: `clock.py HOST ...`. Prints its log, and the time once
trusted."""

import asyncio
import sys

from firmware.net.clock import Clock
from firmware.system.log import Log
from firmware.system.supervisor import Lease
from firmware.version import BUILT


class Board:
    """The part of `firmware.board` that a clock uses, with an RTC that was never set."""

    def __init__(self):
        self.rtc_s = 0

    def nvs_get(self, namespace, key):
        return None

    def nvs_set(self, namespace, key, value):
        print("STORED", int.from_bytes(value, "big"))

    def unix_now(self):
        return self.rtc_s

    def set_rtc(self, unix_s):
        self.rtc_s = unix_s


async def main():
    board = Board()
    clock = Clock(board, sys.argv[1:], Log(sink=lambda line: print("LOG", line)), built_s=BUILT)
    task = asyncio.create_task(clock.run(Lease()))
    print("STATE", clock.state, clock.now())
    while not clock.trusted:
        await asyncio.sleep_ms(50)
    print("STATE", clock.state, clock.now(), board.rtc_s)
    task.cancel()
    try:
        await task
    except asyncio.CancelledError:
        print("STOPPED")


asyncio.run(main())
