"""Which records the owner's list shows, under which number, and which of them tell of a failure.

The number in the list is not the type in the lock: 17 and 25 are both 7, a card. Source: domain.md 4, column "list".
"""

from firmware.lib.compat import const

_FAILED = const(0x80)

# One byte per type, 0 to 101: its number in the list, plus 0x80 for one that failed; 0: management event, not listed
_LIST = (
    b"\x00\x01\x00\x00\x04\x00\x00\x84\x00\x00\x04\x84\x84\x84\x00\x00\x00\x07\x00\x09\x08\x00\x88\x00\x00"
    b"\x87\x0b\x0a\x0c\x1d\x1e\x1f\x20\x21\x22\x23\x24\x25\x84\x87\x88\x81\x2a\x2b\x2c\x2d\x2e\x2f\x30\x31"
    b"\x32\x33\x34\x35\x36\x37\x00\x39\xba\x3b\x3c\x3d\xbe\x3f\x40\xc1\xc2\x43\xc4\x45\x00\xc7\x00\x00\x87"
    b"\x4b\x4c\x4d\x4e\x4f\x50\x51\x52\x53\x54\x55\x56\x00\xd8\x00\x00\xdb\x5c\x00\x00\x00\x00\x00\x00\x00"
    b"\x00\x00"
)


def listed(type):
    """Type -> (its number in the list, or None when it is not listed, and whether the list calls it a failure)."""
    code = _LIST[type] if type < len(_LIST) else 0
    return (code & ~_FAILED) or None, code >= _FAILED
