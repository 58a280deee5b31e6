"""The name that a lock advertises: requests to a lock. Command 0x4e. Source: lock-ble-commands.md 6."""

from firmware.lib.compat import const
from firmware.lib.messages.common import bad_request, decode_percent

_MAX_LEN = const(20)


def name(text):
    """0x4e: another name, 1 to 20 bytes as UTF-8. BadRequest when it does not fit."""
    plain = text.encode()
    if not 1 <= len(plain) <= _MAX_LEN:
        raise bad_request("a lock's name has 1 to 20 bytes")
    return plain


def named(data):
    """Answer to 0x4e -> battery level."""
    return decode_percent(data)
