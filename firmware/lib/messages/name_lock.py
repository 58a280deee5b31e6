"""The name that a lock advertises: requests to our lock. Command 0x4e. Source: lock-ble-commands.md 6.

UTF-8, 1 to 20 bytes; in force from the next start of advertising on.
"""

from firmware.lib.compat import const
from firmware.lib.errors import ProtocolError
from firmware.lib.messages.common import bad_request, percent
from firmware.lib.utf8 import decode_utf8

_MAX_LEN = const(20)


def decode_name(plain):
    """0x4e -> text. BadRequest unless it is 1 to 20 bytes of UTF-8 without control characters."""
    try:
        text = decode_utf8(bytes(plain))
    except ProtocolError:
        text = ""
    if not text or len(plain) > _MAX_LEN or any(ord(sign) < 0x20 or ord(sign) == 0x7F for sign in text):
        raise bad_request("no name for a lock")
    return text


def encode_named(battery):
    """Data of the answer."""
    return bytes((percent(battery),))
