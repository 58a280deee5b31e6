"""Who may do what: the authorization table of the lock, as data, and how one frame is judged by it.

Owns the order of refusals that are made before anything is decrypted (`refusal`), and that a bad frame costs the same
work whatever is bad about it: the first line of lock-ble-link.md 6.2 (`envelope`) and its fifth (`open_request`:
length, padding, structure) must not be told apart from outside (security.md ORC-1, ORC-2). Default deny: what has no
row here is answered 0x1B. Knows no session object: `refusal` takes a `Standing`. Acts on nothing.
Source: security.md 3.2 (AUZ-1), ORC-1, ORC-4, PAR-3; lock-ble-link.md 6.2; feature bits: domain.md 3.12.
"""

from firmware.lib import crypto, frame, opcodes
from firmware.lib.compat import const
from firmware.lib.errors import BadRequest, ProtocolError

# Pairing of this lock. A stage is also how far a pairing link has come.
FACTORY = 0
KEYED = 1  # 0x19 delivered a key
PROVISIONAL = 2  # 0x56 accepted: level P of the table
PAIRED = 3

# What a row asks for
_S0 = const(0)
_S1 = const(1)
_S3 = const(3)
_P_OR_S3 = const(4)
_CHALLENGE = const(5)  # an open challenge, of 0x55 or 0x41
_PROOF = const(6)  # an open challenge; that of 0x55 only on a paired lock, where it opens nothing
_FRESH_S3 = const(7)  # S3, at most 30 s old
_PAIR_INIT = const(8)
_PAIR_KEY = const(9)
_PAIR_ADMIN = const(10)

_NO_PERMISSION = const(0x02)
_NOT_PAIRED = const(0x06)
_NOT_SETTABLE = const(0x07)
_BAD_LENGTH = const(0x17)
_UNKNOWN = const(0x1B)

_PROTOCOL = const(5)
_VERSION = const(3)
_GREETING_VERSION = const(1)  # the vendor's app greets with the header 5.1 before it knows the lock's
_FRESH_S3_MS = const(30000)
_NO_BIT = const(255)

# opcode: (level, feature bit or 255, length 0 means "no data", refused so when strict, plain lengths below S3/P)
# No lengths: the command is decrypted in S3 or P only, or its plain text is not looked at.
_ROWS = {
    opcodes.INIT: (_PAIR_INIT, 255, True, False, None),
    opcodes.GET_AES_KEY: (_PAIR_KEY, 255, False, False, None),
    opcodes.ADD_ADMIN: (_PAIR_ADMIN, 255, False, False, None),
    opcodes.FEATURES: (_S0, 255, True, False, b"\x00"),
    opcodes.GET_CLOCK: (_S0, 255, True, False, b"\x00"),
    opcodes.STATUS: (_S1, 255, False, False, b"\x07"),
    opcodes.DEVICE_INFO: (_S1, 255, False, False, b"\x01"),
    opcodes.LOG: (_S1, 255, False, False, b"\x02"),
    opcodes.CHECK_ADMIN: (_S1, 255, False, False, b"\x0b"),
    opcodes.CHECK_USER: (_S1, 255, False, False, b"\x11"),
    opcodes.CHECK_RANDOM: (_PROOF, 255, False, False, b"\x04"),
    opcodes.UNLOCK: (_CHALLENGE, 255, False, False, b"\x08"),
    opcodes.LOCK: (_CHALLENGE, 8, False, False, b"\x08"),
    opcodes.SET_CLOCK: (_S1, 255, False, False, b"\x06"),
    opcodes.PAIRING_DONE: (_S1, 255, True, True, b"\x00"),
    opcodes.AUTO_LOCK: (_S1, 4, False, False, b"\x01\x03"),
    opcodes.REMOTE_UNLOCK: (_S1, 14, False, False, b"\x01\x02"),
    opcodes.PASSCODE_DISPLAY: (_S1, 9, False, False, b"\x01\x02"),
    opcodes.PASSAGE: (_S1, 22, False, False, b"\x01\x02\x08"),
    opcodes.SOUND: (_S1, 15, False, False, b"\x01\x02\x04"),
    opcodes.SET_ADMIN_PASSCODE: (_P_OR_S3, 255, False, False, None),
    opcodes.GET_ADMIN_PASSCODE: (_P_OR_S3, 18, True, True, None),
    opcodes.INIT_PASSWORDS: (_P_OR_S3, 255, False, False, None),
    opcodes.PASSCODE_COUNT: (_S3, 0, True, True, None),
    opcodes.SET_ERASE_CODE: (_S3, 5, False, False, None),
    opcodes.PASSCODE: (_S3, 0, False, False, None),
    opcodes.PASSCODE_LIST: (_S3, 7, False, False, None),
    opcodes.LOCK_NAME: (_S3, 255, False, False, None),
    opcodes.CARD: (_S3, 1, False, False, None),
    opcodes.FINGERPRINT: (_S3, 2, False, False, None),
    opcodes.CYCLIC: (_S3, 34, False, False, None),
    opcodes.KEY_FOB: (_S3, 41, False, False, None),
    opcodes.ACCESSORY_BATTERY: (_S3, 42, False, False, None),
    opcodes.EKEY: (_S3, 255, False, False, None),
    opcodes.DIAGNOSIS: (_S3, 255, False, False, None),
    opcodes.FREEZE: (_S3, 11, False, False, None),
    opcodes.LAMP: (_S3, 25, False, False, None),
    opcodes.SWITCHES: (_S3, 28, False, False, None),
    opcodes.UNLOCK_DIRECTION: (_S3, 36, False, False, None),
    opcodes.SETTING: (_S3, 255, False, False, None),
    opcodes.RESET: (_FRESH_S3, 255, True, True, None),
}


