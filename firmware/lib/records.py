"""Records of the operation log: layout of every type, masking of passcodes, what a type means, and which records the
owner's list shows.

Owns the record's bytes; paging is `messages.session_client` and `messages.session_lock`. The number in the list is not
the type in the lock: 17 and 25 are both 7, a card.
Source: lock-ble-link.md 9.2, 9.3; domain.md 4.
"""

from firmware.lib import dates
from firmware.lib.compat import const
from firmware.lib.errors import ProtocolError
from firmware.lib.messages.common import decode_number, number, take

GATEWAY_UID = 0x47415445  # with which a gateway moves the bolt of our own lock: a label, no right (domain.md 3.4)
NEXT_UNREAD = 0xFFFF  # cursor for the first record that no walk with this cursor has delivered (lock-ble-link.md 9.1)

_HEADER_LEN = const(8)
_STAR = const(0x2A)
_FAILED = const(0x80)

# One letter per type, 0 to 101: form of the tail. "." not documented, "-" none, U uid and record id, K U and button,
# P two codes, p one code, D date and perhaps a code, C card, S six-byte number, N two-byte number, B battery or none,
# M address, X address, button, battery, Y address and battery, A added passcode
_FORMS = (
    b".U.-PPPpDPPPPP-C-CCMSSSS-CU-U-BB-SPC-KPCSU-------.-"  # 0-50
    b"CUP-XYNN--NN-B--SSSSSS-CUUUPSCSXSSSSSSS-CPAMMMMMMM-"  # 51-101
)

EVENTS = ("unlock", "lock", "unlock_failed", "credential_changed", "alarm", "other")
METHODS = ("app", "passcode", "card", "fingerprint", "key", "remote", "gateway", "auto_lock", "unknown")
OTHER_METHODS = ("wristband", "face", "palm_vein", "qr", "button", "inside", "passage", "device", "sensor")

# One letter per type, 0 to 101: the event, and by what means; "." for types without a meaning
_EVENT_OF = (
    b".u.uuccfccufffoccucuucfccfluuaooulllloffffooalulauu"  # 0-50
    b"flloooufoolfuafauflcfccfuuooooooouflcfccfuculffoccc"  # 51-101
)
_METHOD_OF = (
    b".a.?pppppppppp?ccccwfffffcakg?ssifpckapcfa???tbb?c?"  # 0-50
    b"cap?r?qq??qqPs??FFFFFFFcagapfcFrvvvvvvvvcppdddddddd"  # 51-101
)
_EVENT_LETTERS = b"ulfcao"
_METHOD_LETTERS = b"apcfkrgt?wFvqbiPds"

# One byte per type, 0 to 101: its number in the list, plus 0x80 for one that failed; 0: management event, not listed
_LIST = (
    b"\x00\x01\x00\x00\x04\x00\x00\x84\x00\x00\x04\x84\x84\x84\x00\x00\x00\x07\x00\x09\x08\x00\x88\x00\x00"
    b"\x87\x0b\x0a\x0c\x1d\x1e\x1f\x20\x21\x22\x23\x24\x25\x84\x87\x88\x81\x2a\x2b\x2c\x2d\x2e\x2f\x30\x31"
    b"\x32\x33\x34\x35\x36\x37\x00\x39\xba\x3b\x3c\x3d\xbe\x3f\x40\xc1\xc2\x43\xc4\x45\x00\xc7\x00\x00\x87"
    b"\x4b\x4c\x4d\x4e\x4f\x50\x51\x52\x53\x54\x55\x56\x00\xd8\x00\x00\xdb\x5c\x00\x00\x00\x00\x00\x00\x00"
    b"\x00\x00"
)

# Beyond the tables the vendor's list names 111 opened by low battery, 115 heat, 116 fire, and 107 and 249, which say
# nothing of the door. Nobody has seen their tails (hardware-facts.md F57): they are kept, and not read; by a gateway
# only those of the three, as nobody shows a credential there (security.md LOG-2, LOG-3).
LATER = b"\x6f\x73\x74"
_LOW_BATTERY = const(111)


class Record:
    """`date` is a date6, or None when the lock's bytes are no date (its clock was never set). `raw` as received."""

    __slots__ = ("battery", "date", "raw", "tail", "type")

    def __init__(self, raw, date):
        self.raw = raw
        self.type = raw[0]
        self.date = date
        self.battery = raw[7]
        self.tail = raw[_HEADER_LEN:]


def decode(raw):
    """One raw record -> Record; any type. Raises ProtocolError when the header is cut off."""
    if len(raw) < _HEADER_LEN:
        raise ProtocolError("record of %d bytes" % len(raw))
    try:
        date = dates.decode6(raw, 1)
    except ProtocolError:
        date = None
    return Record(bytes(raw), date)


def encode(type, date, battery, tail=b""):
    """The raw record; `tail` from one of the builders below, in the form of its type."""
    return bytes((type,)) + dates.encode6(date) + bytes((min(max(battery, 0), 100),)) + tail


def meaning(type):
    """Type -> (event word, method word, success), the words those of EVENTS, METHODS and OTHER_METHODS."""
    if type in LATER:
        return "unlock" if type == _LOW_BATTERY else "alarm", "sensor", True
    if type >= len(_EVENT_OF) or _EVENT_OF[type] == 0x2E:
        return "other", "unknown", True
    event = EVENTS[_EVENT_LETTERS.find(_EVENT_OF[type : type + 1])]
    place = _METHOD_LETTERS.find(_METHOD_OF[type : type + 1])
    method = METHODS[place] if place < len(METHODS) else OTHER_METHODS[place - len(METHODS)]
    return event, method, event != "unlock_failed" and type != 66


