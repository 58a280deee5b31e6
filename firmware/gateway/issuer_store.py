"""The issuers on flash: encrypted under the device's key, in two copies. Owns the file; loaded at the start and when an
issuer comes or goes, and let go of again.

One JSON object: name -> {"key", "ops", "locks", "rates"}; of the owner the key alone.
"""

import json

from firmware.lib import envelope
from firmware.lib.errors import FirmwareError
from firmware.system.vault import Vault

_NAME = "issuers"  # class of the vault


class Owned(FirmwareError):
    """Somebody else owns the gateway; told at the console only."""

    code = "owned"


def load(nvs, folder):
    """(what is stored, whether it is damaged): {} where there is nothing, or nothing that can be read."""
    vault = Vault(folder, nvs)
    packed = vault.load(_NAME)
    if packed is None:
        return {}, vault.is_damaged(_NAME)
    try:
        kept = json.loads(packed.decode())
        for name in kept:
            bytes.fromhex(kept[name]["key"])
        return kept, False
    except (KeyError, TypeError, ValueError):
        return {}, True


def save(nvs, folder, kept):
    """Replace what is stored; durable on return. Raises OSError."""
    Vault(folder, nvs).save(_NAME, json.dumps(kept).encode())


def own(issuers, key):
    """Take an owner, whose key is 32 bytes; the same one again is no change. Raises Owned, OSError."""
    owner = issuers.get(envelope.OWNER)
    if owner is not None:
        if owner.key != key:
            raise Owned("this gateway has another owner: reset it first")
        return
    kept = issuers.kept()
    kept[envelope.OWNER] = {"key": key.hex()}
    issuers.store(kept)
    issuers.on_owned()
