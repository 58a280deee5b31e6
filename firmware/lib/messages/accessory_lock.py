"""Key fobs and their like, by their address: requests to our lock and its answers. Commands 0xe3 to 0xe5, 0x74.

The operations are those of fingerprints, with the address, in the order of the air, as the number; what differs stands
here. Source: lock-ble-commands.md 6.7, 8.1; vectors d_accessory_battery_fob, r_accessory_battery, x_face_*.
"""

from firmware.lib.messages import fingerprint_lock
from firmware.lib.messages.common import check_length, percent

ONLINE = 1


def decode_manage(plain):
    """As `fingerprint_lock.decode_manage`; an addition is (ADD,), listen for one, or (ADD, id6), let this one in."""
    if len(plain) == 7 and plain[0] == fingerprint_lock.ADD:
        return fingerprint_lock.ADD, bytes(plain[1:])
    return fingerprint_lock.decode_manage(plain)


def encode_list(battery, after, id6, limits, level, flags):
    """Data of the answer to list with an entry; the end is that of fingerprints. `level` is the accessory's battery."""
    return fingerprint_lock.encode_list(battery, after, id6, limits) + bytes((percent(level), flags))


def decode_battery(plain):
    """0x74 -> kind of accessory: 1 door sensor, 2 remote control, 3 wireless keypad, 4 key fob."""
    check_length(plain, 1)
    return plain[0]


def encode_battery(kind, level):
    """Data of the answer: no battery of the lock in front."""
    return bytes((kind, percent(level)))