# What a frozen lock still does in an admin session (domain.md 3.4). Every operation of these commands:
_FREE = (
    opcodes.INIT,
    opcodes.STATUS,
    opcodes.FEATURES,
    opcodes.GET_CLOCK,
    opcodes.SET_CLOCK,
    opcodes.DEVICE_INFO,
    opcodes.LOG,
    opcodes.CHECK_ADMIN,
    opcodes.CHECK_USER,
    opcodes.CHECK_RANDOM,
    opcodes.UNLOCK,  # refused by `validity`
    opcodes.LOCK,
    opcodes.PAIRING_DONE,
    opcodes.GET_ADMIN_PASSCODE,
    opcodes.PASSCODE_COUNT,
    opcodes.PASSCODE_LIST,
    opcodes.FREEZE,
    opcodes.ACCESSORY_BATTERY,
    opcodes.DIAGNOSIS,
)
_ASKS = {  # of these commands the operations that only ask:
    opcodes.CARD: b"\x01\x22",
    opcodes.FINGERPRINT: b"\x06",
    opcodes.EKEY: b"\x01\x06",
    opcodes.KEY_FOB: b"\x06",
    opcodes.DOOR_SENSOR: b"\x06",
    opcodes.INIT_PASSWORDS: b"",
    opcodes.SET_ADMIN_PASSCODE: b"",
    opcodes.PASSCODE: b"",
    opcodes.RESET: b"",
    opcodes.LOCK_NAME: b"",
    opcodes.SET_ERASE_CODE: b"",
}
_ASK = b"\x01"  # and of all others this operation


def is_change(command, op):
    """True if a right request with this operation byte (None: empty) is for a frozen lock to refuse (0x1C)."""
    return command not in _FREE and (op is None or op not in _ASKS.get(command, _ASK))


class Standing:
    """What the table is asked about: how far the lock and the connection are.

    stage: FACTORY to PAIRED; window_open: pairing is possible now; s3_age_ms: None without an admin session;
    challenge_of: 0x41, 0x55 or 0 for none open; has_key: a frame of this connection has decrypted under its key.
    """

    __slots__ = ("stage", "window_open", "s3_age_ms", "challenge_of", "has_key")

    def __init__(self, stage=FACTORY, window_open=False, s3_age_ms=None, challenge_of=0, has_key=False):
        self.stage = stage
        self.window_open = window_open
        self.s3_age_ms = s3_age_ms
        self.challenge_of = challenge_of
        self.has_key = has_key