def listed(type):
    """Type -> (its number in the list, or None when it is not listed, and whether the list calls it a failure)."""
    if type in LATER:
        return type, False
    code = _LIST[type] if type < len(_LIST) else 0
    return (code & ~_FAILED) or None, code >= _FAILED


# Builders of tails


def by_user(uid, record_id):
    """Form U (1, 26, 28, 41, 52, 75-77)."""
    return number(uid, 4) + number(record_id, 4)


def by_code(code, new_code=b""):
    """Form P (4-6, 9-13, 34, 38, 53, 78, 92): ASCII digits. The second length is always sent, clients read it."""
    return bytes((len(code),)) + code + bytes((len(new_code),)) + new_code


def by_wrong_code(code):
    """Form p (7)."""
    return bytes((len(code),)) + code


def codes_cleared(date):
    """Form D (8)."""
    return dates.encode5(date)


def code_added(code, start5, end5):
    """Form A (93); dates as five bytes of the wire."""
    return bytes((len(code),)) + code + start5 + end5


def by_card(card):
    """Form C (15, 17, 18, 25, 35, 39, 51, 74, 80, 91): the card's bytes, 4 or 8."""
    if len(card) not in (4, 8):
        raise ProtocolError("card of %d bytes" % len(card))
    return bytes(card)


def _address(tail):
    return bytes(tail[5 - place] for place in range(6))


def _code(raw):
    for byte in raw:
        if byte != _STAR and not 0x30 <= byte <= 0x39:
            raise ProtocolError("code with other signs than digits")
    return bytes(raw).decode()


def _exactly(tail, *allowed):
    if len(tail) not in allowed:
        raise ProtocolError("record tail of %d bytes" % len(tail))


def _two_codes(tail):
    code, at = take(tail, 0)
    new, at = take(tail, at) if at < len(tail) else (b"", at)
    _exactly(tail, at)
    return {"code": _code(code), "new_code": _code(new)}


def _added(tail):
    code, at = take(tail, 0)
    if len(tail) != at + 10:  # another firmware's reading of type 93 (lock-ble-link.md 11 row 14)
        return _two_codes(tail)
    return {"code": _code(code), "start": dates.decode5(tail, at), "end": dates.decode5(tail, at + 5)}


def _cleared(tail):
    values = {"deleted": dates.decode5(tail)}
    if len(tail) > 5:
        code, at = take(tail, 5)
        _exactly(tail, at)
        values["code"] = _code(code)
    return values


def fields(record):
    """What the tail says, by name: uid, record_id, key, code, new_code, deleted, start, end (date5), card, credential
    (numbers), accessory_battery, address (six bytes, printed order). {} for types without or with an unknown tail.

    Codes are secrets unless they are stars. Raises ProtocolError for a tail that does not fit its type.
    """
    tail = record.tail
    form = _FORMS[record.type : record.type + 1] if record.type < len(_FORMS) else b"."
    if form == b"." or form == b"-":
        return {}
    if form in b"UK":
        _exactly(tail, 8 if form == b"U" else 9)
        values = {"uid": decode_number(tail, 0, 4), "record_id": decode_number(tail, 4, 4)}
        if form == b"K":
            values["key"] = tail[8]
        return values
    if form == b"P":
        return _two_codes(tail)
    if form == b"p":
        code, at = take(tail, 0)
        _exactly(tail, at)
        return {"code": _code(code)}
    if form == b"D":
        return _cleared(tail)
    if form == b"A":
        return _added(tail)
    if form == b"C":
        _exactly(tail, 4, 8)
        return {"card": decode_number(tail, 0, len(tail))}
    if form == b"S":
        return {"credential": decode_number(tail, 0, 6)}  # further bytes are text, of no use (lock-ble-link.md 9.2)
    if form == b"N":
        _exactly(tail, 2)
        return {"credential": decode_number(tail, 0, 2)}
    if form == b"B":
        _exactly(tail, 0, 1)
        return {"accessory_battery": tail[0]} if tail else {}
    _exactly(tail, *((6,) if form == b"M" else (8,) if form == b"X" else (7, 8)))
    values = {"address": _address(tail)}
    if form == b"X":
        values["key"] = tail[6]
    if form != b"M":
        values["accessory_battery"] = tail[len(tail) - 1]
    return values


def mask(raw):
    """The raw record with `*` for every digit of a passcode, all lengths unchanged (lock-ble-link.md 9.1).

    A tail that does not fit its type loses everything that looks like a digit, so that nothing slips through.
    """
    form = _FORMS[raw[0] : raw[0] + 1] if raw[0] < len(_FORMS) else b"."
    if form not in b"PpDA" or len(raw) <= _HEADER_LEN:
        return bytes(raw)
    masked = bytearray(raw)
    at = _HEADER_LEN
    try:
        if form == b"D":
            dates.decode5(raw, at)
            at += 5
        for _ in range(2 if form == b"P" else 1):
            if at >= len(raw):
                break
            code, end = take(raw, at)
            masked[at + 1 : end] = b"*" * len(code)
            at = end
        if form == b"A":
            dates.decode5(raw, at)
            dates.decode5(raw, at + 5)
            at += 10
        if len(raw) != at:
            raise ProtocolError("tail of another form")
    except ProtocolError:
        for at in range(_HEADER_LEN, len(raw)):
            if 0x30 <= raw[at] <= 0x39:
                masked[at] = _STAR
    return bytes(masked)
