"""The lock as a thing: bolt, auto-lock, records, state for the advertisement. What every way of opening it shares.

Owns the order of events of a movement: move, record what happened, answer. Who may move it is decided before, by the
link's commands or the keypad. Source: domain.md 3.4, 3.6; lock-ble-link.md 2.4, 8.8.
"""

from firmware.lib import advert, records, validity
from firmware.lib.compat import const
from firmware.lock import access, authority
from firmware.lock import bolt as bolts
from firmware.lock.credentials.keys import classes
from firmware.lock.enrolment import Enrolment

_UNLOCK_TIMED_OUT = const(65)
_LOCK_TIMED_OUT = const(66)
_PASSAGE_OPENED = const(63)
_AUTO_LOCKED = const(45)
_KEY_UNLOCKED = const(27)
_KEY_LOCKED = const(36)

_TOUCHED_MS = const(15000)
_AWAKE_MS = const(60000)
_LOW_PCT = const(20)
_HELD = const(16)
_COUNTER_CLOCKWISE = const(2)

LOCKED_OUT = 48  # one record for each start of a pause after wrong answers, at the keypad or over the link (LIM-5)


class Device:
    """Plain attributes are the parts, given once by the composition root; `poll` drives what depends on time."""

    def __init__(
        self,
        vault,
        keys,
        options,
        passcodes,
        offline,
        ekeys,
        cards,
        fingerprints,
        fobs,
        ring,
        intent,
        clock,
        bolt,
        limits,
        feedback,
        pairing,
        passage,
        record_auto_lock=False,
    ):
        self.vault = vault
        self.keys = keys
        self.options = options
        self.passcodes = passcodes
        self.offline = offline
        self.ekeys = ekeys
        self.cards = cards
        self.fingerprints = fingerprints
        self.fobs = fobs
        self.ring = ring
        self.intent = intent
        self.clock = clock
        self.bolt = bolt
        self.limits = limits
        self.feedback = feedback
        self.pairing = pairing
        self.name = None  # a naming.Name, given by the composition root
        self.enrolment = Enrolment(feedback)
        self.passage = passage
        self.door = self.tamper = self.privacy = None  # parts that look at contacts, given by the composition root
        self.battery_pct = 100
        self.unrecorded = 0  # records that the flash refused
        self.changes = 0  # grows with every change of state that a connected client is told
        self.resets = 0  # grows with every reset: rights from before it are void
        self.is_resetting = False
        self.about = None  # about() -> what the board says of itself, for the diagnosis
        self._record_auto_lock = record_auto_lock
        self._relock_ms = None
        self._is_window_over = False  # the bolt is to go out for that, and not for the auto-lock time
        self._waiting = []
        self._held = []
        self._touched_ms = None
        self._active_ms = 0

    @property
    def is_pairing(self):
        """True while a pairing is under way that may still be undone."""
        return self.pairing.stage in (authority.KEYED, authority.PROVISIONAL)

    @property
    def is_usable(self):
        """True if codes may open: paired for good, and not about to be reset."""
        return self.pairing.stage == authority.PAIRED and not self.is_resetting

    def record(self, kind, tail=b""):
        """Write one record at the present time; durable on return, or held until a pairing is finished (PAIR-2).

        A flash that refuses costs the record, not the door; `unrecorded` counts.
        """
        raw = records.encode(kind, self.clock.date6(), self.battery_pct, tail)
        if self.is_pairing:
            self._held.append(raw)
            self._held = self._held[-_HELD:]
            return
        self._keep(raw)
        self.clock.saw_record()

    def _keep(self, raw):
        try:
            self.ring.append(raw)
        except OSError:
            self.unrecorded += 1

    def pairing_ended(self, is_kept):
        """What was recorded during a pairing is written, or forgotten with it."""
        held = self._held
        self._held = []
        if is_kept:
            for raw in held:
                self._keep(raw)

    def touch(self, now_ms):
        """Somebody touched the lock."""
        self._touched_ms = now_ms
        self.wake(now_ms)
        self.feedback.touched(now_ms, self.options.lamp_s)
        self.pairing.touch(now_ms)

    def wake(self, now_ms):
        """Advertise at the short interval for a while."""
        self._active_ms = now_ms

    def is_awake(self, now_ms):
        """True while the short advertising interval applies."""
        return now_ms - self._active_ms < _AWAKE_MS

    def operate(self, target, kind, tail, done, now_ms):
        """As `move`, for somebody who has shown a credential: that it is about to happen is durable before it does,
        and a record of `kind` is written when it has happened.
        """

        def settled(arrived):
            if arrived:
                self.record(kind, tail)
            done(arrived)

        if self.bolt.state != target and not self.is_pairing:
            self.intent.begin(target, records.encode(kind, self.clock.date6(), self.battery_pct, tail))
        self.move(target, settled, now_ms)

    def resolve(self):
        """At start: record what became of a movement that a power cut interrupted, by where the bolt is found."""
        lacking = self.intent.unresolved(self.bolt.state)
        if lacking is not None:
            self.record(*lacking)

    def move(self, target, done, now_ms):
        """Move the bolt to "locked" or "unlocked"; `done(True)` on arrival, `done(False)` on a jam or a reversal.

        `done` is called at once when the bolt is there already.
        """
        self.wake(now_ms)
        if self.bolt.state == target:
            self._arrived(now_ms)
            done(True)
            return
        under_way = self.bolt.state == (bolts.UNLOCKING if target == bolts.UNLOCKED else bolts.LOCKING)
        if not under_way:
            self._settle(False)
            self._relock_ms = None
            self.bolt.start(target, now_ms)
        self._waiting.append(done)

    def _settle(self, arrived):
        waiting = self._waiting
        self._waiting = []
        for done in waiting:
            done(arrived)

    def _arrived(self, now_ms):
        """The bolt is where somebody wanted it. In a passage window an unlock lasts until its end (domain.md 3.6)."""
        self._relock_ms = None
        if self.bolt.state != bolts.UNLOCKED:
            self.passage.locked()
            return
        self.feedback.calm()
        if not self.passage.opened(validity.passage_until(access.situation(self))):
            self._time(now_ms)

    def _time(self, now_ms):
        seconds = self.options.autolock_s
        is_timed = self.bolt.state == bolts.UNLOCKED and seconds and not self.passage.is_holding
        self._is_window_over = False
        self._relock_ms = now_ms + 1000 * seconds if is_timed else None

    def started(self, now_ms):
        """The bolt is where it was found at start: a door that stands open locks in time, or with its window."""
        at = access.situation(self)
        if self.bolt.state != bolts.UNLOCKED:
            self.passage.locked()
            return
        what = self.passage.found_open(at.now_min, validity.passage_until(at))
        if what == "ends":
            self._window_ends(now_ms)
        elif what is None:
            self._time(now_ms)

    def auto_lock_changed(self, now_ms):
        """The auto-lock time was set: 0 stops a running timer, another value starts it anew."""
        if not self.bolt.is_moving:
            self._time(now_ms)

    def options_changed(self):
        """Hand on what others than the handlers of commands go by."""
        self.bolt.sense = -1 if self.options.direction == _COUNTER_CLOCKWISE else 1
        self.limits.keypad.tighten(self.options.wrong_limit, self.options.lockout_s)

    def _look_at_windows(self, now_ms):
        at = access.situation(self)
        what = self.passage.look(validity.passage_until(at), at.is_clock_trusted)
        if what == "begins" and self.is_usable and validity.decide_passage(at).opens:
            self.operate(bolts.UNLOCKED, _PASSAGE_OPENED, b"", _nothing, now_ms)
        elif what == "ends" and self.bolt.state != bolts.LOCKED:
            self._window_ends(now_ms)

    def _window_ends(self, now_ms):
        """The bolt goes out, whatever the auto-lock time is."""
        self._is_window_over = True
        self._relock_ms = now_ms

    def poll(self, now_ms):
        """Drive bolt, auto-lock, light and sound."""
        was = self.bolt.state
        happened = self.bolt.poll(now_ms)
        if happened is not None:
            self.changes += 1
            self.wake(now_ms)
            self._after_movement(happened, was, now_ms)
        elif self._relock_ms is not None and now_ms >= self._relock_ms and self._may_relock():
            self._relock_ms = None
            self.move(bolts.LOCKED, self._auto_locked, now_ms)
        for part in (self.door, self.tamper, self.privacy):
            if part is not None:
                part.poll(now_ms)
        if self.passage.is_due(now_ms):
            self._look_at_windows(now_ms)
        self.feedback.poll(now_ms, self.options.volume if self.options.sound else 0)

    def _may_relock(self):
        """Not while the bolt moves, a pairing is under way, or the door is open, whose frame the bolt would miss."""
        return not (self.bolt.is_moving or self.is_pairing or (self.door is not None and self.door.is_open))

    def _after_movement(self, happened, was, now_ms):
        if happened == "jammed":
            self.record(_UNLOCK_TIMED_OUT if was == bolts.UNLOCKING else _LOCK_TIMED_OUT)
            self.feedback.show("jammed", now_ms)
            self._settle(False)
            return
        self._arrived(now_ms)
        if happened == "turned":
            self.record(_KEY_UNLOCKED if self.bolt.state == bolts.UNLOCKED else _KEY_LOCKED)
        low = self.battery_pct <= _LOW_PCT
        self.feedback.show("low_battery" if low else self.bolt.state, now_ms)
        self._settle(True)

    def guard(self, now_ms):
        """For another job than the one that polls: end a movement that nobody watches any more."""
        if self.bolt.is_overdue(now_ms):
            self.give_up(now_ms)

    def give_up(self, now_ms):
        """Stop the motor at once; who waits for the bolt is told that it did not arrive."""
        was = self.bolt.state
        if self.bolt.give_up():
            self.changes += 1
            self._after_movement("jammed", was, now_ms)

    def _auto_locked(self, arrived):
        is_window_over, self._is_window_over = self._is_window_over, False
        if arrived and (self._record_auto_lock or is_window_over):
            self.record(_AUTO_LOCKED)

    def status(self):
        """State byte of 0x14: 0 locked, 1 unlocked, 2 unknown (jammed). A moving bolt is where it started from."""
        state = self.bolt.state
        if state == bolts.JAMMED:
            return 2
        return 1 if state == bolts.UNLOCKED or state == bolts.LOCKING else 0

    def door_byte(self):
        """Door byte of 0x14: 0 open, 1 closed, 2 unknown."""
        return 2 if self.door is None else self.door.byte

    def flags(self, now_ms):
        """Flags byte of the advertisement. A bolt that is not known to be out counts as unlocked."""
        flags = advert.UNLOCKED if self.status() else 0
        if self.ring.has_unread and self.keys.is_paired:
            flags |= advert.RECORDS
        if self.pairing.is_open(now_ms):
            flags |= advert.SETTABLE
        if self._touched_ms is not None and now_ms - self._touched_ms < _TOUCHED_MS:
            flags |= advert.TOUCHED
        return flags

    def begin_reset(self):
        """First phase of a reset: durably promised, and from here on nothing of the old owner's is valid (RST-2)."""
        self.vault.mark_wipe()
        self.is_resetting = True

    def _erase(self):
        self.ring.erase()
        self.intent.forget()

    def wipe(self):
        """Second phase: all credentials, options and records; wrong-answer counters stay (RST-3), so does the bolt."""
        self._settle(False)
        self._relock_ms = None
        self._held = []
        self.vault.wipe(classes(), self._erase)
        self.keys.reload()
        self.options.reload()
        self.options_changed()
        self.passage.reload()
        self.feedback.calm()
        self.passcodes.reload()
        self.offline.reload()
        self.ekeys.reload()
        self.name.reload()
        self.cards.reload()
        self.fingerprints.reload()
        self.fobs.reload()
        self.enrolment.cancel()
        self.clock.distrust()
        self.pairing.is_blocked = False
        self.is_resetting = False
        self.resets += 1
        self.changes += 1


def _nothing(arrived):
    pass
