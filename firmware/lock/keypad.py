"""The keypad: keys in, a finished entry out at `#`; whose code it is, whether it opens, what follows.

`Keypad` owns what is being typed, `Entry` the order of looking: administrator's passcode, erase code, stored codes,
codes made without the lock; the last takes a search, which is driven a few milliseconds at a time by `poll`. Nothing is
shown until it is decided. Source: domain.md 2 (key feature 2), 3.1, 3.10, 3.11; security.md LIM-4, DEL-3; records 4, 7,
11, 12, 13, 38, 48, 92.
"""

from firmware.lib import credentials, crypto, records, validity
from firmware.lib.compat import const
from firmware.lock import bolt
from firmware.lock.device import LOCKED_OUT

_FORGET_MS = const(10000)  # between two keys of one entry
_MAX_DIGITS = const(9)
_MIN_DIGITS = const(4)

_BY_PASSCODE = const(4)
_WRONG = const(7)
_NO_STORAGE = const(12)
_CODE_NOT_NOW = const(11)
_CODE_BARRED = const(13)
_CODE_DOUBLE_LOCKED = const(38)
_BY_ADMIN_PASSCODE = const(92)

_MADE_LENGTH = const(9)  # of codes that are made without the lock
_SLICE_STEPS = const(4)  # of a search: some milliseconds on a board


def refusal_record(why):
    """Record type of a right passcode that did not open, or None: what says nothing of the code leaves no record."""
    if why in ("frozen", "lockout", "low_battery"):
        return None
    return _CODE_DOUBLE_LOCKED if why == "double_locked" else _CODE_BARRED if why == "barred" else _CODE_NOT_NOW


class Keypad:
    """`button` is told of a finished `000#`, which may be the second half of a reset."""

    def __init__(self, device, motion, button):
        self._device = device
        self._button = button
        self._entry = Entry(device, motion)
        self._next = None  # one more finished entry, while the one before is searched for
        self._typed = b""
        self._is_overlong = False
        self._key_ms = 0

    @property
    def is_busy(self):
        """True while an entry is not decided yet."""
        return self._entry.is_busy

    def touch(self, now_ms):
        """A palm on the keypad: wakes the lock."""
        self._device.feedback.show("touched", now_ms)
        self._device.touch(now_ms)

    def press(self, key, now_ms):
        """One key: "0" to "9", "#" ends an entry, "*" drops it."""
        if now_ms - self._key_ms >= _FORGET_MS:
            self._clear()
        self._key_ms = now_ms
        self._device.touch(now_ms)
        if key == "#":
            typed, is_overlong = self._typed, self._is_overlong
            self._clear()
            self._entered(typed, is_overlong, now_ms)
            return
        self._device.feedback.show("key", now_ms)
        if key == "*":
            self._clear()
        elif len(self._typed) < _MAX_DIGITS:
            self._typed += key.encode()
        else:
            self._is_overlong = True

    def poll(self, now_ms):
        """Drive what an entry has begun."""
        self._entry.poll(now_ms)
        if self._next is not None and not self._entry.is_busy:
            digits = self._next
            self._next = None
            self._decide(digits, now_ms)

    def _clear(self):
        self._typed = b""
        self._is_overlong = False

    def _entered(self, digits, is_overlong, now_ms):
        if self._button.confirms(digits, now_ms):
            return
        if is_overlong or len(digits) < _MIN_DIGITS or self._next is not None:
            self._device.feedback.show("refused", now_ms)  # nothing that could be a code: not counted
        elif self._entry.is_busy:
            self._next = digits
        else:
            self._decide(digits, now_ms)

    def _decide(self, digits, now_ms):
        if self._device.is_usable:
            self._entry.begin(digits, now_ms)
        else:
            self._device.feedback.show("refused", now_ms)


