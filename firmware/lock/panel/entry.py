"""A finished entry of the keypad: whose code it is, whether it opens, what follows.

Owns the order of looking: administrator's passcode, erase code, stored codes, codes made without the lock; the last
takes a search, which is driven a few milliseconds at a time by `poll`. Nothing is shown until it is decided.
Source: domain.md 2 (key feature 2), 3.1, 3.11; security.md LIM-4, DEL-3; records 4, 7, 12, 48, 92; others: `access`.
"""

from firmware.lib import credentials, crypto, records, validity
from firmware.lib.compat import const
from firmware.lock import access, bolt, device

_BY_PASSCODE = const(4)
_WRONG = const(7)
_NO_STORAGE = const(12)
_BY_ADMIN_PASSCODE = const(92)

_MADE_LENGTH = const(9)  # of codes that are made without the lock
_SLICE_STEPS = const(4)  # of a search: some milliseconds on a board


class Entry:
    """The one that is being judged, if any."""

    def __init__(self, thing):
        self._device = thing
        self._search = None  # (digits, code_algorithm.Search, its steps, resets of the device at its start)

    @property
    def is_busy(self):
        """True while digits are searched for; there can be no other entry."""
        return self._search is not None

    def begin(self, digits, now_ms):
        """An entry of a lock that can be opened; it is counted, durably, before it is looked at."""
        thing = self._device
        if not thing.limits.keypad.begin(now_ms):
            self._judge(digits, None, None, None, now_ms, True)
            return
        if thing.offline.promise:
            from firmware.lock import first_use

            first_use.retry(thing)
        kind, credential = self._look_up(digits)
        if credential is None and len(digits) == _MADE_LENGTH and thing.offline.has_seeds:
            from firmware.lib import code_algorithm

            search = code_algorithm.Search(thing.offline.secret(), thing.clock.seconds() // 3600, digits)
            self._search = digits, search, search.steps(), thing.resets
            return
        self._judge(digits, kind, credential, None, now_ms)

    def _look_up(self, digits):
        """(record of its use, credential or None); the codes of all kinds are always compared."""
        thing = self._device
        is_admin = crypto.equal(thing.keys.admin_passcode, digits)
        is_eraser = crypto.equal(thing.keys.erase_code, digits)
        found = None if thing.offline.is_erasing else thing.passcodes.find(digits)
        if is_admin:
            return _BY_ADMIN_PASSCODE, credentials.admin()
        if is_eraser:
            return None, credentials.erase()
        return _BY_PASSCODE, access.of_passcode(found[1]) if found else None

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
            self._found(digits, search.found, now_ms)

    def _found(self, digits, found, now_ms):
        credential = None
        if found is not None:
            from firmware.lib import code_algorithm, offline_codes

            is_used = self._device.offline.is_used(*found)
            if not is_used or found[0] == offline_codes.ONCE:  # others are stored codes after their first use, or gone
                credential = code_algorithm.credential(found[0], found[1], found[2], is_used)
        self._judge(digits, _BY_PASSCODE, credential, found, now_ms)

    def _judge(self, digits, kind, credential, found, now_ms, is_locked_out=False):
        thing = self._device
        guard = thing.limits.keypad
        now = access.situation(thing)
        now.is_locked_out = is_locked_out
        verdict = validity.decide(credential, now)
        if verdict.is_right:
            guard.succeed()
        elif verdict.why != "unknown" and not is_locked_out:
            guard.withdraw()  # no guess
        if verdict.why == "unknown":
            self._wrong(digits, now_ms)
        elif verdict.why is not None:
            self._refused(access.passcode_record(verdict.why), verdict.why, digits, now_ms)
        elif verdict.then == validity.NOTE_FIRST_USE and thing.passcodes.is_full:
            self._refused(_NO_STORAGE, "full", digits, now_ms)
        elif not self._accept(verdict, found, digits, now_ms):
            self._refused(None, "flash", digits, now_ms)
        elif verdict.opens:
            thing.operate(bolt.UNLOCKED, kind, records.by_code(digits), _nothing, now_ms)

    def _accept(self, verdict, found, digits, now_ms):
        """False: the flash refuses what has to be durable, and so does the door."""
        try:
            self._accepted(verdict, found, digits, now_ms)
        except OSError:
            return False
        return True

    def _accepted(self, verdict, found, digits, now_ms):
        """What follows, durable before the bolt moves (DEL-3)."""
        thing = self._device
        if verdict.then is None:
            return
        if verdict.then == validity.USE_UP and found is None:
            thing.passcodes.delete(digits)
            return
        from firmware.lock import first_use

        if verdict.then == validity.USE_UP:
            first_use.use_up(thing, found)
        elif verdict.then == validity.NOTE_FIRST_USE:
            first_use.keep(thing, found, digits)
        else:
            first_use.erase_all(thing, digits)
            thing.feedback.show("erased", now_ms)

    def _wrong(self, digits, now_ms):
        thing = self._device
        thing.record(_WRONG, records.by_wrong_code(digits))
        if thing.limits.keypad.is_pausing:
            thing.record(device.LOCKED_OUT)
            thing.feedback.show("lockout", now_ms)
        else:
            thing.feedback.show("refused", now_ms)

    def _refused(self, kind, why, digits, now_ms):
        thing = self._device
        if kind is not None:
            thing.record(kind, records.by_code(digits))
        thing.feedback.show(why if why in ("lockout", "low_battery") else "refused", now_ms)


def _nothing(arrived):
    pass
