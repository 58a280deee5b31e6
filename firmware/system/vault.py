"""Secrets at rest: one encrypted file per class (keys, passcodes, options; of a gateway: one lock), under a key kept
elsewhere. Owns the device storage key and the files; knows nothing of their content.

Layout of a file: counter u32, IV 16, cipher text (AES-CTR), HMAC-SHA-256 over all before it and the class name. There
are two copies, `.a` and `.b`, of the same state: one may be damaged. The counter of the state in force stands in NVS,
too, and an older one is refused: what was deleted never comes back, not from the second copy and not from a folder that
the file system restores (security.md DEL-1). That number also tells damage from never having stored anything.
A save writes one copy, reads it back, moves the number and writes the other; `load` completes what a power cut left.
`begin` holds changes in RAM until `commit` (pairing is one transaction, security.md PAIR-2).
Source: security.md 3.3 CRED-2, CRED-3; 3.6 RST-2, DEL-1; 4.3.
"""

import os

from firmware.lib import crypto
from firmware.lib.compat import const
from firmware.system.store import holds, make_folder, read

_SPACE = "gatehouse"
KEY_NAMES = ("dsk", "dsk2")  # two entries of the same key: one may be damaged
_WIPING = "wiping"
_COUNT = "v."  # with the class name at most 15 characters
_COPIES = (".a", ".b")
_KEY_LEN = const(32)
_IV_LEN = const(16)
_TAG_LEN = const(32)
_WRAP_IV = const(8)


