"""The lock around its board: motor, bolt, limit switches, door, tamper contact, buttons, battery, light, sound.

The independent witness of what a lock did: it knows nothing of the firmware but the levels on its pins. Times are the
event loop's for the movement and Unix seconds in the record of movements.
"""

import asyncio
import time
from collections.abc import Callable
from typing import NamedTuple

MOTOR_LOCK = 25
MOTOR_UNLOCK = 26
SWITCH_LOCKED = 32  # 0 while the bolt is there
SWITCH_UNLOCKED = 33
BUTTON_INSIDE = 27  # 0 while pressed
RESET_BUTTON = 0  # 0 while pressed; the boot button of most boards
DOOR = 14  # 0 = closed
TAMPER = 13  # 0 = the case is closed
PRIVACY = 22  # 0 = the knob inside is turned
LIGHT = {18: "red", 19: "green", 21: "blue"}
BUZZER = 23
BATTERY = 34  # read_u16: 0 to 65535 for 0 to 100 %

TRAVEL_S = 0.15  # a clutch or a lever, which most locks of the family have; a dead bolt takes 0.4 to 1 s
_JAMMED_AT = 0.4  # how far a jammed bolt comes from where it rests


class Movement(NamedTuple):
    """The bolt reached the other end."""

    t: float
    before: str
    after: str


class Mechanics:
    """`put(pin, level)` and `put_analog(pin, level)` tell the board; `on_pin` and `on_pwm` come from it. The bolt takes
    `travel_s` from one end to the other."""

    def __init__(
        self, put: Callable[[int, int], None], put_analog: Callable[[int, int], None], travel_s: float = TRAVEL_S
    ) -> None:
        self._put = put
        self._put_analog = put_analog
        self.travel_s = travel_s
        self.inputs = {SWITCH_LOCKED: 0, SWITCH_UNLOCKED: 1, BUTTON_INSIDE: 1, RESET_BUTTON: 1}
        self.inputs |= {DOOR: 0, TAMPER: 0, PRIVACY: 1}
        self.analog = {BATTERY: 65535}
        self.bolt = "locked"  # the end that it was at last
        self.movements: list[Movement] = []
        self.sounds = 0
        self.light = dict.fromkeys(LIGHT.values(), 0)
        self.is_buzzing = False
        self.duty = 0  # of the PWM when it sounded last
        self._position = 0.0  # 0 locked … 1 unlocked
        self._drive = 0
        self._sense = 1
        self._levels: dict[int, int] = {}
        self._since = 0.0
        self._jam_at: float | None = None
        self._timer: asyncio.TimerHandle | None = None

    def state(self) -> dict:
        """Everything that can be seen from outside."""
        return {
            "bolt": self.bolt if self._position in (0.0, 1.0) else "between",
            "movements": len(self.movements),
            "jam": self._jam_at is not None,
            "door_open": bool(self.inputs[DOOR]),
            "tamper": bool(self.inputs[TAMPER]),
            "privacy": not self.inputs[PRIVACY],
            "duty": self.duty,
            "battery_pct": round(self.analog[BATTERY] * 100 / 65535),
            "light": [name for name, level in self.light.items() if level],
            "sounds": self.sounds,
        }

    @property
    def is_moving(self) -> bool:
        """The motor moves the bolt."""
        return self._timer is not None

    def jam(self, is_jammed: bool) -> None:
        """A jammed bolt is stopped before it arrives, whichever way it goes."""
        self._update()
        self._jam_at = None if not is_jammed else abs(round(self._position) - _JAMMED_AT)
        self._schedule()

    def door(self, is_open: bool) -> None:
        """Open or close the door; its sensor tells the board."""
        self._input(DOOR, is_open)

    def tamper(self, is_open: bool) -> None:
        """Open or close the case."""
        self._input(TAMPER, is_open)

    def privacy(self, is_on: bool) -> None:
        """Turn the privacy knob inside."""
        self._input(PRIVACY, not is_on)

    def mount(self, is_mirrored: bool) -> None:
        """Mount the lock on a door that opens the other way: the motor's sense is reversed."""
        self._update()
        self._sense = -1 if is_mirrored else 1
        self._schedule()

    def press(self, pin: int, is_down: bool) -> None:
        """Hold or release a button."""
        self._input(pin, not is_down)

    def battery(self, level_pct: float) -> None:
        """Charge left."""
        self.analog[BATTERY] = round(max(0, min(100, level_pct)) * 65535 / 100)
        self._put_analog(BATTERY, self.analog[BATTERY])

    def turn(self, end: str) -> None:
        """Somebody turns the bolt by hand, to `locked` or `unlocked`."""
        self._update()
        self._position = 1.0 if end == "unlocked" else 0.0
        self._arrived()
        self._schedule()

    def power_off(self) -> None:
        """The board is without power: its outputs drop, the bolt stops where it is."""
        for pin in list(self._levels):
            self.on_pin(pin, 0)
        self.is_buzzing = False

    def on_pin(self, pin: int, level: int) -> None:
        """The board drives an output."""
        if pin in (MOTOR_LOCK, MOTOR_UNLOCK):
            self._update()
            self._levels[pin] = level
            self._drive = self._levels.get(MOTOR_UNLOCK, 0) - self._levels.get(MOTOR_LOCK, 0)
            self._drive *= self._sense
            self._schedule()
        elif pin in LIGHT:
            self._levels[pin] = level
            self.light[LIGHT[pin]] = level
        elif pin == BUZZER:
            self.on_pwm(pin, 0, level)

    def on_pwm(self, pin: int, freq: int, duty: int) -> None:
        """The board's PWM output; on a motor pin any duty drives it."""
        if pin == BUZZER:
            if duty and not self.is_buzzing:
                self.sounds += 1
            self.is_buzzing = bool(duty)
            self.duty = duty or self.duty
        else:
            self.on_pin(pin, 1 if duty else 0)

    def _input(self, pin: int, level: bool) -> None:
        if self.inputs[pin] != int(level):
            self.inputs[pin] = int(level)
            self._put(pin, int(level))

    def _limits(self) -> tuple[float, float]:
        low, high = 0.0, 1.0
        if self._jam_at is not None:
            if self._position < self._jam_at or (self._position == self._jam_at and self._jam_at < 0.5):
                high = self._jam_at
            else:
                low = self._jam_at
        return low, high

    def _update(self) -> None:
        now = asyncio.get_running_loop().time()
        if self._drive:
            low, high = self._limits()
            moved = self._position + self._drive * (now - self._since) / self.travel_s
            self._position = max(low, min(high, moved))
            if 0 < self._position < 1e-6 or 0 < 1 - self._position < 1e-6:
                self._position = float(round(self._position))
            self._arrived()
        self._since = now

    def _arrived(self) -> None:
        self._input(SWITCH_LOCKED, self._position != 0.0)
        self._input(SWITCH_UNLOCKED, self._position != 1.0)
        end = {0.0: "locked", 1.0: "unlocked"}.get(self._position, self.bolt)
        if end != self.bolt:
            self.movements.append(Movement(time.time(), self.bolt, end))
            self.bolt = end

    def _schedule(self) -> None:
        if self._timer:
            self._timer.cancel()
            self._timer = None
        if not self._drive:
            return
        low, high = self._limits()
        way = high - self._position if self._drive > 0 else self._position - low
        leaves_end = self._position in (0.0, 1.0) and way > 0
        pause = min(way * self.travel_s, 0.02) if leaves_end else way * self.travel_s
        if way > 0:
            self._timer = asyncio.get_running_loop().call_later(pause + 0.001, self._tick)

    def _tick(self) -> None:
        self._update()
        self._schedule()