class Entry:
    """The one that is being judged, if any."""

    def __init__(self, device, motion):
        self._device = device
        self._stores = device.stores
        self._motion = motion
        self._search = None  # (digits, offline_codes.Search, its steps, resets of the device at its start)

    @property
    def is_busy(self):
        """True while digits are searched for; there can be no other entry."""
        return self._search is not None

    def begin(self, digits, now_ms):
        """An entry of a lock that can be opened; it is counted, durably, before it is looked at."""
        stores = self._stores
        if not stores.limits.keypad.begin(now_ms):
            self._judge(digits, None, None, None, now_ms, True)
            return
        if stores.offline.promise:
            from firmware.lock import first_use

            first_use.retry(self._device)
        kind, credential = self._look_up(digits)
        if credential is None and len(digits) == _MADE_LENGTH and stores.offline.has_seeds:
            from firmware.lib import offline_codes

            search = offline_codes.Search(stores.offline.secret(), stores.clock.seconds() // 3600, digits)
            self._search = digits, search, search.steps(), self._device.resets
            return
        self._judge(digits, kind, credential, None, now_ms)

    def _look_up(self, digits):
        """(record of its use, credential or None); the codes of all kinds are always compared."""
        stores = self._stores
        is_admin = crypto.equal(stores.keys.admin_passcode, digits)
        is_eraser = crypto.equal(stores.keys.erase_code, digits)
        stored = None if stores.offline.is_erasing else stores.passcodes.credential(digits)
        if is_admin:
            return _BY_ADMIN_PASSCODE, credentials.admin()
        if is_eraser:
            return None, credentials.erase()
        return _BY_PASSCODE, stored

    def poll(self, now_ms):
        """Search on, and decide when it is done."""
        if self._search is None:
            return
        digits, search, steps, resets = self._search
        if resets != self._device.resets or not self._device.is_usable:
            self._search = None
            return
        try:
            for _ in range(_SLICE_STEPS):
                next(steps)
        except StopIteration:
            self._search = None
            self._end_search(digits, search.found, now_ms)

    def _end_search(self, digits, made, now_ms):
        """`made` is the code made without the lock, (kind, start, number), or None."""
        credential = None
        if made is not None:
            from firmware.lib import offline_codes

            is_used = self._stores.offline.is_used(*made)
            if not is_used or made[0] == offline_codes.ONCE:  # others are stored codes after their first use, or gone
                credential = offline_codes.credential(made[0], made[1], made[2], is_used)
        self._judge(digits, _BY_PASSCODE, credential, made, now_ms)

    def _judge(self, digits, kind, credential, made, now_ms, is_locked_out=False):
        device = self._device
        guard = self._stores.limits.keypad
        now = device.situation()
        now.is_locked_out = is_locked_out
        verdict = validity.decide(credential, now)
        if verdict.is_right:
            guard.succeed()
        elif verdict.why != "unknown" and not is_locked_out:
            guard.withdraw()  # no guess
        if verdict.why == "unknown":
            self._wrong(digits, now_ms)
        elif verdict.why is not None:
            self._refused(refusal_record(verdict.why), verdict.why, digits, now_ms)
        elif verdict.then == validity.NOTE_FIRST_USE and self._stores.passcodes.is_full:
            self._refused(_NO_STORAGE, "full", digits, now_ms)
        elif not self._accept(verdict, made, digits, now_ms):
            self._refused(None, "flash", digits, now_ms)
        elif verdict.opens:
            self._motion.operate(bolt.UNLOCKED, kind, records.by_code(digits), None, now_ms)

    def _accept(self, verdict, made, digits, now_ms):
        """What follows, durable before the bolt moves (security.md DEL-3). False: the flash refuses what has to be
        durable, and so does the door.
        """
        try:
            if verdict.then is None:
                pass
            elif verdict.then == validity.USE_UP and made is None:
                self._stores.passcodes.delete(digits)
            else:
                self._accept_made(verdict.then, made, digits, now_ms)
        except OSError:
            return False
        return True

    def _accept_made(self, then, made, digits, now_ms):
        from firmware.lock import first_use

        if then == validity.USE_UP:
            first_use.use_up(self._device, made)
        elif then == validity.NOTE_FIRST_USE:
            first_use.keep(self._device, made, digits)
        else:
            first_use.erase_all(self._device, digits)
            self._device.feedback.show("erased", now_ms)

    def _wrong(self, digits, now_ms):
        device = self._device
        device.record(_WRONG, records.by_wrong_code(digits))
        if self._stores.limits.keypad.is_pausing:
            device.record(LOCKED_OUT)
            device.feedback.show("lockout", now_ms)
        else:
            device.feedback.show("refused", now_ms)

    def _refused(self, kind, why, digits, now_ms):
        device = self._device
        if kind is not None:
            device.record(kind, records.by_code(digits))
        device.feedback.show(why if why in ("lockout", "low_battery") else "refused", now_ms)