class Vault:
    """`folder` is made where missing. `nvs` has get(space, key) -> bytes or None, set(space, key, value),
    erase(space, key), and scrub(key), which makes what NVS still holds of values erased under a key unreadable.
    """

    def __init__(self, folder, nvs):
        make_folder(folder)
        self._folder = folder
        self._nvs = nvs
        self._keys = None
        self._held = None

    # --- the key

    def _stored_key(self):
        """The device storage key, or None. Completes its second entry."""
        stored = None
        missing = []
        for name in KEY_NAMES:
            key = self._nvs.get(_SPACE, name)
            if key is None or len(key) != _KEY_LEN:
                missing.append(name)
            elif stored is None:
                stored = key
        if stored is not None:
            for name in missing:
                self._nvs.set(_SPACE, name, stored)
        return stored

    def _secrets(self, make=False):
        """(cipher key, tag key, key of `wrap`), or None when there is no device storage key and none is to be made."""
        if self._keys is None:
            key = self._stored_key()
            if key is None:
                if not make:
                    return None
                key = crypto.new_key(_KEY_LEN)
                for name in KEY_NAMES:
                    self._nvs.set(_SPACE, name, key)
            block = crypto.hkdf(key, b"", b"gatehouse-vault-1", 64)
            self._keys = block[:16], block[16:48], block[48:]
        return self._keys

    def wrap(self, plain):
        """`plain` encrypted for another store of this board; that store finds out by itself what is damaged."""
        iv = crypto.random_bytes(_WRAP_IV)
        return iv + crypto.ctr(self._secrets(True)[2], iv + bytes(16 - _WRAP_IV), plain)

    def unwrap(self, wrapped):
        """The inverse of `wrap`, or None when the key is gone."""
        keys = self._secrets()
        if keys is None or len(wrapped) < _WRAP_IV:
            return None
        return bytes(crypto.ctr(keys[2], bytes(wrapped[:_WRAP_IV]) + bytes(16 - _WRAP_IV), wrapped[_WRAP_IV:]))

    # --- classes

    def _path(self, name, copy):
        return self._folder + "/" + name + copy

    def _tag(self, name, *parts):
        return crypto.hmac_sha256(self._secrets()[1], name.encode(), b"|", *parts)

    def _valid(self, name, copy):
        """(counter, sealed bytes) of a copy, or None when it is missing or not ours."""
        sealed = read(self._path(name, copy))
        if sealed is None or self._secrets() is None:
            return None
        body = memoryview(sealed)[: max(0, len(sealed) - _TAG_LEN)]
        if len(body) < 4 + _IV_LEN or not crypto.equal(self._tag(name, body), sealed[-_TAG_LEN:]):
            return None
        return int.from_bytes(sealed[:4], "big"), sealed

    def _counted(self, name):
        """The counter of the state in force, None when nothing was ever stored."""
        kept = self._nvs.get(_SPACE, _COUNT + name)
        return None if kept is None else int.from_bytes(kept, "big")

    def _count(self, name, counter):
        self._nvs.set(_SPACE, _COUNT + name, counter.to_bytes(4, "big"))

    def load(self, name):
        """The content of class `name`, or None when nothing valid is stored."""
        if self._held is not None and name in self._held:
            return self._held[name]
        sealed = self._in_force(name)
        if sealed is None:
            return None
        cipher = memoryview(sealed)[4 + _IV_LEN : len(sealed) - _TAG_LEN]
        plain = crypto.ctr(self._secrets()[0], sealed[4 : 4 + _IV_LEN], cipher)
        del sealed, cipher  # a class may be kilobytes: at most two copies of it are in RAM at once
        return bytes(plain)

    def _in_force(self, name):
        """The sealed bytes that count, or None; completes what a power cut left of the other copy."""
        least = self._counted(name)
        newest = None
        counters = []
        for copy in _COPIES:
            valid = self._valid(name, copy)
            counters.append(None if valid is None else valid[0])
            if valid is not None and valid[0] >= (least or 0) and (newest is None or valid[0] > newest[0]):
                newest = valid
        if newest is None:
            return None
        counter, sealed = newest
        try:
            if least != counter:
                self._count(name, counter)
            for copy, stored in zip(_COPIES, counters):
                if stored != counter:
                    self._write(name, copy, sealed)
        except OSError:  # a flash that cannot be written any more can still be read
            pass
        return sealed

    def is_damaged(self, name):
        """True when something was stored for class `name` and none of it can be opened any more."""
        if self.load(name) is not None:
            return False
        if self._counted(name) is not None:
            return True
        return any(read(self._path(name, copy)) for copy in _COPIES)  # a first write that was cut leaves an empty file

    def names(self):
        """The classes of which there are files, in order."""
        return sorted({name[:-2] for name in os.listdir(self._folder) if name[-2:] in _COPIES})

    def save(self, name, plain):
        """Store `plain` (bytes) for class `name`; durable on return, or held back between begin and commit."""
        if self._held is not None:
            self._held[name] = plain
            return
        keys = self._secrets(True)
        counter = self._counted(name) or 0
        newest = None  # this copy is written last
        for copy in _COPIES:
            valid = self._valid(name, copy)
            if valid is not None and valid[0] >= counter:
                counter = valid[0]
                newest = copy
        counter += 1
        iv = crypto.random_bytes(_IV_LEN)
        parts = counter.to_bytes(4, "big"), iv, crypto.ctr(keys[0], iv, plain)
        sealed = b"".join(parts + (self._tag(name, *parts),))  # the one copy: a class may be kilobytes
        first, second = _COPIES if newest == _COPIES[1] else (_COPIES[1], _COPIES[0])
        self._write(name, first, sealed)
        self._count(name, counter)
        self._write(name, second, sealed)

    def _write(self, name, copy, sealed):
        path = self._path(name, copy)
        with open(path, "wb") as file:
            file.write(sealed)
        if not holds(path, sealed):
            raise OSError("vault: %s does not read back" % name)

    def remove(self, name):
        """Forget class `name`: it is as if nothing had ever been stored."""
        for copy in _COPIES:
            try:
                os.remove(self._path(name, copy))
            except OSError:  # it was not there
                pass
        self._nvs.erase(_SPACE, _COUNT + name)

    def begin(self):
        """Hold every change in RAM from here."""
        self._held = {}

    @property
    def is_holding(self):
        """True between begin and commit or rollback."""
        return self._held is not None

    def commit(self, last):
        """Store what was held, class `last` after all others: it is the one that makes the rest count."""
        held = self._held or {}
        self._held = None
        for name in sorted(held, key=lambda name: (name == last, name)):
            self.save(name, held[name])

    def rollback(self):
        """Forget what was held."""
        self._held = None

    # --- wiping

    @property
    def is_wiping(self):
        """True from mark_wipe until the wipe is complete, over power cuts."""
        return self._nvs.get(_SPACE, _WIPING) is not None

    def mark_wipe(self):
        """Durably promise a wipe (security.md RST-2, first phase)."""
        self._nvs.set(_SPACE, _WIPING, b"1")

    def wipe(self, names, erase_others):
        """Second phase: destroy the key, then all files, what is left of `names`, and what `erase_others()` erases;
        then the mark.
        """
        self._held = None
        self._keys = None
        for name in KEY_NAMES:
            self._nvs.erase(_SPACE, name)
        for name in KEY_NAMES:
            self._nvs.scrub(name)
        for name in sorted(set(names) | set(self.names())):  # a class may have nothing left but its counter
            self.remove(name)
        erase_others()
        self._nvs.erase(_SPACE, _WIPING)
