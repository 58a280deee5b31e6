# Pins for the `machine` shim. `Pin` does not derive from the interpreter's PinBase: what is C there then gets an
# object of ours, and MicroPython 1.25 and 1.26 on 64 bits die of it.
import time

import _board
import micropython
from micropython import const

_PINS = const(49)


class Pin:
    IN = 1
    OUT = 3
    OPEN_DRAIN = 7
    PULL_DOWN = 1
    PULL_UP = 2
    IRQ_RISING = 1
    IRQ_FALLING = 2
    IRQ_LOW_LEVEL = 4
    IRQ_HIGH_LEVEL = 5
    WAKE_LOW = 4
    WAKE_HIGH = 5
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

    def irq(self, handler=None, trigger=3, wake=None, hard=False):
        if wake is not None and wake & ~6:
            raise ValueError("bad wake value")
        self._irq = (handler, trigger)
        if wake:  # a level that wakes it from sleep
            import esp32

            esp32.wake_on_ext0(self, 1 if trigger == Pin.IRQ_HIGH_LEVEL else 0)
        return self

    def __repr__(self):
        return "Pin(%d)" % self._id


class Signal:
    def __init__(self, pin, *args, invert=False, **more):
        self._pin = pin if hasattr(pin, "value") else Pin(pin, *args, **more)
        self._invert = bool(invert)

    def value(self, value=None):
        if value is None:
            return self._pin.value() ^ self._invert
        return self._pin.value(bool(value) ^ self._invert)

    def __call__(self, value=None):
        return self.value(value)

    def on(self):
        self.value(1)

    def off(self):
        self.value(0)


def time_pulse_us(pin, pulse_level, timeout_us=1000000):
    # -2: it did not begin in time; -1: it did not end
    for level, failure in ((not pulse_level, -2), (pulse_level, -1)):
        began = time.ticks_us()
        while bool(pin.value()) == bool(level):
            if time.ticks_diff(time.ticks_us(), began) >= timeout_us:
                return failure
    return time.ticks_diff(time.ticks_us(), began)
