"""Secrets at rest: one encrypted file per class (keys, passcodes, options), under a key that is kept elsewhere.

Owns the device storage key and the files; knows nothing of their content. Layout of a file: counter u32, IV 16, cipher
text (AES-CTR), HMAC-SHA-256 over all before it and the class name. Two copies take turns, so that the only good one is
never overwritten; the older is removed once the newer has been read back, so that nothing deleted comes back from it.
`begin` holds changes in RAM until `commit` (pairing is one transaction, security.md PAIR-2).
Source: security.md 3.3 CRED-2, CRED-3; 3.6 RST-2; 4.3.
"""

import os

from firmware.lib import crypto
from firmware.lib.compat import const

_SPACE = "gatehouse"
_KEY_NAME = "dsk"
_WIPING = "wiping"
_KEY_LEN = const(32)
_IV_LEN = const(16)
_TAG_LEN = const(32)


class Vault:
    """`folder` exists; `nvs` has get(space, key) -> bytes or None, set(space, key, value), erase(space, key)."""

    def __init__(self, folder, nvs):
        self._folder = folder
        self._nvs = nvs
        self._keys = None
        self._held = None
        self._counters = {}

    def _secrets(self):
        if self._keys is None:
            key = self._nvs.get(_SPACE, _KEY_NAME)
            if key is None or len(key) != _KEY_LEN:
                key = crypto.random_bytes(_KEY_LEN)
                self._nvs.set(_SPACE, _KEY_NAME, key)
            block = crypto.hkdf(key, b"", b"gatehouse-vault-1", 48)
            self._keys = block[:16], block[16:]
        return self._keys

    def _path(self, name, counter):
        return "%s/%s.%s" % (self._folder, name, "b" if counter & 1 else "a")

    def _tag(self, name, sealed):
        return crypto.hmac_sha256(self._secrets()[1], name.encode() + b"|" + sealed)

    def _open(self, name, parity):
        """(counter, plain) of one copy, or None when it is missing or not ours."""
        try:
            with open(self._path(name, parity), "rb") as file:
                sealed = file.read()
        except OSError:
            return None
        body = sealed[:-_TAG_LEN]
        if len(body) < 4 + _IV_LEN or not crypto.equal(self._tag(name, body), sealed[-_TAG_LEN:]):
            return None
        plain = crypto.ctr(self._secrets()[0], body[4 : 4 + _IV_LEN], body[4 + _IV_LEN :])
        return int.from_bytes(body[:4], "big"), plain

    def load(self, name):
        """The content of class `name`, or None when nothing valid is stored."""
        if self._held is not None and name in self._held:
            return self._held[name]
        found = None
        for parity in (0, 1):
            copy = self._open(name, parity)
            if copy is not None and (found is None or copy[0] > found[0]):
                found = copy
        if found is None:
            return None
        self._counters[name] = found[0]
        return bytes(found[1])

    def is_damaged(self, name):
        """True when something whole was stored for class `name` once and none of it can be opened any more."""
        if self.load(name) is not None:
            return False
        for parity in (0, 1):
            try:
                size = os.stat(self._path(name, parity))[6]
            except OSError:
                continue
            if size >= 4 + _IV_LEN + _TAG_LEN:  # a first write that was cut leaves less
                return True
        return False

    def save(self, name, plain):
        """Store `plain` (bytes) for class `name`; durable on return, or held back between begin and commit."""
        if self._held is not None:
            self._held[name] = plain
            return
        if name not in self._counters:
            self.load(name)
        counter = self._counters.get(name, 0) + 1
        key = self._secrets()[0]
        iv = crypto.random_bytes(_IV_LEN)
        body = counter.to_bytes(4, "big") + iv + bytes(crypto.ctr(key, iv, plain))
        with open(self._path(name, counter), "wb") as file:
            file.write(body + self._tag(name, body))
        copy = self._open(name, counter)
        if copy is None or copy[0] != counter:
            raise OSError("vault: %s does not read back" % name)
        self._counters[name] = counter
        self._remove(self._path(name, counter + 1))

    def _remove(self, path):
        try:
            os.remove(path)
        except OSError:  # it was not there
            pass

    def begin(self):
        """Hold every change in RAM from here."""
        self._held = {}

    def commit(self, last):
        """Store what was held, class `last` after all others: it is the one that makes the rest count."""
        held = self._held or {}
        self._held = None
        for name in sorted(held, key=lambda name: (name == last, name)):
            self.save(name, held[name])

    def rollback(self):
        """Forget what was held."""
        self._held = None

    @property
    def is_wiping(self):
        """True from mark_wipe until the wipe is complete, over power cuts."""
        return self._nvs.get(_SPACE, _WIPING) is not None

    def mark_wipe(self):
        """Durably promise a wipe (RST-2, first phase)."""
        self._nvs.set(_SPACE, _WIPING, b"1")

    def wipe(self, names, erase_others):
        """Second phase: destroy the key, then the files and, by `erase_others()`, what else must go; then the mark."""
        self._held = None
        self._keys = None
        self._counters = {}
        self._nvs.erase(_SPACE, _KEY_NAME)
        for name in names:
            self._remove(self._path(name, 0))
            self._remove(self._path(name, 1))
        erase_others()
        self._nvs.erase(_SPACE, _WIPING)
