"""Forgetting everything (security.md RST-4): the owner and all issuers, locks, jobs, records, results, ids, settings
with their passwords, and the gateway's own key. Owns the order; loaded at the start that follows a reset, when nothing
else runs.

The promise is a mark in NVS (`app` sets it), which is erased last: a power cut begins it anew. The key of what is
encrypted goes first. Deleted files leave their bytes on flash, so that the free room is then written over once.
"""

import os

from firmware.lib.compat import const
from firmware.system.store import exists
from firmware.system.vault import KEY_NAMES, Vault

_SPACE = "gatehouse"
_MARK = "wiping"
_DATA = "/data"
_VAULTS = ("/data/issuers", "/data/locks", "/data/jobs")
_KEYS = KEY_NAMES + ("x25519", "x25519_public", "last_time", "boot", "pin_wrong")
_FILL = "/data.fill"
_PIECE = const(512)
_SMALL = const(64)  # stays within the folder, whose blocks must be written over, too
_CHURN = const(80)


def steps(board):
    """A generator that forgets everything, a little at a time. OSError of a flash that refuses is raised."""
    nvs = board.Nvs()
    for key in _KEYS:
        nvs.erase(_SPACE, key)
        nvs.scrub(key)
        yield
    for folder in _VAULTS:
        if exists(folder):
            vault = Vault(folder, nvs)
            for name in vault.names():
                vault.remove(name)
                yield
    for _ in _remove(_DATA):
        yield
    for _ in _write_over():
        yield
    nvs.erase(_SPACE, _MARK)


def _remove(path):
    """Delete a folder with all that is in it."""
    if not exists(path):
        return
    for name in os.listdir(path):
        inner = path + "/" + name
        if os.stat(inner)[0] & 0x4000:
            for _ in _remove(inner):
                yield
        else:
            os.remove(inner)
            yield
    os.rmdir(path)


def _write_over():
    """Fill what is free, then delete it again."""
    piece = bytes(_PIECE)
    try:
        with open(_FILL, "wb") as file:
            while True:
                file.write(piece)
                yield
    except OSError:  # full, which is what was wanted
        pass
    os.remove(_FILL)
    for _ in range(_CHURN):
        with open(_FILL, "wb") as file:
            file.write(piece[:_SMALL])
        yield
    os.remove(_FILL)
