# MicroPython's `machine` as an ESP32 has it, for simulated boards: pins and resets go to the site (see _board.py).
import time

import _board
import micropython
import umachine
from micropython import const

PWRON_RESET = 1
HARD_RESET = 2
WDT_RESET = 3
DEEPSLEEP_RESET = 4
SOFT_RESET = 5

_PINS = const(49)
_RTC_MEMORY = const(2048)
_TO_2000 = const(946684800)

idle = umachine.idle
PinBase = umachine.PinBase
Signal = umachine.Signal


def unique_id():
    return _board.mac()


def reset_cause():
    return _board.welcome().get("cause", PWRON_RESET)


def reset():
    _board.end("reset")


def soft_reset():
    _board.end("soft")


def freq(hz=None):
    if hz is not None and hz not in (20000000, 40000000, 80000000, 160000000, 240000000):
        raise ValueError("frequency must be 20MHz, 40MHz, 80Mhz, 160MHz or 240MHz")
    return 160000000 if hz is None else None


def disable_irq():
    return 0


def enable_irq(state):
    pass


class Pin(PinBase):
    IN = 1
    OUT = 3
    OPEN_DRAIN = 7
    PULL_DOWN = 1
    PULL_UP = 2
    IRQ_RISING = 1
    IRQ_FALLING = 2
    IRQ_LOW_LEVEL = 4
    IRQ_HIGH_LEVEL = 5
    DRIVE_0 = 0
    DRIVE_1 = 1
    DRIVE_2 = 2
    DRIVE_3 = 3
    _made = {}

    def __new__(cls, id, *args, **more):
        if isinstance(id, Pin):
            return id
        if not isinstance(id, int) or not 0 <= id < _PINS:
            raise ValueError("invalid pin")
        _board.on_input = Pin._on_input
        if id not in Pin._made:
            pin = super().__new__(cls)
            pin._id = id
            pin._mode = Pin.IN
            pin._pull = None
            pin._out = None
            pin._irq = None
            Pin._made[id] = pin
        return Pin._made[id]

    def __init__(self, id, mode=-1, pull=-1, **more):
        self.init(mode, pull, **more)

    def init(self, mode=-1, pull=-1, *, value=None, drive=None, hold=None):
        if mode not in (-1, None, Pin.IN, Pin.OUT, Pin.OPEN_DRAIN):
            raise ValueError("invalid pin mode")
        if pull != -1:
            self._pull = pull
        if value is not None:
            self._drive(value)
        if mode is not None and mode != -1:
            if mode != Pin.IN and 34 <= self._id <= 39:
                raise ValueError("pin can only be input")
            self._mode = mode

    def _drive(self, value):
        value = 1 if value else 0
        if value != self._out:
            self._out = value
            _board.post("pin", self._id, value)

    @staticmethod
    def _on_input(number, level):
        pin = Pin._made.get(number)
        if pin is not None and pin._irq is not None:
            handler, trigger = pin._irq
            if handler is not None and trigger & (Pin.IRQ_RISING if level else Pin.IRQ_FALLING):
                try:
                    micropython.schedule(handler, pin)
                except RuntimeError:
                    pass  # the queue is full; a board loses the call as well

    def value(self, value=None):
        if value is not None:
            self._drive(value)
            return None
        if self._mode == Pin.IN:
            _board.pump()
            level = _board.inputs.get(self._id)
            return (1 if self._pull == Pin.PULL_UP else 0) if level is None else level
        return self._out or 0

    def __call__(self, value=None):
        return self.value(value)

    def on(self):
        self._drive(1)

    def off(self):
        self._drive(0)

    def toggle(self):
        self._drive(not self._out)

    def irq(self, handler=None, trigger=3, *, wake=None, hard=False):
        self._irq = (handler, trigger)
        return self

    def __repr__(self):
        return "Pin(%d)" % self._id


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
