"""Small state on flash. Owns the files it is given.

Whole files (`load`, `save`): a JSON text and a checksum, replaced in one step. A save
writes a sibling, closes it (only that is durable on littlefs), reads it back and renames it over the old file, so a
power cut leaves the old content or the new one, never a mixture (security.md 4.3 rule 3). A save with `twin` then does
the same with a second copy, which stands in for a file that is damaged later.

A `Cell`, for what changes often, such as a counter or a cursor: two alternating copies, each u32 number, payload, u32
CRC-32 over both, little-endian. A save writes the copy that is not the newest, so the only good one is never
overwritten (security.md 4.3 rule 2). With at most 120 bytes of payload a copy stays inside its folder's metadata on
littlefs, and a save is one program operation there.
"""

import binascii
import json
import os
import struct

from firmware.lib.compat import const

_NEW = ".new"
_BAK = ".bak"
_SMALL = const(120)  # stays within the folder, and takes at least as much of its block each time
_FILLS = const(36)
_PIECE = const(256)
_AROUND = const(8)  # number and checksum of a cell's copy


def exists(path):
    """True when there is a file or folder `path`."""
    try:
        os.stat(path)
    except OSError:
        return False
    return True


def make_folder(path):
    """Create folder `path` and its parents where missing."""
    at = 0
    while at >= 0:
        at = path.find("/", at + 1)
        part = path if at < 0 else path[:at]
        if part and not exists(part):
            os.mkdir(part)
            _use_both_blocks(part)


def _use_both_blocks(folder):
    """littlefs keeps a folder in two blocks, the second of which stays blank until the first is full. Until then a byte
    damaged at the beginning of the first makes the whole file system unreadable; so write until both hold something.
    """
    scrap = folder + "/scrap"
    for _ in range(_FILLS):
        with open(scrap, "wb") as file:
            file.write(bytes(_SMALL))
    os.remove(scrap)


def read(path):
    """All bytes of the file `path`, or None when it cannot be read. Allocates its room at once: a growing buffer would
    need it twice."""
    try:
        with open(path, "rb") as file:
            return file.read(os.stat(path)[6])
    except OSError:
        return None


def holds(path, octets):
    """True if the file `path` can be read and has exactly these bytes; looks at a piece at a time."""
    at = 0
    try:
        with open(path, "rb") as file:
            while True:
                piece = file.read(_PIECE)
                if not piece:
                    return at == len(octets)
                if octets[at : at + len(piece)] != piece:
                    return False
                at += len(piece)
    except OSError:
        return False


def _decode(raw):
    """Content of a stored file -> (True, object), or (False, None) when it is damaged."""
    end = raw.rfind(b"\n", 0, len(raw) - 1) if raw else -1
    if end < 0 or raw[end + 1 :] != b"%08x\n" % (binascii.crc32(raw[:end]) & 0xFFFFFFFF):
        return False, None
    try:
        return True, json.loads(raw[:end].decode())
    except (ValueError, UnicodeError):
        return False, None


def load(path, default=None, on_damage=None, alone=False):
    """The object saved at `path`, else the newest valid sibling (unless `alone`), else `default`.

    `on_damage(path)` is called when there are files but none of them is valid.
    """
    damaged = False
    for name in (path,) if alone else (path, path + _NEW, path + _BAK):
        raw = read(name)
        if raw is None:
            continue
        valid, value = _decode(raw)
        if valid:
            return value
        damaged = True
    if damaged and on_damage:
        on_damage(path)
    return default


def save(path, value, twin=False):
    """Write `value` (what JSON can say; no bytes: callers write hex) and return once it is durable, with `twin` twice.

    Raises OSError when the flash refuses or does not read back what was written; the old file then still stands.
    """
    text = json.dumps(value).encode()
    raw = text + b"\n%08x\n" % (binascii.crc32(text) & 0xFFFFFFFF)
    folder = path[: path.rfind("/")] if path.rfind("/") > 0 else ""
    if folder and not exists(folder):
        make_folder(folder)
    for target in (path, path + _BAK) if twin else (path,):
        with open(path + _NEW, "wb") as file:
            file.write(raw)
        if read(path + _NEW) != raw:
            raise OSError("%s did not read back" % path)
        os.rename(path + _NEW, target)


def remove(path):
    """Delete `path` and its siblings; nothing happens where there is none."""
    for name in (path + _BAK, path + _NEW, path):
        try:
            os.remove(name)
        except OSError:
            pass


class Cell:
    """`path` without an ending; the copies are `path`.0 and `path`.1."""

    def __init__(self, path):
        self._path = path
        self._number = -1  # of the newest copy; not read yet
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
            number = struct.unpack_from("<I", raw)[0]
            if newest is None or number > self._number:
                newest = raw[4:-4]
                self._number = number
        self.is_damaged = self.is_damaged and newest is None
        return newest

    def save(self, payload):
        """Store `payload` (bytes), durably. Raises OSError when the flash refuses; the old state then stands."""
        if self._number < 0:
            self.load()
        number = self._number + 1
        raw = struct.pack("<I", number) + payload
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
    return struct.pack("<I", binascii.crc32(raw) & 0xFFFFFFFF)
