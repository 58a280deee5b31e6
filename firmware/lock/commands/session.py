"""Logging in, and what may be asked: 0x41, 0x55, 0x30, 0x14, 0x01, 0x34, 0x43, 0x90, 0x25.

Source: lock-ble-link.md 8.4, 8.5, 8.7-8.10, 9.1; security.md RND-1, LIM-1; errors: lock-ble-link.md 6.2.
"""

from firmware.lib import credentials, crypto, opcodes, records, validity
from firmware.lib.compat import const
from firmware.lib.messages import common, session_lock
from firmware.lock.device import LOCKED_OUT

_NO_PERMISSION = const(0x02)
_REVOKED = const(0x0D)
_WRONG_ADMIN = const(0x03)
_WRONG_SUM = const(0x08)
_NO_ITEM = const(0x19)


# Refusals of `validity` and the bytes that answer them (lock-ble-link.md 6.1, 8.5)
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


def error_byte(why):
    """The byte that answers a client, or None for no refusal."""
    return None if why is None else _ERRORS[_WORDS.index(why)]


def _was_wrong(engine, guard):
    if guard.is_pausing:  # a pause begins: one event for each (security.md LIM-5)
        engine.device.log("locked_out", failures=guard.consecutive)
        engine.device.record(LOCKED_OUT)


def _guard(engine, uid, is_admin):
    """Who has to wait after wrong answers under `uid`: that person alone, or that class of uids (security.md LIM-2)."""
    slot = engine.stores.ekeys.slot(uid)
    limits = engine.stores.limits
    return limits.of(uid, is_admin) if slot is None else limits.ekeys.of(slot)


def _claim_error(engine, credential):
    return error_byte(validity.claim_refusal(credential, engine.device.situation()))


def check_admin(engine, request):
    """0x41: the administrator's number for a challenge."""
    admin_ps, _, uid = request
    engine.session.void_challenge()
    person = engine.stores.ekeys.credential(uid)
    if person is not None and person.is_revoked:  # not looked at, so that it shuts nobody out (security.md LIM-2)
        return common.failure(opcodes.CHECK_ADMIN, _REVOKED)
    guard = _guard(engine, uid, True)
    if not guard.begin(engine.now_ms):
        return common.failure(opcodes.CHECK_ADMIN, _NO_PERMISSION)
    keys = engine.stores.keys
    if not crypto.equal(admin_ps.to_bytes(4, "big"), keys.admin_ps.to_bytes(4, "big")):
        _was_wrong(engine, guard)
        return common.failure(opcodes.CHECK_ADMIN, _WRONG_ADMIN)
    guard.withdraw()  # no guess, but only 0x30 shows the whole proof and ends a row of failures
    challenge = engine.session.issue(opcodes.CHECK_ADMIN, uid, engine.now_ms)
    return common.success(opcodes.CHECK_ADMIN, session_lock.encode_challenge(challenge))


def check_user(engine, request):
    """0x55: a uid and a validity window for a challenge. The window narrows what the lock itself knows of the uid, it
    grants nodevice.
    """
    start, end, flag_pos, uid = request
    engine.session.void_challenge()
    kept = engine.stores.ekeys.credential(uid)
    error = None if kept is None else _claim_error(engine, kept)
    if error is None:
        error = _claim_error(engine, credentials.ekey(start, end, flag_pos))
    if error is not None:
        engine.device.log("ekey_refused", uid="%08x" % uid, error="%02x" % error)
        return common.failure(opcodes.CHECK_USER, error)
    challenge = engine.session.issue(opcodes.CHECK_USER, uid, engine.now_ms)
    return common.success(opcodes.CHECK_USER, session_lock.encode_challenge(challenge))


