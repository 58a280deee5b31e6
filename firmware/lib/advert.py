"""The manufacturer data and the name that a lock advertises.

Owns both layouts and the flags; presence and what a change means are the gateway's registry's.
Source: lock-ble-link.md 2.2-2.6; hardware-facts.md F1, F11; vectors of kind "advertisement".
"""

from firmware.lib.compat import const

UNLOCKED = 0x01
RECORDS = 0x02
SETTABLE = 0x04
TOUCHED = 0x08
DORMANT = 0x10  # asleep: UNLOCKED is then 0 whatever the bolt does; of parking locks the second bit of their state

SERVICE = 0x1910  # of the lock's GATT database, advertised too (lock-ble-link.md 3.1)
COMPANY_ID = 0x0305  # what a stack shows that splits two bytes off (05 03, least significant first)

_MIN_LEN = const(15)
_MAX_LEN = const(27)  # between battery and address some locks have more than four bytes (hardware-facts.md F11)
_STATED_FROM = const(5)  # protocol types below it put no state into the advertisement


class Advert:
    """`kind` is "v3", "v2s_plus", "v2s", "parking", "dfu", "wristband" or "other".

    `protocol`, `version` and `scene` are numbers. Where the layout carries no state (`is_stated` false) flags are
    false and `battery` and `address` None. `address` is six bytes in printed order. `unlocked` is None where nothing is
    said of the bolt: in a layout without state, and when the lock `is_dormant` (hardware-facts.md F1).
    """

    __slots__ = (
        "address",
        "battery",
        "flags",
        "has_records",
        "is_dormant",
        "is_stated",
        "kind",
        "protocol",
        "scene",
        "settable",
        "touched",
        "unlocked",
        "version",
    )

    def __init__(self, kind, protocol, version, scene, flags=None, battery=None, address=None):
        self.kind = kind
        self.protocol = protocol
        self.version = version
        self.scene = scene
        self.is_stated = flags is not None
        self.flags = flags = flags or 0
        self.battery = battery
        self.address = address
        self.is_dormant = bool(flags & DORMANT) and kind != "parking"
        self.unlocked = None if self.is_dormant or not self.is_stated else bool(flags & UNLOCKED)
        self.has_records = bool(flags & RECORDS)
        self.settable = bool(flags & SETTABLE)
        self.touched = bool(flags & TOUCHED)


def _reversed(octets):
    return bytes(octets[5 - place] for place in range(6))


def encode_manufacturer(address, scene, flags, battery):
    """The 15 bytes that our lock puts after `10 ff`; `address` is six bytes in printed order."""
    if len(address) != 6 or not 0 <= battery <= 100 or not 0 <= scene <= 255 or not 0 <= flags <= 255:
        raise ValueError("advertisement out of range")
    return bytes((5, 3, scene, flags, battery, 0, 0, 0, 0)) + _reversed(address)


def _kind(protocol, version, scene):
    if protocol == 5:
        return {1: "v2s", 3: "parking" if scene == 7 else "v3", 4: "v2s_plus"}.get(version, "other")
    return "parking" if protocol == 10 and version == 1 else "other"


def decode_manufacturer(data):
    """Manufacturer data with its first two bytes in place -> Advert, or None when they cannot be a lock's.

    Never raises: anybody may advertise anything. Below 15 bytes, above 27, or with a battery above 100 it is None. The
    address is the last six bytes; of what stands between it and the battery nothing is read (hardware-facts.md F11).
    """
    size = len(data)
    if not _MIN_LEN <= size <= _MAX_LEN:
        return None
    first = data[0] << 8 | data[1]
    if first == 0x1219 or first == 0xFFFF:
        return Advert("dfu", data[0], data[1], 0)
    if first == 0x0503:
        protocol, version, scene, at = 5, 3, data[2], 3
    else:
        protocol, version, scene, at = data[4], data[5], data[7], 8
    kind = "wristband" if first == 0x3412 else _kind(protocol, version, scene)
    if protocol < _STATED_FROM or kind == "v2s":
        return Advert(kind, protocol, version, scene)
    if data[at + 1] > 100:
        return None
    return Advert(kind, protocol, version, scene, data[at], data[at + 1], _reversed(data[size - 6 :]))


def lock_name(model, address):
    """Advertised name: model prefix and the last three octets in reverse order, like `GH1_332211`
    (lock-ble-link.md 2.5)."""
    return "%s_%02x%02x%02x" % (model, address[5], address[4], address[3])
