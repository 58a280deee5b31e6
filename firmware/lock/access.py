"""The lock's side of the one decision, `lib.validity`: what bears on it goes in, error bytes and records come out.

Decides nothing. Source of the bytes: lock-ble-link.md 6.1, 8.5; of the records: domain.md 3.2, 4.
"""

from firmware.lib import validity
from firmware.lib.compat import const

_MIN_BATTERY_PCT = const(5)  # below it the motor is not started

_WORDS = (
    "expired",
    "not_yet_valid",
    "untrusted_clock",
    "revoked",
    "remote_unlock_disabled",
    "double_locked",
    "low_battery",
    "frozen",
)
_ERRORS = b"\x0e\x11\x11\x0d\x02\x1e\x0a\x1c"

_CODE_NOT_NOW = const(11)
_CODE_BARRED = const(13)
_CODE_DOUBLE_LOCKED = const(38)


def situation(device):
    """What of the lock bears on a decision at this moment -> validity.Situation"""
    stores = device.stores
    options = stores.options
    now = validity.Situation(stores.clock.seconds() // 60)
    now.is_clock_trusted = stores.clock.is_trusted
    now.is_battery_low = device.battery_pct < _MIN_BATTERY_PCT
    now.is_remote_unlock_on = bool(options.remote_unlock)
    now.is_frozen = bool(options.frozen)
    now.is_double_locked = bool(options.double_locked)
    now.passage = stores.passage.windows
    now.passage_unlocks = bool(options.passage_auto_unlock)
    now.flag_pos = stores.ekeys.flag_pos
    now.barred_min = stores.offline.barred_min(now.now_min, now.is_clock_trusted)
    return now


def error_byte(why):
    """The byte that answers a client, or None for no refusal."""
    return None if why is None else _ERRORS[_WORDS.index(why)]


def passcode_record(why):
    """Record type of a right passcode that did not open, or None: what says nothing of the code leaves no record."""
    if why in ("frozen", "lockout", "low_battery"):
        return None
    return _CODE_DOUBLE_LOCKED if why == "double_locked" else _CODE_BARRED if why == "barred" else _CODE_NOT_NOW
