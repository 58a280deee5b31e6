"""Forgetting (security.md RST-4, DEL-2). littlefs never writes in place, so that what was deleted stays on flash until
its block is used again; here these blocks are used. Owns the order; loaded when there is something to forget.

`steps` forgets everything: the owner and all issuers, locks, jobs, records, results, ids, settings with their
passwords, and the gateway's own key. It runs at the start that follows a reset, when nothing else does. The key of
what is encrypted goes first.

`sweep` runs beside the rest, after something secret was deleted or took the place of another: it deletes the records
of locks that are served no more and the results of requests, and then uses each block that was free, one at a time.
Who deletes or replaces a secret calls `promise_sweep` before, by way of the `App`: locks and their keys, issuers,
settings, the PIN, the key towards the broker.

Each is promised by a mark in NVS, which is set before anything is deleted and erased last: after a power cut it begins
anew.
"""

import os

from firmware.lib.compat import const
from firmware.system.store import exists
from firmware.system.vault import KEY_NAMES, Vault

_SPACE = "gatehouse"
_MARK = "wiping"
_SWEEP = "sweep"
_DATA = "/data"
_RECORDS = "/records"
_VAULTS = ("/issuers", "/locks", "/jobs")
_KEYS = KEY_NAMES + ("x25519", "x25519_public", "last_time", "boot", "pin_wrong", "pop", _SWEEP)
_FILL = ".fill"  # beside the folder of all others
_IS_FOLDER = const(0x4000)
_PIECE = const(512)
_SMALL = const(64)  # stays within the folder, whose blocks must be written over, too
_CHURN = const(80)
_SPARE = const(16)  # the folder of the file takes some blocks, too
_LOOKAHEAD = const(256)  # blocks that littlefs has looked at in advance, before some of them became free


def steps(board, data=_DATA):
    """A generator that forgets everything, a little at a time; `data` is the folder of all that the gateway keeps.
    OSError of a flash that refuses is raised."""
    nvs = board.Nvs()
    for key in _KEYS:
        nvs.erase(_SPACE, key)
        nvs.scrub(key)
        yield
    for folder in _VAULTS:
        if exists(data + folder):
            vault = Vault(data + folder, nvs)
            for name in vault.names():
                vault.remove(name)
                yield
    for _ in _remove(data):
        yield
    for _ in _write_over(data + _FILL):
        yield
    nvs.erase(_SPACE, _MARK)


def promise_sweep(nvs):
    """Durably promise a `sweep`; before what shall be gone is deleted or replaced."""
    nvs.set(_SPACE, _SWEEP, b"1")


def sweep(nvs, registry, ids, data=_DATA):
    """A generator that fulfils the promise, a block of flash at a time. OSError of a flash that refuses is raised.

    littlefs takes free blocks in their order, around the end, and finds out in advance which of the next 256 are free
    (VfsLfs2's `lookahead` of 32 bytes). So a small file that is written anew so many times more than there are blocks
    has been in each free one, and no room is ever missing for what else is written. How many are free is not asked:
    `statvfs` counts each folder twice, so that more are free than it says.
    """
    folder = data + _RECORDS
    for name in os.listdir(folder) if exists(folder) else ():
        if name not in [lock.id for lock in registry.all()]:
            for _ in _remove(folder + "/" + name):
                yield
    for _ in ids.erase_results():
        yield
    for name in os.listdir(data):  # small files lie inside their folder
        if os.stat(data + "/" + name)[0] & _IS_FOLDER:
            for _ in _churn(data + "/" + name + "/" + _FILL):
                yield
    size, _, blocks = os.statvfs(data)[:3]
    piece = bytes(_PIECE)
    for _ in range(blocks + min(blocks, _LOOKAHEAD) + _SPARE):
        with open(data + _FILL, "wb") as file:
            for _ in range(size // _PIECE):
                file.write(piece)
        yield
    os.remove(data + _FILL)
    nvs.erase(_SPACE, _SWEEP)


def _remove(path):
    """Delete a folder with all that is in it."""
    if not exists(path):
        return
    for name in os.listdir(path):
        inner = path + "/" + name
        if os.stat(inner)[0] & _IS_FOLDER:
            for _ in _remove(inner):
                yield
        else:
            os.remove(inner)
            yield
    os.rmdir(path)


def _write_over(path):
    """Fill what is free, then delete it again."""
    piece = bytes(_PIECE)
    try:
        with open(path, "wb") as file:
            while True:
                file.write(piece)
                yield
    except OSError:  # full, which is what was wanted
        pass
    os.remove(path)
    for _ in _churn(path):
        yield


def _churn(path):
    """Write over both blocks of a folder."""
    for _ in range(_CHURN):
        with open(path, "wb") as file:
            file.write(bytes(_SMALL))
        yield
    os.remove(path)
