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
        Setting("scene", 2, integer(0, 11)),  # what it locks (lock-ble-link.md 2.6): 2 a door, 8 a padlock, ...
        Setting("push", True, flag),
        Setting("crc_default", "standard", choice("standard", "vendor")),
        Setting("record_auto_lock", False, flag),
        Setting("reset_button", True, flag),  # False: the button never resets, whatever clients set
        Setting("door_sensor", False, flag),  # a contact at the door is wired to its pin
        Setting("strict_empty", False, flag),
        Setting("clock_backup", False, flag),  # the board's clock runs on while it has no power
    )
)

_CLASS = "options"

# What clients query and set over the air: (name, default, lowest, highest). A switch is 0 or 1.
OPTIONS = (
    ("autolock_s", 5, 0, 900),
    ("sound", 1, 0, 1),
    ("volume", 5, 1, 5),
    ("remote_unlock", 0, 0, 1),
    ("passcode_display", 1, 0, 1),
    ("privacy", 0, 0, 1),
    ("tamper", 0, 0, 1),
    ("reset_button", 1, 0, 1),
    ("passage_auto_unlock", 0, 0, 1),
    ("lamp_s", 0, 0, 255),
    ("direction", 0, 0, 2),
    ("frozen", 0, 0, 1),
    ("language", 2, 0, 8),
    ("wrong_limit", 5, 1, 5),  # of LIM-4, and stricter
    ("lockout_s", 300, 300, 3600),  # of LIM-4, and stricter
    ("door_alarm_s", 0, 0, 65535),
    ("double_locked", 0, 0, 1),  # a state, of the knob inside; it outlives a loss of power
)


class Options:
    """The values of `OPTIONS` as attributes, kept in one class of the vault."""

    def __init__(self, vault):
        self._vault = vault
        self.reload()

    def reload(self):
        """Take the state from the vault, or the defaults of a factory-fresh lock."""
        packed = self._vault.load(_CLASS)
        kept = json.loads(packed.decode()) if packed else {}
        for name, default, _, _ in OPTIONS:
            setattr(self, name, kept.get(name, default))

    def change(self, name, value):
        """Set one; durable on return. True if it differed. Whoever calls has checked it with `fits`."""
        return self.change_all({name: value})

    def keep_state(self, name, value):
        """As `change`, for what has happened at the door: a flash that refuses does not undo it."""
        try:
            self.change(name, value)
        except OSError:
            setattr(self, name, value)

    def change_all(self, values):
        """Set several at once: after a power cut all of them hold, or none. True if one differed."""
        if not [name for name in values if getattr(self, name) != values[name]]:
            return False
        kept = {}
        for name, default, _, _ in OPTIONS:
            value = values.get(name, getattr(self, name))
            if value != default:
                kept[name] = value
        self._vault.save(_CLASS, json.dumps(kept).encode())
        for name in values:
            setattr(self, name, values[name])
        return True


def fits(name, value):
    """True if `value` lies within the range of that option."""
    for each, _, low, high in OPTIONS:
        if each == name:
            return low <= value <= high
    return False
