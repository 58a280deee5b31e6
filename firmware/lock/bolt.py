"""The bolt: motor out, limit switches in. Owns the movement and what state the bolt is in.

Knows no cause of a movement and writes no record. `pins` is the board's: `motor` with `drive(1)` to throw the
bolt, `drive(-1)` to draw it, `drive(0)`; `switch_locked`, `switch_unlocked` with `is_active()`.
States: CONTRIBUTING.md, "Names" (locked, unlocked, locking, unlocking, jammed).
"""

from firmware.lib.compat import const

LOCKED = "locked"
UNLOCKED = "unlocked"
LOCKING = "locking"
UNLOCKING = "unlocking"
JAMMED = "jammed"

_SETTLE_MS = const(300)  # a hand-turned bolt must rest this long on a switch to be believed

_OVERDUE_MS = const(500)


class Bolt:
    """`poll` must be called at least every 50 ms while `is_moving`, else a few times a second."""

    def __init__(self, pins, travel_ms=600):
        self._pins = pins
        self._limit_ms = travel_ms * 3 // 2  # worn gears may take half as long again
        self._deadline_ms = 0
        self._turned_ms = None
        self.state = JAMMED
        self.movements = 0
        self.sense = 1  # -1: the motor is mounted the other way round (open direction, domain.md 3.13)
        if pins.switch_locked.is_active():
            self.state = LOCKED
        elif pins.switch_unlocked.is_active():
            self.state = UNLOCKED

    @property
    def is_moving(self):
        """True from the start of the motor to arrival or jam."""
        return self.state == LOCKING or self.state == UNLOCKING

    def start(self, target, now_ms):
        """Begin to move to LOCKED or UNLOCKED; reverses a movement under way. False: it is there already."""
        if self.state == target:
            return False
        self._stop()
        if target == UNLOCKED:
            self.state = UNLOCKING
            self._pins.motor.drive(-self.sense)
        else:
            self.state = LOCKING
            self._pins.motor.drive(self.sense)
        self.movements += 1
        self._deadline_ms = now_ms + self._limit_ms
        return True

    def _stop(self):
        self._pins.motor.drive(0)

    def give_up(self):
        """Stop the motor now, wherever the bolt is. True if it was moving; the switches then say where it is."""
        self._stop()
        if not self.is_moving:
            return False
        self.state = JAMMED
        return True

    def is_overdue(self, now_ms):
        """True when `poll` should have ended a movement long ago: it is not called any more."""
        return self.is_moving and now_ms >= self._deadline_ms + _OVERDUE_MS

    def poll(self, now_ms):
        """Read the switches. Returns None, or what happened: "arrived", "jammed", "turned" (moved by hand)."""
        at_locked = self._pins.switch_locked.is_active()
        at_unlocked = self._pins.switch_unlocked.is_active()
        if self.is_moving:
            target, there = (UNLOCKED, at_unlocked) if self.state == UNLOCKING else (LOCKED, at_locked)
            if there:
                self._stop()
                self.state = target
                return "arrived"
            if now_ms >= self._deadline_ms:
                self._stop()
                self.state = JAMMED
                return "jammed"
            return None
        place = LOCKED if at_locked and not at_unlocked else UNLOCKED if at_unlocked and not at_locked else None
        if place is None or place == self.state:
            self._turned_ms = None
        elif self._turned_ms is None:
            self._turned_ms = now_ms
        elif now_ms - self._turned_ms >= _SETTLE_MS:
            self._turned_ms = None
            self.state = place
            return "turned"
        return None
