"""A number that stands for a credential whose own number is a secret or an identifier: a code, a card, a fob.

The log names them by digits, card number or address, which must not leave the gateway (security.md LOG-2, LOG-3). The
mark is a keyed hash under the lock's AES key: who lacks the key learns only that two records are of one credential, and
who has it (the gateway, the host's key book) needs no list from the lock to know which. The marks of a lock end
with its key. By them `who` of records and lists names passcodes, cards and fobs. Of the same making is the era of a
pairing, which tells its records from those of every other.
"""

from firmware.lib.crypto import hmac_sha256

PASSCODE = b"passcode"
CARD = b"card"
FOB = b"fob"


def _mark(aes, kind, octets):
    return int.from_bytes(hmac_sha256(aes, b"gatehouse-who-", kind, b"-", octets)[:4], "big")


def of_passcode(aes, digits):
    """ASCII digits -> 32 bits."""
    return _mark(aes, PASSCODE, digits)


def of_card(aes, number):
    """A card's number, as the record's four or eight bytes big-endian -> 32 bits."""
    return _mark(aes, CARD, number.to_bytes(8, "big"))


def of_fob(aes, address):
    """Six bytes in printed order -> 32 bits."""
    return _mark(aes, FOB, address)


def era(aes):
    """The lock's key -> 48 bits: `epoch` of its records, equal for everybody who has this pairing's key (mqtt.md 2)."""
    return int.from_bytes(hmac_sha256(aes, b"era")[:6], "big")
