# machine.Timer for simulated boards: one thread waits for all timers, their callbacks run where scheduled ones do.
import _thread
import time

import micropython
import utime
from micropython import const

_TICK_MS = const(2)
_NUMBERS = (0, 1, 2, 3)  # an ESP32's; -1 is no number of its

_timers = {}  # number -> Timer
_is_running = False


def _watch():
    while True:
        utime.sleep_ms(_TICK_MS)
        now = time.ticks_ms()
        for timer in list(_timers.values()):
            timer._look(now)


class Timer:
    ONE_SHOT = 0
    PERIODIC = 1

    def __new__(cls, id, **settings):
        if id not in _NUMBERS:
            raise ValueError("invalid Timer number")
        if id not in _timers:
            timer = super().__new__(cls)
            timer._id = id
            timer._callback = None
            timer._due = None
            _timers[id] = timer
        return _timers[id]

    def __init__(self, id, **settings):
        if settings:
            self.init(**settings)

    def init(self, *, mode=PERIODIC, freq=-1, period=-1, callback=None, tick_hz=1000, hard=False):
        global _is_running
        period_ms = 1000 / freq if freq > 0 else period * 1000 / tick_hz
        if period_ms <= 0:
            raise ValueError("timer period not specified")
        self._mode = mode
        self._period_ms = max(1, int(period_ms))
        self._callback = callback
        self._is_late = False
        self._due = time.ticks_add(time.ticks_ms(), self._period_ms)
        if not _is_running:
            _is_running = True
            _thread.start_new_thread(_watch, ())

    def deinit(self):
        self._due = None
        self._callback = None

    def value(self):
        if self._due is None:
            return 0
        return self._period_ms - max(0, time.ticks_diff(self._due, time.ticks_ms()))

    def _look(self, now):
        # in the thread
        due, callback = self._due, self._callback
        if due is None or time.ticks_diff(now, due) < 0:
            return
        if self._mode == Timer.PERIODIC:
            late = time.ticks_diff(now, due) // self._period_ms
            self._due = time.ticks_add(due, (late + 1) * self._period_ms)
        else:
            self._due = None
        if callback is not None:
            try:
                micropython.schedule(callback, self)
            except RuntimeError:
                pass  # the queue is full; a board loses the call as well

    def __repr__(self):
        return "Timer(%d)" % self._id
