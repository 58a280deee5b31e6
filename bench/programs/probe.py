# Runs on a simulated board before its own program (SIM_PROBE): tells what lies on the Python heap when the site asks.
# Its own share is the same in every run, and part of what `bench.heap` subtracts. It loads the simulator's modules
# first, as long as there is room for compiling them: a board has them built in.
#
#   PROBE_MODE=peak       collect whenever the board waits, and keep the most that was alive then
#   PROBE_IMPORT=names    import these modules before anything else runs, and print what each of them takes
#
# The site posts ["heap", label]; the board prints `*heap* label alive peak` on its console, and before that how many
# names (qstr) the interpreter has, as `micropython.qstr_info` says it.
import gc
import os
import sys

import _board
import micropython

_peak = [0]


def _look():
    gc.collect()
    used = gc.mem_alloc()
    if used > _peak[0]:
        _peak[0] = used
    return used


def _tell(label):
    used = _look()
    micropython.qstr_info()
    print("*heap*", label, used, _peak[0])
    _peak[0] = used


def _watch_waits():
    from asyncio import core

    wait = core.IOQueue.wait_io_event

    def look_and_wait(self, wait_ms):
        _look()
        wait(self, wait_ms)

    core.IOQueue.wait_io_event = look_and_wait


def _import_each(names):
    # in this order, those that others need first, so that each line tells what one module takes by itself
    sys.path.insert(0, "/a")
    for name in names:
        before = _look()
        __import__(name)
        print("*import*", name, _look() - before)
    print("*imported*")


import bluetooth  # noqa: E402, F401
import esp32  # noqa: E402
import machine  # noqa: E402, F401
import network  # noqa: E402, F401

try:
    esp32.NVS("probe").get_i32("none")  # opens its file
except OSError:
    pass
gc.collect()
_board.handlers["heap"] = _tell
if os.getenv("PROBE_MODE") == "peak":
    _watch_waits()
if os.getenv("PROBE_IMPORT"):
    _import_each(os.getenv("PROBE_IMPORT").split())
