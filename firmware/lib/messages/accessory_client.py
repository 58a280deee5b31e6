"""Key fobs and their like, by their address: requests to a lock of ours and its answers. Commands 0xe3 to 0xe5, 0x74.

The operations are those of fingerprints, with the address, in the order of the air, as the number; what differs stands
here. Source: lock-ble-commands.md 6.7, 8.1; vectors d_accessory_battery_fob, r_accessory_battery.
"""

from firmware.lib.compat import const
from firmware.lib.errors import ProtocolError
from firmware.lib.messages import fingerprint_client
from firmware.lib.messages.common import bad_request, check_length, decode_percent, number

FOB = 4  # kinds of accessories that 0x74 is asked about

ONLINE = 1

_ID_LEN = const(6)
_FLAGS = const(3)


class Accessory(fingerprint_client.Entry):
    """A line of the list; `number` is the address, little-endian, `battery` per cent, `flags`: ONLINE, 2 door open."""

    def __init__(self, entry, battery, flags):
        super().__init__(entry.number, entry.start, entry.end)
        self.battery = battery
        self.flags = flags


def bind(address):
    """Let a device in whose address is known (six bytes, the first as it is written first); answered by `added`."""
    if len(address) != _ID_LEN:
        raise bad_request("an address has six bytes")
    return bytes((fingerprint_client.ADD,)) + bytes(reversed(address))


def address_of(number):
    """The number of an answer -> address, the first byte as it is written first."""
    return number.to_bytes(_ID_LEN, "little")


def number_of(address):
    """An address -> the number by which delete and modify name the device."""
    return int.from_bytes(address, "little")


def entry(data):
    """Answer to list -> (index to ask for next, Accessory), as `fingerprint_client.entry`."""
    if len(data) != 22:
        check_length(data, 4)
        return fingerprint_client.entry(data)
    after, listed = fingerprint_client.entry(data[:20])
    if data[21] > _FLAGS:
        raise ProtocolError("flags of an accessory")
    return after, Accessory(listed, decode_percent(data, 20), data[21])


def battery_request(kind):
    """Ask for the battery of the accessories of a kind; answered by `battery`."""
    return number(kind, 1)


def battery(data):
    """Answer -> (kind, level in per cent)."""
    check_length(data, 2)
    return data[0], decode_percent(data, 1)
