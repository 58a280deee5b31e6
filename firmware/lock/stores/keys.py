"""The lock's own secrets: AES key, administrator's numbers, admin passcode, erase code, seeds; kept in the vault.

Owns what "paired" means: this class is stored. Source: lock-ble-link.md 8.1, 8.3; lock-ble-commands.md 3.4, 3.5.
"""

import json

from firmware.lock.stores.bank import Store

KEYS = "keys"
SEEDS = "seeds"


class Keys(Store):
    """`is_paired` is true from `add_admin` on; whether that is final is the vault's transaction."""

    CLASSES = ((KEYS, 0), (SEEDS, 0))

    def __init__(self, vault):
        self._vault = vault
        self.is_paired = False
        self.aes = None
        self.admin_ps = 0
        self.unlock_key = 0
        self.admin_passcode = b""
        self.erase_code = b""

    def load(self):
        packed = self._vault.load(KEYS)
        kept = json.loads(packed.decode()) if packed else None
        self.is_paired = kept is not None
        self.aes = bytes.fromhex(kept["aes"]) if kept else None
        self.admin_ps = kept["admin_ps"] if kept else 0
        self.unlock_key = kept["unlock_key"] if kept else 0
        self.admin_passcode = kept["admin_passcode"].encode() if kept else b""
        self.erase_code = kept.get("erase_code", "").encode() if kept else b""

    def _keep(self, admin_passcode, erase_code):
        kept = {
            "aes": self.aes.hex(),
            "admin_ps": self.admin_ps,
            "unlock_key": self.unlock_key,
            "admin_passcode": admin_passcode.decode(),
            "erase_code": erase_code.decode(),
        }
        self._vault.save(KEYS, json.dumps(kept).encode())
        self.admin_passcode = admin_passcode
        self.erase_code = erase_code

    def add_admin(self, aes, admin_ps, unlock_key):
        """Store the numbers of a pairing."""
        self.aes = aes
        self.admin_ps = admin_ps
        self.unlock_key = unlock_key
        self._keep(b"", b"")
        self.is_paired = True

    def set_admin_passcode(self, digits):
        """ASCII digits, b"" deletes; durable on return."""
        if digits != self.admin_passcode:
            self._keep(digits, self.erase_code)

    def set_erase_code(self, digits):
        """As `set_admin_passcode`."""
        if digits != self.erase_code:
            self._keep(self.admin_passcode, digits)

    def set_seeds(self, packed):
        """The 61 bytes of 0x31, as they came."""
        self._vault.save(SEEDS, packed)
