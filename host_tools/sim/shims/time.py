# MicroPython's `time` as an ESP32 has it: epoch 2000, ticks of 30 bits that start at boot. Ticks and clock are real
# time plus the site's leaps (architecture.md, "The simulator"). The clock survives a reset, not a power cut: the site
# keeps it.
import _board
import utime
from micropython import const
from utime import sleep_us as _sleep_us
from utime import time_ns as _host_ns

_PERIOD = const(0x40000000)
_HALF = const(0x20000000)
_TO_2000 = const(946684800)
_SLICE_MS = const(5)  # scheduled callbacks run, and leaps count, at least this often in a sleep

_leap_ms = 0  # since the boot of this process
_before_ns = _host_ns()
_clock_ns = 0  # clock at _before_ns, nanoseconds since 2000
on_leap = None  # sim_loop moves the times of sleeping tasks


def _start():
    global _clock_ns
    clock_s = _board.welcome().get("clock_s")
    _clock_ns = int(clock_s * 1000) * 1000000 if clock_s is not None else 0
    _board.handlers["leap"] = _leap


def _leap(ms):
    global _leap_ms
    _leap_ms += ms
    if on_leap is not None:
        on_leap(ms)
    _board.post("leapt")


def _elapsed_us():
    return (_host_ns() - _before_ns) // 1000 + _leap_ms * 1000


def _set_clock(seconds):
    # RTC.datetime(): seconds since 2000
    global _clock_ns
    _clock_ns = int(seconds * 1000000) * 1000 - _elapsed_us() * 1000
    _board.post("clock", time_ns() / 1000000000)


def ticks_ms():
    return _elapsed_us() // 1000 & _PERIOD - 1


def ticks_us():
    return _elapsed_us() & _PERIOD - 1


def ticks_cpu():
    return _elapsed_us() * 240 & _PERIOD - 1


def ticks_add(ticks, delta):
    if not -_HALF < delta < _HALF:
        raise OverflowError("ticks interval overflow")
    return ticks + delta & _PERIOD - 1


def ticks_diff(end, start):
    return (end - start + _HALF & _PERIOD - 1) - _HALF


def time_ns():
    return _clock_ns + _elapsed_us() * 1000


def time():
    return time_ns() // 1000000000


def sleep_ms(ms):
    until_us = _elapsed_us() + ms * 1000
    while True:
        _board.pump()
        if _board.is_hold_wanted:
            _board.hold()
        rest_us = until_us - _elapsed_us()
        if rest_us <= 0:
            break
        if rest_us < _SLICE_MS * 1000:
            _sleep_us(rest_us)
        else:
            utime.sleep_ms(_SLICE_MS)


def sleep(s):
    sleep_ms(int(s * 1000))


def sleep_us(us):
    if us >= 1000:
        sleep_ms(us // 1000)
    _sleep_us(us % 1000)


def gmtime(seconds=None):
    return utime.gmtime((time() if seconds is None else int(seconds)) + _TO_2000)[:8]


localtime = gmtime  # a board has no time zone


def mktime(when):
    year, month, day, hour, minute, second = when[:6]
    months = year * 12 + month - 3  # years that begin in March, so that the leap day is their last
    year = months // 12
    days = year * 365 + year // 4 - year // 100 + year // 400 + (153 * (months % 12) + 2) // 5 + day - 730426
    return (days * 24 + hour) * 3600 + minute * 60 + second


_start()
