# MicroPython's `machine` as an ESP32 has it, for simulated boards: pins and resets go to the site (see _board.py).
# What few programs use is loaded when it is asked for: timers (_timer.py) and buses without devices (_buses.py).
import time

import _board
import umachine
from _pin import Pin, Signal, time_pulse_us  # noqa: F401, names of this module
from micropython import const

PWRON_RESET = 1
HARD_RESET = 2
WDT_RESET = 3
DEEPSLEEP_RESET = 4
SOFT_RESET = 5
SLEEP = 2
DEEPSLEEP = 4
EXT0_WAKE = 2
PIN_WAKE = 2
EXT1_WAKE = 3
TIMER_WAKE = 4
TOUCHPAD_WAKE = 5
ULP_WAKE = 6

_RTC_MEMORY = const(2048)
_MORE = {
    "Timer": "_timer",
    "I2C": "_buses",
    "SoftI2C": "_buses",
    "SPI": "_buses",
    "SoftSPI": "_buses",
    "UART": "_buses",
    "DAC": "_buses",
    "bitstream": "_buses",
}

idle = umachine.idle
PinBase = umachine.PinBase
mem8 = umachine.mem8
mem16 = umachine.mem16
mem32 = umachine.mem32

_wake_reason = None  # of the last lightsleep


def __getattr__(name):
    if name not in _MORE:
        raise AttributeError("'module' object has no attribute '%s'" % name)
    return getattr(__import__(_MORE[name]), name)


def unique_id():
    return _board.mac()


def reset_cause():
    return _board.welcome().get("cause", PWRON_RESET)


def wake_reason():
    return _board.welcome().get("wake", 0) if _wake_reason is None else _wake_reason


def reset():
    _board.end("reset")


def soft_reset():
    _board.end("soft")


def _wakes():
    # what the program has named, by esp32.wake_on_ext0 and its like: [[pins, level, is_any, reason], ...]
    import esp32

    rows = []
    for name, reason in (("ext0", EXT0_WAKE), ("ext1", EXT1_WAKE)):
        if name in esp32.wakes:
            numbers, level = esp32.wakes[name]
            rows.append([numbers, level, 1 if level or name == "ext0" else 0, reason])
    return rows


def deepsleep(sleep_ms=0):
    # The site ends this process and starts the next when the time is over, or a pin has its level: RTC memory and
    # clock stay.
    _board.end("deepsleep", int(sleep_ms), _wakes())


def lightsleep(sleep_ms=0):
    # Everything stands still until the time is over or a pin has its level. Bluetooth and Wi-Fi stay up here.
    global _wake_reason
    until = time.ticks_add(time.ticks_ms(), int(sleep_ms)) if sleep_ms else None
    rows = _wakes()
    while True:
        for numbers, level, is_any, reason in rows:
            hits = [_board.inputs.get(number, 0) == level for number in numbers]
            if any(hits) if is_any else all(hits):
                _wake_reason = reason
                return
        if until is not None and time.ticks_diff(until, time.ticks_ms()) <= 0:
            _wake_reason = TIMER_WAKE
            return
        time.sleep_ms(1 if until is None else min(5, max(1, time.ticks_diff(until, time.ticks_ms()))))


sleep = lightsleep


def bootloader(timeout=0):
    _board.end("reset")  # nobody flashes a simulated chip: it starts again


def freq(hz=None):
    if hz is not None and hz not in (20000000, 40000000, 80000000, 160000000, 240000000):
        raise ValueError("frequency must be 20MHz, 40MHz, 80Mhz, 160MHz or 240MHz")
    return 160000000 if hz is None else None


def disable_irq():
    return 0


def enable_irq(state):
    pass


class PWM:
    def __init__(self, dest, **settings):
        self._pin = dest if isinstance(dest, Pin) else Pin(dest)
        self._freq = 5000
        self._duty = 32768
        self.init(**settings)

    def init(self, *, freq=None, duty=None, duty_u16=None, duty_ns=None, invert=0):
        if freq is not None:
            if not 1 <= freq <= 40000000:
                raise ValueError("frequency must be from 1Hz to 40MHz")
            self._freq = freq
        if duty_u16 is not None:
            self._duty = duty_u16
        elif duty is not None:
            self._duty = duty * 65535 // 1023
        elif duty_ns is not None:
            self._duty = min(65535, duty_ns * self._freq * 65536 // 1000000000)
        if not 0 <= self._duty <= 65536:
            raise ValueError("duty_u16 must be from 0 to 65535")
        _board.post("pwm", self._pin._id, self._freq, self._duty)

    def deinit(self):
        self._duty = 0
        _board.post("pwm", self._pin._id, 0, 0)

    def freq(self, value=None):
        return self._freq if value is None else self.init(freq=value)

    def duty(self, value=None):
        return self._duty * 1023 // 65535 if value is None else self.init(duty=value)

    def duty_u16(self, value=None):
        return self._duty if value is None else self.init(duty_u16=value)

    def duty_ns(self, value=None):
        return self._duty * 1000000000 // 65536 // self._freq if value is None else self.init(duty_ns=value)


class ADC:
    ATTN_0DB = 0
    ATTN_2_5DB = 1
    ATTN_6DB = 2
    ATTN_11DB = 3
    WIDTH_12BIT = 3

    def __init__(self, pin, *, atten=0):
        number = pin._id if isinstance(pin, Pin) else pin
        if number not in (32, 33, 34, 35, 36, 37, 38, 39, 0, 2, 4, 12, 13, 14, 15, 25, 26, 27):
            raise ValueError("invalid pin")
        self._id = number

    def init(self, *, atten=0):
        pass

    def atten(self, value):
        pass

    def width(self, value):
        pass

    def read_u16(self):
        _board.pump()
        return _board.analog.get(self._id, 0)

    def read(self):
        return self.read_u16() >> 4

    def read_uv(self):
        return self.read_u16() * 3300000 // 65535


class WDT:
    def __init__(self, id=0, timeout=5000):
        if id != 0:
            raise ValueError
        if timeout <= 0:
            raise ValueError("WDT timeout too short")
        self._gap_ms = min(timeout // 10, 1000)
        self._fed = time.ticks_ms()
        _board.post("wdt", timeout)

    def feed(self):
        now = time.ticks_ms()
        if time.ticks_diff(now, self._fed) >= self._gap_ms:
            self._fed = now
            _board.post("feed")


class RTC:
    def __init__(self, id=0):
        pass

    def datetime(self, when=None):
        if when is None:
            now = time.gmtime()
            return now[:3] + (now[6],) + now[3:6] + (time.time_ns() // 1000 % 1000000,)
        year, month, day, _, hour, minute, second, microsecond = when
        time._set_clock(time.mktime((year, month, day, hour, minute, second)) + microsecond / 1000000)
        return None

    def init(self, when):
        self.datetime(when)

    def memory(self, content=None):
        if content is None:
            return bytes.fromhex(_board.welcome().get("rtc_memory", ""))
        content = content.encode() if isinstance(content, str) else bytes(content)
        if len(content) > _RTC_MEMORY:
            raise ValueError("buffer too long")
        _board.welcome()["rtc_memory"] = content.hex()
        _board.post("rtc_memory", content.hex())
        return None
