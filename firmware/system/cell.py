"""Small state that changes often, such as a counter or a cursor, in two alternating copies. Owns two files.

A copy: u32 number, payload, u32 CRC-32 over both, little-endian. A save writes the copy that is not the newest, so the
only good one is never overwritten (security.md 4.3 rule 2). With at most 120 bytes of payload a copy stays inside its
folder's metadata on littlefs, and a save is one program operation there.
"""

import binascii
import struct

from firmware.lib.compat import const
from firmware.system.store import exists, make_folder, read

_HEAD = "<I"
_AROUND = const(8)  # number and checksum


class Cell:
    """`path` without an ending; the copies are `path`.0 and `path`.1."""

    def __init__(self, path):
        self._path = path
        self._number = None
        self.is_damaged = False  # after `load`: something was stored, and none of it can be read

    def load(self):
        """The payload saved last, else the one before it, else None."""
        newest = None
        self.is_damaged = False
        self._number = 0
        for which in (0, 1):
            raw = read("%s.%d" % (self._path, which)) or b""
            if len(raw) < _AROUND or raw[-4:] != _sum(raw[:-4]):
                self.is_damaged = self.is_damaged or len(raw) > 0
                continue
            number = struct.unpack_from(_HEAD, raw)[0]
            if newest is None or number > self._number:
                newest = raw[4:-4]
                self._number = number
        self.is_damaged = self.is_damaged and newest is None
        return newest

    def save(self, payload):
        """Store `payload` (bytes), durably. Raises OSError when the flash refuses; the old state then stands."""
        if self._number is None:
            self.load()
        number = self._number + 1
        raw = struct.pack(_HEAD, number) + payload
        path = "%s.%d" % (self._path, number & 1)
        try:
            out = open(path, "wb")
        except OSError:
            folder = path[: path.rfind("/")]
            if exists(folder):
                raise
            make_folder(folder)
            out = open(path, "wb")
        with out:
            out.write(raw + _sum(raw))
        self._number = number


def _sum(raw):
    return struct.pack(_HEAD, binascii.crc32(raw) & 0xFFFFFFFF)
