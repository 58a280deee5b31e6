"""Pairing: requests to our lock and its answers.

Commands 0x45, 0x19, 0x56, 0x31, 0x53, 0x65, 0x57. Encoders give the data of a success.
Source: lock-ble-link.md 8.3; lock-ble-commands.md 3.4, 3.5; security.md 3.2.
"""

from firmware.lib.compat import const
from firmware.lib.errors import ProtocolError
from firmware.lib.messages.common import (
    SCIENER,
    bad_request,
    check_length,
    decode_empty,
    decode_number,
    digits,
    percent,
)

_YEARS = const(10)
_MAX_CODE = const(1070)
_SECRETS = 10**10
_MAX_TOKEN = const(111)


def decode_init(plain):
    """0x45: carries nothing."""
    decode_empty(plain)


def decode_get_aes_key(plain):
    """0x19: something, which is not compared (lock-ble-link.md 11 row 5)."""
    if not 0 < len(plain) <= _MAX_TOKEN:
        raise ProtocolError("key request of %d bytes" % len(plain))


def encode_aes_key(key):
    """Data of the answer to 0x19: exactly 16 bytes, clients take all there is."""
    check_length(key, 16)
    return bytes(key)


def decode_add_admin(plain):
    """0x56 -> (admin_ps, unlock_key). BadRequest (0x1D) when a number is not 1 to 2^31 - 1."""
    check_length(plain, 15)
    if bytes(plain[8:]) != SCIENER:
        raise ProtocolError("administrator without the fixed word")
    admin_ps = decode_number(plain, 0, 4)
    unlock_key = decode_number(plain, 4, 4)
    if not (0 < admin_ps <= 0x7FFFFFFF and 0 < unlock_key <= 0x7FFFFFFF):
        raise bad_request("administrator number out of range")
    return admin_ps, unlock_key


def encode_admin_added():
    """Data of the answer to 0x56; clients take anything else for a failure."""
    return SCIENER


def decode_init_passwords(plain):
    """0x31 -> (first year, list of ten (code, secret)). BadRequest (0x1D) for a seed out of range."""
    check_length(plain, 1 + 6 * _YEARS)
    entries = []
    for place in range(_YEARS):
        entry = decode_number(plain, 1 + 6 * place, 6)
        code, secret = entry >> 36, entry & 0xFFFFFFFFF
        if code > _MAX_CODE or secret >= _SECRETS:
            raise bad_request("seed out of range")
        entries.append((code, secret))
    if plain[0] > 99:
        raise bad_request("year out of range")
    return 2000 + plain[0], entries


def decode_seeds(plain):
    """0x31 -> its bytes, once they are known to be seeds. Raises as `decode_init_passwords`."""
    decode_init_passwords(plain)
    return plain


def decode_set_admin_passcode(plain):
    """0x53 -> ASCII digits, b"" to delete the code. BadRequest (0x0F) unless 4 to 9 bytes, each 0 to 9."""
    if not plain:
        return b""
    return digits(bytes((byte + 0x30) & 0xFF for byte in plain))


def encode_admin_passcode(battery, code):
    """Data of the answer to 0x65; `code` is text or ASCII bytes, empty when none is set."""
    code = digits(code) if code else b""
    return bytes((percent(battery), len(code))) + code


def decode_get_admin_passcode(plain):
    """0x65: carries nothing."""
    decode_empty(plain)


def decode_finished(plain):
    """0x57: carries nothing."""
    decode_empty(plain)