def sum_refusal(engine, challenge, given):
    """Judge the answer `given` to `challenge`: None, or the error byte. Counts it before looking at it
    (security.md LIM-1).

    Whose secret it takes says the uid of 0x55: a person's own, if that person has an ekey, else the owner's. Public
    clients show uid 0 for everybody: then any person's secret will do, and names the person.
    """
    device = engine.device
    secret = device.stores.keys.unlock_key
    is_admin = challenge.opcode == opcodes.CHECK_ADMIN
    guard = _guard(engine, challenge.uid, is_admin)
    if not is_admin:
        slot = device.stores.ekeys.slot(challenge.uid)
        if slot is not None:
            secret = device.stores.ekeys.unlock_key(slot)
        elif device.stores.ekeys.credential(challenge.uid) is not None:  # revoked since the challenge
            return _REVOKED
    if not guard.begin(engine.now_ms):
        return _NO_PERMISSION
    expected = (challenge.value + secret) & 0xFFFFFFFF
    is_right = crypto.equal(expected.to_bytes(4, "big"), given.to_bytes(4, "big"))
    if not is_admin and challenge.uid == 0:
        person = device.stores.ekeys.answered(challenge.value, given)
        if person is not None and not is_right:  # from here on it is that person's challenge, with that one's limits
            challenge.uid = person
            is_right = True
    if not is_right:
        engine.session.log_out()
        _was_wrong(engine, guard)
        return _WRONG_SUM
    guard.succeed()
    engine.session.is_proven = True
    return None


def check_random(engine, given):
    """0x30: the answer to 0x41's challenge; S3 from here. That to 0x55's opens nothing: it is how the vendor's app
    introduces an ordinary user who sets the clock, within what the key alone may do (decisions.md DEC-19).
    """
    challenge = engine.session.use_challenge(engine.now_ms)
    error = sum_refusal(engine, challenge, given)
    if error is not None:
        return common.failure(opcodes.CHECK_RANDOM, error)
    if challenge.opcode == opcodes.CHECK_ADMIN:
        engine.session.log_in(engine.now_ms)
        engine.device.pairing.proved()
    return common.success(opcodes.CHECK_RANDOM, common.encode_level(engine.device.battery_pct))


def status(engine, _):
    """0x14: battery, bolt, door."""
    device = engine.device
    data = session_lock.encode_status(device.battery_pct, device.status(), device.door_byte())
    return common.success(opcodes.STATUS, data)


def features(engine, _):
    """0x01: what works."""
    data = session_lock.encode_features(engine.device.battery_pct, engine.features)
    return common.success(opcodes.FEATURES, data)


def get_clock(engine, _):
    """0x34"""
    return common.success(opcodes.GET_CLOCK, session_lock.encode_clock(engine.stores.clock.date6()))


def set_clock(engine, date6):
    """0x43: any time at P and S3, else a small correction (`clock.Clock.set`)."""
    if not engine.stores.clock.set(date6, engine.is_admin() or engine.is_pairing):
        return common.failure(opcodes.SET_CLOCK, _NO_PERMISSION)
    return common.success(opcodes.SET_CLOCK, common.encode_level(engine.device.battery_pct))


def device_info(engine, item):
    """0x90: one item; 0x19 for an item we do not have."""
    identity = engine.identity
    texts = {1: identity.model, 2: identity.hardware, 3: identity.firmware, 4: identity.made}
    if item in texts:
        content = session_lock.encode_text(texts[item])
    elif item == 5:
        content = session_lock.encode_address(identity.address)
    elif item == 6:
        content = session_lock.encode_clock(engine.stores.clock.date6())
    else:
        return common.failure(opcodes.DEVICE_INFO, _NO_ITEM)
    return common.success(opcodes.DEVICE_INFO, content)


def log(engine, cursor):
    """0x25: the record for a cursor, one per answer; passcode digits are masked below S3."""
    page = engine.read_record(cursor)
    if page is None:
        return common.success(opcodes.LOG, session_lock.encode_record(0, None))
    number, raw = page
    return common.success(
        opcodes.LOG, session_lock.encode_record(number, raw if engine.is_admin() else records.mask(raw))
    )
