"""What of a record may stay on the gateway: no digits, no card number, no address (security.md LOG-2, LOG-3).

The credential is named by a number instead: a user's uid and a fingerprint's number as they are, a code, a card and a
fob by its mark. Wrong entries have none: they are near misses of a real code.
"""

from firmware.lib import marks, records
from firmware.lib.compat import const
from firmware.lib.errors import ProtocolError

_HEADER = const(8)
_ADDRESS = const(6)
_WRONG_CODE = const(7)


def is_masked(raw):
    """True when the record is about a code whose digits the lock keeps from whoever is not its administrator."""
    if raw[0] == _WRONG_CODE:
        return False
    try:
        return "*" in records.fields(records.decode(raw)).get("code", "")
    except ProtocolError:
        return False


def redact(aes, raw):
    """A raw record as the lock sent it -> (number of the credential or None, the record without secrets).

    Lengths and layout stay, so that the rest can be read from it; a tail that does not fit its type is dropped.
    """
    clean = bytearray(records.mask(raw))
    try:
        found = records.fields(records.decode(raw))
    except ProtocolError:
        return None, bytes(clean[:_HEADER])
    if not found:
        return None, bytes(clean[:_HEADER])
    who = found.get("uid", found.get("credential"))
    if "card" in found:
        who = marks.of_card(aes, found["card"])
        clean[_HEADER:] = bytes(len(clean) - _HEADER)
    elif "address" in found:
        who = marks.of_fob(aes, found["address"])
        clean[_HEADER : _HEADER + _ADDRESS] = bytes(_ADDRESS)
    elif raw[0] != _WRONG_CODE and found.get("code", "*").find("*") < 0 and found["code"]:
        who = marks.of_passcode(aes, found["code"].encode())
    return who, bytes(clean)
