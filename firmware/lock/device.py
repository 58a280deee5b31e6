"""The lock as others see it: what it records, what it shows and advertises, and whose it is at present.

Owns the state that is not on flash. Moves nothing (`motion`), and does not decide who may move it: the link's commands
and the panel do. Source: domain.md 3.4; lock-ble-link.md 2.4, 8.8.
"""

from firmware.lib import advert, records, validity
from firmware.lib.compat import const
from firmware.lock import authority, bolt
from firmware.lock.enrolment import Enrolment
from firmware.lock.pairing import Pairing

LOCKED_OUT = 48  # one record for each start of a pause after wrong answers (security.md LIM-5)

_TOUCHED_MS = const(15000)
_AWAKE_MS = const(60000)
_MAX_HELD = const(16)
_COUNTER_CLOCKWISE = const(2)
_MIN_BATTERY_PCT = const(5)  # below it the motor is not started


class Device:
    """`door` is a `contacts.Contact`, active while the door is closed; `about()` is what the board says of itself."""

    shows_service = True  # the advertisement carries the service's UUID

    def __init__(self, stores, bolt, door, feedback, over_air, log=None, about=None):
        self.stores = stores
        self.bolt = bolt
        self.door = door
        self.feedback = feedback
        self.about = about
        self.pairing = Pairing(stores, over_air)
        self.enrolment = Enrolment(feedback)
        self.battery_pct = 100
        self.unrecorded = 0  # records that the flash refused
        self.changes = 0  # grows with every change of state that a connected client is told
        self.resets = 0  # grows with every reset: rights from before it are void
        self.is_resetting = False  # a reset is promised
        self._log = log
        self._held = []
        self._touched_ms = None
        self._active_ms = 0

    def log(self, word, **values):
        """One event for the log, if there is one. No secrets."""
        if self._log is not None:
            self._log.info(word, **values)

    @property
    def is_pairing(self):
        """True while a pairing is under way that may still be undone."""
        return self.pairing.stage in (authority.KEYED, authority.PROVISIONAL)

    @property
    def is_usable(self):
        """True if codes may open: paired for good, and not about to be reset."""
        return self.pairing.stage == authority.PAIRED and not self.is_resetting

    def situation(self):
        """What of the lock bears on a decision at this moment -> validity.Situation"""
        stores = self.stores
        options = stores.options
        now = validity.Situation(stores.clock.seconds() // 60)
        now.is_clock_trusted = stores.clock.is_trusted
        now.is_battery_low = self.battery_pct < _MIN_BATTERY_PCT
        now.is_remote_unlock_on = bool(options.remote_unlock)
        now.is_frozen = bool(options.frozen)
        now.is_double_locked = bool(options.double_locked)
        now.passage = stores.passage.windows
        now.passage_unlocks = bool(options.passage_auto_unlock)
        now.flag_pos = stores.ekeys.flag_pos
        now.barred_min = stores.offline.barred_min(now.now_min, now.is_clock_trusted)
        return now

    # Records

    def record(self, kind, tail=b""):
        """Write one record at the present time; durable on return, or held until a pairing ends (security.md PAIR-2).

        A flash that refuses costs the record, not the door; `unrecorded` counts.
        """
        clock = self.stores.clock
        raw = records.encode(kind, clock.date6(), self.battery_pct, tail)
        if self.is_pairing:
            self._held = self._held[1 - _MAX_HELD :] + [raw]
            return
        self._append(raw)
        clock.record_written()

    def _append(self, raw):
        try:
            self.stores.ring.append(raw)
        except OSError:
            self.unrecorded += 1

    def release_held(self, is_kept):
        """What was recorded during a pairing is written, or dropped with it."""
        held = self._held
        self._held = []
        if is_kept:
            for raw in held:
                self._append(raw)

    def options_changed(self):
        """Hand on the options that others than the handlers of commands go by."""
        options = self.stores.options
        self.bolt.sense = -1 if options.direction == _COUNTER_CLOCKWISE else 1
        self.stores.limits.keypad.tighten(options.wrong_limit, options.lockout_s)

    # Awake, and the advertisement

    def touch(self, now_ms):
        """Somebody touched the lock."""
        self._touched_ms = now_ms
        self.wake(now_ms)
        self.feedback.touched(now_ms, self.stores.options.lamp_s)
        self.pairing.touch(now_ms)

    def wake(self, now_ms):
        """Advertise at the short interval for a while."""
        self._active_ms = now_ms

    def is_awake(self, now_ms):
        """True while the short advertising interval applies."""
        return now_ms - self._active_ms < _AWAKE_MS

    def status(self):
        """State byte of 0x14: 0 locked, 1 unlocked, 2 unknown (jammed). A moving bolt is where it started from."""
        state = self.bolt.state
        if state == bolt.JAMMED:
            return 2
        return 1 if state == bolt.UNLOCKED or state == bolt.LOCKING else 0

    def door_byte(self):
        """Door byte of 0x14: 0 open, 1 closed, 2 unknown."""
        return 2 if self.door.is_active is None else int(self.door.is_active)

    def advertised(self, identity, now_ms):
        """Manufacturer data of the advertisement."""
        return advert.encode_manufacturer(identity.address, identity.scene, self.flags(now_ms), self.battery_pct)

    def flags(self, now_ms):
        """Flags byte of the advertisement. A bolt that is not known to be out counts as unlocked."""
        flags = advert.UNLOCKED if self.status() else 0
        if self.stores.ring.has_unread and self.stores.keys.is_paired:
            flags |= advert.RECORDS
        if self.pairing.is_open(now_ms):
            flags |= advert.SETTABLE
        if self._touched_ms is not None and now_ms - self._touched_ms < _TOUCHED_MS:
            flags |= advert.TOUCHED
        return flags