def _state_refusal(level, standing, length, may_be_empty):
    stage = standing.stage
    if level == _PAIR_INIT and stage == PAIRED:
        return None
    if level == _PAIR_INIT or level == _PAIR_KEY:
        return None if stage == FACTORY and standing.window_open else _NOT_SETTABLE
    if level == _PAIR_ADMIN:
        return None if stage == KEYED else _NOT_SETTABLE
    if stage < PROVISIONAL:
        return _NOT_PAIRED
    if level == _S0:
        return None
    if level == _S1:  # shown by this frame; an empty one shows nothing, so an earlier one must have
        allowed = length > 0 or stage == PROVISIONAL or standing.has_key or not may_be_empty
    elif level == _CHALLENGE:  # the bolt rests while a pairing is under way (security.md PAIR-3)
        allowed = stage == PAIRED and standing.challenge_of in (opcodes.CHECK_ADMIN, opcodes.CHECK_USER)
    elif level == _PROOF:
        is_user = standing.challenge_of == opcodes.CHECK_USER and stage == PAIRED
        allowed = is_user or standing.challenge_of == opcodes.CHECK_ADMIN
    elif level == _P_OR_S3 and stage == PROVISIONAL:
        allowed = True
    elif level == _FRESH_S3:
        allowed = standing.s3_age_ms is not None and standing.s3_age_ms <= _FRESH_S3_MS
    else:
        allowed = standing.s3_age_ms is not None
    return None if allowed else _NO_PERMISSION


def refusal(command, length, standing, features, strict_empty=False):
    """The error byte that answers this frame without its payload being looked at, or None: go on and decrypt.

    `length` is that of the payload as transmitted; `features` the mask of domain.md 3.12.
    Order: lock-ble-link.md 6.2, lines two to four.
    """
    row = _ROWS.get(command)
    if row is None:
        return _UNKNOWN
    level, bit, empty_allowed, strict, _ = row
    if bit != _NO_BIT and not features >> bit & 1:
        return _UNKNOWN
    error = _state_refusal(level, standing, length, empty_allowed)
    if error is None and not length and (not empty_allowed or (strict and strict_empty)):
        return _BAD_LENGTH
    return error


def plain_length_allowed(command, length, standing):
    """True if a plain text of `length` bytes may be looked at here (security.md ORC-4): below S3 and P a short list per
    opcode.
    """
    lengths = _ROWS[command][4]
    if command == opcodes.ADD_ADMIN:
        return length == 15
    if command in (opcodes.INIT, opcodes.GET_AES_KEY):
        return True
    if lengths is None:
        return standing.s3_age_ms is not None or standing.stage == PROVISIONAL
    return length in lengths


def envelope(raw):
    """One whole frame -> Frame, or None: bad CRC, another version (of 0x45: hardware-facts.md F20)."""
    try:
        request = frame.decode(raw)
    except ProtocolError:
        return None
    is_known = request.version == _VERSION
    if request.command == opcodes.INIT:
        is_known = is_known or request.version == _GREETING_VERSION
    return request if request.protocol == _PROTOCOL and is_known else None


def is_greeting(command, standing):
    """True for 0x45 on a paired lock, with which the vendor's app begins every session (hardware-facts.md F20).

    It gives no level and changes nothing, so its payload is not looked at: nothing about it can be told from the
    answer (security.md ORC-4).
    """
    return command == opcodes.INIT and standing.stage == PAIRED


def open_request(command, payload, key, standing, decode):
    """(is right, request, error byte, operation byte): all that can be wrong with a payload is looked at before it is
    decided.

    `decode` is the command's decoder. An error byte belongs to a request that is right but for a value; what `decode`
    made of bytes that are not right is dropped here. The operation is the first byte, None for an empty request.
    """
    plain, is_right = crypto.try_decrypt(key, payload) if payload else (b"", True)
    is_right = plain_length_allowed(command, len(plain), standing) and is_right
    try:
        request = decode(plain)
        return is_right, request if is_right else None, None, plain[0] if plain else None
    except BadRequest as err:
        return is_right, None, err.ble, None
    except ProtocolError:
        return False, None, None, None


def known():
    """The opcodes that have a row, ascending."""
    return sorted(_ROWS)
