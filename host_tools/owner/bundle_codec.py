"""Text forms of secrets in vendor and client key bundles: AES keys and XOR-coded numbers.

The firmware contains none of this (security.md DWN-2). Source: lock-ble-link.md 5 (4), lock-ble-commands.md 10.2.
"""

import base64
import binascii

from firmware.lib import frame
from firmware.lib.errors import ProtocolError

_PLAIN_LEN = 10  # texts up to this length are not coded


def decode_aes_key(text: str) -> bytes:
    """`aesKeyStr` -> 16 bytes. Accepts 16 hex bytes parted by commas, dots, blanks or dashes, or 32 hex digits."""
    text = text.strip()
    for separator in ",. -":
        if separator in text:
            parts = text.split(separator)
            break
    else:
        parts = [text[place : place + 2] for place in range(0, len(text), 2)] if len(text) == 32 else []
    try:
        if len(parts) != 16 or not all(1 <= len(part) <= 2 for part in parts):
            raise ValueError
        return bytes.fromhex("".join(part.rjust(2, "0") for part in parts))
    except ValueError:
        raise ProtocolError("not an AES key") from None


def encode_aes_key(key: bytes) -> str:
    """16 bytes -> the comma form, which every client reads."""
    return ",".join("%02x" % octet for octet in key)


def xor(octets: bytes, seed: int) -> bytes:
    """Code or decode `octets` with the seed: every byte XOR seed XOR table[length], by the producer's table."""
    mask = seed ^ frame.CRC_TABLE[len(octets) & 0xFF]
    return bytes(octet ^ mask for octet in octets)


def decode_secret(text: str) -> str:
    """`lockKey`, `adminPwd`, `noKeyPwd` -> digits. Up to ten characters are plain (lock-ble-commands.md 10.2)."""
    if len(text) <= _PLAIN_LEN:
        plain = text
    else:
        try:
            octets = bytes(int(part) for part in base64.b64decode(text, validate=True).split(b","))
        except (ValueError, binascii.Error):
            raise ProtocolError("not a coded secret") from None
        plain = xor(octets[:-1], octets[-1]).decode("latin-1")
    if not (plain.isascii() and plain.isdigit()):
        raise ProtocolError("coded secret is no number")
    return plain


def encode_secret(digits: str, seed: int) -> str:
    """Digits -> the coded form with any `seed` 0..255 (short numbers are coded too; readers accept both)."""
    octets = xor(digits.encode("ascii"), seed) + bytes((seed,))
    return base64.b64encode(",".join("%d" % octet for octet in octets).encode()).decode()
