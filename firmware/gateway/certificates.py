"""The DER files that a gateway verifies its broker with and proves itself by: taken piece by piece from the console.

Owns /data/mqtt_*.der. A file's name holds a part of its digest, so that a new one never overwrites what the settings
in use name; what no setting names is removed when settings are written. Loaded only meanwhile.
"""

import binascii
import hashlib
import os

from firmware.lib.compat import const
from firmware.lib.errors import BadRequest
from firmware.system.store import exists

KINDS = ("ca", "cert", "key")
_MAX = const(8192)
_PART = ".part"


def put(folder, request, changing=None):
    """One piece, {"name","at","hex","crc"} -> {"ok","size"}, or the end, {"name","sha256"} -> {"ok","path"}.

    `crc` is the CRC-32 of the piece, `at` where it begins; `changing()` is called before a piece of a private key goes.
    Raises BadRequest, after which the piece may come again.
    """
    name = request.get("name")
    if name not in KINDS:
        raise BadRequest("name is not one of " + ", ".join(KINDS))
    part = "%s/mqtt_%s%s" % (folder, name, _PART)
    if "sha256" in request:
        return _end(folder, name, part, request["sha256"], changing)
    at, text = request.get("at"), request.get("hex")
    try:
        piece = binascii.unhexlify(text)
    except (ValueError, TypeError):
        raise BadRequest("hex is no text of hex digits")
    if not piece or binascii.crc32(piece) & 0xFFFFFFFF != request.get("crc"):
        raise BadRequest("the piece does not have its checksum")
    size = os.stat(part)[6] if exists(part) else 0
    if isinstance(at, bool) or not isinstance(at, int) or not (at == 0 or 0 < at <= size):
        raise BadRequest("at is not where the file ends")
    if at + len(piece) > _MAX:
        raise BadRequest("the file is longer than %d bytes" % _MAX)
    if size > at:
        _tell(name, changing)
    with open(part, "r+b" if at else "wb") as file:
        file.seek(at)
        file.write(piece)
    return {"ok": True, "size": at + len(piece)}


def _tell(name, changing):
    if changing and name.startswith("key"):
        changing()


def _end(folder, name, part, digest, changing):
    if not exists(part):
        raise BadRequest("nothing of this file has come")
    with open(part, "rb") as file:
        content = file.read()
    fault = None
    if binascii.hexlify(hashlib.sha256(content).digest()).decode() != digest:
        fault = "the file does not have its checksum"
    elif content[0] != 0x30:
        fault = "the file is no DER"
    if fault:
        _tell(name, changing)
        os.remove(part)
        raise BadRequest(fault)
    path = "%s/mqtt_%s-%s.der" % (folder, name, digest[:8])
    os.rename(part, path)
    return {"ok": True, "path": path}


def tidy(folder, values, changing=None):
    """Remove what the settings `values` do not name; `changing()` is called before a private key goes."""
    wanted = [values.get("mqtt_" + kind) for kind in KINDS]
    for name in os.listdir(folder):
        path = folder + "/" + name
        if name.startswith("mqtt_") and (name.endswith(".der") or name.endswith(_PART)) and path not in wanted:
            _tell(name[len("mqtt_") :], changing)
            os.remove(path)
