"""The PIN with which somebody may unlock through a hub that cannot sign (mqtt.md 2.2; security.md REM-5). Owns the
comparison and the limits on guessing; leaves which messages may carry it to `rights`, and where it is stored to the
settings. Loaded only where the owner has set one.
"""

import hashlib

from firmware.gateway.admission import Rate, Refusal
from firmware.lib import crypto
from firmware.lib.compat import const

_SPACE = "gatehouse"
_KEY = "pin_wrong"  # in NVS: wrong ones in a row, then what tells the PIN from another: the count is of one PIN
_TAG_LEN = const(4)
# The limits of security.md LIM-4
_FREE = const(5)
_SHUT_S = const(300)
_DOUBLINGS = const(4)
_MAX_SHUT_S = const(3600)
_PER_DAY = const(30)
_DAY_S = const(86400)


class Pin:
    """`digits` is the PIN, of which a hash is kept; `nvs` the board's key store, so that a restart forgives nothing;
    `now_s` a clock that only rises. `on_wrong(lock_id, method)` is told of every wrong one: `wrong_pin`, or `pin_shut`
    when that shut the PIN."""

    def __init__(self, digits, nvs, now_s, on_wrong):
        self._hash = _hash(digits)
        self._nvs = nvs
        self._now_s = now_s
        self._on_wrong = on_wrong
        self._day = Rate(_PER_DAY, _DAY_S)
        kept = nvs.get(_SPACE, _KEY) or b""
        self._wrong = kept[0] if len(kept) == 1 + _TAG_LEN and kept[1:] == self._hash[:_TAG_LEN] else 0
        self._open_s = now_s() + self._shut_s()

    def _shut_s(self):
        """For how long it is shut after so many wrong ones."""
        if not self._day.allows(self._now_s()):
            return _MAX_SHUT_S
        if self._wrong < _FREE:
            return 0
        return min(_SHUT_S << min(self._wrong - _FREE, _DOUBLINGS), _MAX_SHUT_S)

    def _keep(self):
        try:
            if self._wrong:
                self._nvs.set(_SPACE, _KEY, bytes((self._wrong,)) + self._hash[:_TAG_LEN])
            else:
                self._nvs.erase(_SPACE, _KEY)
        except OSError:  # the count in memory goes on
            pass

    def judge(self, code, lock_id):
        """Return if `code`, a text or None, is the PIN. Raises Refusal: `forbidden` for a wrong one or none,
        `rate_limited` while it is shut, when nothing is compared."""
        if code is None:
            raise Refusal("forbidden", "this needs the PIN, as `code`, or a signature", "no_pin")
        left_s = self._open_s - self._now_s()
        if left_s > 0:
            raise Refusal("rate_limited", "the PIN is shut for %d s more after wrong ones" % left_s, "pin_shut")
        if crypto.equal(self._hash, _hash(code)):
            if self._wrong:
                self._wrong = 0
                self._keep()
            return
        self._wrong = min(self._wrong + 1, 255)
        self._day.count()
        self._keep()
        shut_s = self._shut_s()
        self._open_s = self._now_s() + shut_s
        self._on_wrong(lock_id, "pin_shut" if shut_s else "wrong_pin")
        raise Refusal("forbidden", "that is not the PIN", "wrong_pin")


def _hash(code):
    return hashlib.sha256(code.encode()).digest()
