"""Pairing: requests to a factory-fresh lock and its answers.

Commands 0x45, 0x19, 0x56, 0x31, 0x53, 0x65, 0x57. Source: lock-ble-link.md 8.3; lock-ble-commands.md 3.4, 3.5.
"""

from firmware.lib.compat import const
from firmware.lib.errors import ProtocolError
from firmware.lib.messages.common import (
    SCIENER,
    bad_request,
    check_length,
    decode_percent,
    digits,
    is_digits,
    number,
    take,
)

_YEARS = const(10)
_MAX_CODE = const(1070)
_SECRETS = 10**10


def init():
    """0x45, under the default key. The answer carries no data."""
    return b""


def get_aes_key():
    """0x19, under the default key; answered by `aes_key`."""
    return SCIENER


def aes_key(data):
    """Answer to 0x19 -> the key of everything that follows."""
    check_length(data, 16)
    return bytes(data)


def add_admin(admin_ps, unlock_key):
    """0x56, under the new key; both numbers are the client's choice, at least 1. Answered by `admin_added`."""
    if not (0 < admin_ps <= 0x7FFFFFFF and 0 < unlock_key <= 0x7FFFFFFF):
        raise bad_request("administrator numbers are 1 to 2147483647")
    return number(admin_ps, 4) + number(unlock_key, 4) + SCIENER


def admin_added(data):
    """Answer to 0x56: raises ProtocolError unless it is the fixed word (anything else is a failure, lock-ble-link.md
    8.3)."""
    if bytes(data) != SCIENER:
        raise ProtocolError("lock did not confirm the administrator")


def init_passwords(year, entries):
    """0x31: first year (four digits) and ten pairs (code, secret); real locks want secrets that permute 0 to 9.

    The answer carries no data.
    """
    if len(entries) != _YEARS or not 2000 <= year <= 2099:
        raise bad_request("ten years from 2000 on")
    plain = bytes((year - 2000,))
    for code, secret in entries:
        if not 0 <= code <= _MAX_CODE or not 0 <= secret < _SECRETS:
            raise bad_request("seed out of range")
        plain += number(code << 36 | secret, 6)
    return plain


def set_admin_passcode(code):
    """0x53: the code that opens at the keypad for ever; `code` "" deletes it. The answer carries no data."""
    if not code:
        return b""
    return bytes(byte - 0x30 for byte in digits(code))


def get_admin_passcode():
    """0x65, answered by `admin_passcode`."""
    return b""


def admin_passcode(data):
    """Answer to 0x65 -> (battery, code as text, "" when none is set)."""
    code, end = take(data, 1)
    if end != len(data) or not is_digits(code) or len(code) > 9:
        raise ProtocolError("admin passcode of %d bytes" % len(data))
    return decode_percent(data), code.decode()


def finished():
    """0x57: the lock keeps the pairing. The answer carries no data."""
    return b""
