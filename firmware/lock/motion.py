"""Moving the bolt: a movement, its record, its answer; the auto-lock time and the passage windows that move it.

Owns the order of events of a movement: what is about to happen is durable, the bolt moves, what happened is recorded,
whoever waits is told. Who may move the bolt is decided before. Source: domain.md 3.4, 3.6; lock-ble-link.md 8.8.
"""

from firmware.lib import records, validity
from firmware.lib.compat import const
from firmware.lock import bolt

_KEY_UNLOCKED = const(27)
_KEY_LOCKED = const(36)
_AUTO_LOCKED = const(45)
_PASSAGE_OPENED = const(63)
_UNLOCK_TIMED_OUT = const(65)
_LOCK_TIMED_OUT = const(66)
_OPENED_EMPTY = const(111)
_LOW_PCT = const(20)
_EMPTY_PCT = const(8)  # the motor is not started below 5


class Motion:
    """`poll` and `poll_windows` drive what depends on time. `records_auto_lock`: the plain auto-lock is recorded.
    `opens_empty`: the door is opened before the battery is empty, and stays so."""

    def __init__(self, device, records_auto_lock=False, opens_empty=False):
        self._device = device
        self._bolt = device.bolt
        self._passage = device.stores.passage
        self._records_auto_lock = records_auto_lock
        self._opens_empty = opens_empty
        self._relock_ms = None
        self._is_window_over = False  # the bolt is to go out for that, and not for the auto-lock time
        self._waiting = []

    def start(self, now_ms):
        """At start: a door that stands open locks in time, or with its window."""
        at = self._device.situation()
        if self._bolt.state != bolt.UNLOCKED:
            self._passage.locked()
            return
        what = self._passage.start_open(at.now_min, validity.passage_until(at))
        if what == "ends":
            self._end_window(now_ms)
        elif what is None:
            self._time(now_ms)

    def resolve(self):
        """At start: record what became of a movement that a power cut interrupted, by where the bolt stands."""
        lacking = self._device.stores.intent.unresolved(self._bolt.state)
        if lacking is not None:
            self._device.record(*lacking)

    def operate(self, target, kind, tail, done, now_ms):
        """As `move`, for somebody who has shown a credential: that it is about to happen is durable before it does,
        and a record of `kind` is written when it has happened. `done` may be None.
        """
        device = self._device

        def settled(arrived):
            if arrived:
                device.record(kind, tail)
            if done is not None:
                done(arrived)

        if self._bolt.state != target and not device.is_pairing:
            raw = records.encode(kind, device.stores.clock.date6(), device.battery_pct, tail)
            device.stores.intent.begin(target, raw)
        self.move(target, settled, now_ms)

    def move(self, target, done, now_ms):
        """Move the bolt to "locked" or "unlocked"; `done(True)` on arrival, `done(False)` on a jam or a reversal.

        `done` is called at once when the bolt is there already.
        """
        self._device.wake(now_ms)
        if self._bolt.state == target:
            self._arrived(now_ms)
            done(True)
            return
        under_way = self._bolt.state == (bolt.UNLOCKING if target == bolt.UNLOCKED else bolt.LOCKING)
        if not under_way:
            self.abandon()
            self._bolt.start(target, now_ms)
        self._waiting.append(done)

    def abandon(self):
        """Who waits for the bolt is told that it did not arrive, and the auto-lock time is stopped."""
        self._settle(False)
        self._relock_ms = None

    def _settle(self, arrived):
        waiting = self._waiting
        self._waiting = []
        for done in waiting:
            done(arrived)

    def _arrived(self, now_ms):
        """The bolt is where somebody wanted it. In a passage window an unlock lasts until its end (domain.md 3.6)."""
        self._relock_ms = None
        if self._bolt.state != bolt.UNLOCKED:
            self._passage.locked()
            return
        self._device.feedback.calm()
        if not self._passage.opened(validity.passage_until(self._device.situation())):
            self._time(now_ms)

    def _time(self, now_ms):
        options = self._device.stores.options
        seconds = 0 if options.emptied else options.autolock_s
        is_timed = self._bolt.state == bolt.UNLOCKED and seconds and not self._passage.is_holding
        self._is_window_over = False
        self._relock_ms = now_ms + 1000 * seconds if is_timed else None

    def auto_lock_changed(self, now_ms):
        """The auto-lock time was set: 0 stops a running timer, another value starts it anew."""
        if not self._bolt.is_moving:
            self._time(now_ms)

    def poll(self, now_ms):
        """Drive the bolt and the auto-lock time."""
        was = self._bolt.state
        event = self._bolt.poll(now_ms)
        if event is not None:
            self._device.changes += 1
            self._device.wake(now_ms)
            self._after_movement(event, was, now_ms)
        elif self._relock_ms is not None and now_ms >= self._relock_ms and self._may_relock():
            self._relock_ms = None
            self.move(bolt.LOCKED, self._auto_locked, now_ms)
        elif self._opens_empty:
            self._poll_battery(now_ms)

    def _poll_battery(self, now_ms):
        """Once before the battery is empty a locked door opens, so that nobody is shut out; the auto-lock rests until
        there is another battery. Not what is frozen or locked from inside (hardware-facts.md F57; domain.md 3.12)."""
        options = self._device.stores.options
        if options.emptied:
            if self._device.battery_pct > _LOW_PCT:
                options.keep_state("emptied", 0)
                self.auto_lock_changed(now_ms)
        elif self._device.battery_pct <= _EMPTY_PCT and self._device.is_usable and self._bolt.state == bolt.LOCKED:
            at = self._device.situation()
            if not (at.is_frozen or at.is_double_locked or at.is_battery_low):
                options.keep_state("emptied", 1)
                self.operate(bolt.UNLOCKED, _OPENED_EMPTY, b"", None, now_ms)

    def _may_relock(self):
        """Not while the bolt moves, a pairing is under way, or the door is open, whose frame the bolt would miss."""
        return not (self._bolt.is_moving or self._device.is_pairing or self._device.door.is_active is False)

    def _auto_locked(self, arrived):
        is_window_over, self._is_window_over = self._is_window_over, False
        if arrived and (self._records_auto_lock or is_window_over):
            self._device.record(_AUTO_LOCKED)

    def _after_movement(self, event, was, now_ms):
        device = self._device
        if event == "jammed":
            device.record(_UNLOCK_TIMED_OUT if was == bolt.UNLOCKING else _LOCK_TIMED_OUT)
            device.feedback.show("jammed", now_ms)
            self._settle(False)
            return
        self._arrived(now_ms)
        state = self._bolt.state
        if event == "turned":
            device.record(_KEY_UNLOCKED if state == bolt.UNLOCKED else _KEY_LOCKED)
        device.feedback.show("low_battery" if device.battery_pct <= _LOW_PCT else state, now_ms)
        self._settle(True)

    def guard(self, now_ms):
        """For another job than the one that polls: end a movement that nobody polls any more."""
        if self._bolt.is_overdue(now_ms):
            self.give_up(now_ms)

    def give_up(self, now_ms):
        """Stop the motor at once; who waits for the bolt is told that it did not arrive."""
        was = self._bolt.state
        if self._bolt.give_up():
            self._device.changes += 1
            self._after_movement("jammed", was, now_ms)

    # Passage windows

    def poll_windows(self, now_ms):
        """Open the door when a window begins that does so by itself, and lock it when one ends."""
        if not self._passage.is_due(now_ms):
            return
        at = self._device.situation()
        what = self._passage.poll(validity.passage_until(at), at.is_clock_trusted)
        if what == "begins" and self._device.is_usable and validity.decide_passage(at).opens:
            self.operate(bolt.UNLOCKED, _PASSAGE_OPENED, b"", None, now_ms)
        elif what == "ends" and self._bolt.state != bolt.LOCKED:
            self._end_window(now_ms)

    def _end_window(self, now_ms):
        """The bolt goes out, whatever the auto-lock time is."""
        self._is_window_over = True
        self._relock_ms = now_ms
