"""Settings: those in the owner's file, and those that clients change over the air.

The file's table is for `system.config`; the others (`Options`) live in the vault, so that a reset takes them along.
Defaults: DESIGN.md 7, lock-ble-commands.md 6, security.md REM-1.
"""

import json

from firmware.system.config import Setting, Table, choice, flag, integer

# The owner's file, /data/settings.json
TABLE = Table(
    (
        Setting("panel", False, flag),  # keys and touches over the serial port: simulator and test boards only
        Setting("pairing_over_air", True, flag),
        Setting("adv_awake_ms", 400, integer(20, 10000), "ms"),
        Setting("adv_asleep_ms", 1000, integer(20, 10240), "ms"),
        Setting("travel_ms", 600, integer(50, 2000), "ms"),  # 0x47 is answered when the bolt is there
        Setting("push", True, flag),
        Setting("crc_default", "standard", choice("standard", "vendor")),
        Setting("record_auto_lock", False, flag),
        Setting("reset_button", True, flag),
        Setting("strict_empty", False, flag),
        Setting("clock_backup", False, flag),  # the board's clock runs on while it has no power
    )
)

_CLASS = "options"


class Options:
    """What clients query and set: auto-lock time, sound, remote-unlock switch, typed digits on the screen."""

    def __init__(self, vault):
        self._vault = vault
        self.reload()

    def reload(self):
        """Take the state from the vault, or the defaults of a factory-fresh lock."""
        packed = self._vault.load(_CLASS)
        kept = json.loads(packed.decode()) if packed else {}
        self.autolock_s = kept.get("autolock_s", 5)
        self.sound = kept.get("sound", 1)
        self.remote_unlock = kept.get("remote_unlock", 0)
        self.passcode_display = kept.get("passcode_display", 1)

    def change(self, name, value):
        """Set one of the four; durable on return. True if it differed."""
        if getattr(self, name) == value:
            return False
        kept = {
            "autolock_s": self.autolock_s,
            "sound": self.sound,
            "remote_unlock": self.remote_unlock,
            "passcode_display": self.passcode_display,
        }
        kept[name] = value
        self._vault.save(_CLASS, json.dumps(kept).encode())
        setattr(self, name, value)
        return True
