"""The owner's settings of a lock, /data/settings.json: one table for `system.config`, needed to read and write them.

Source of the defaults: decisions.md DEC-9, DEC-25, DEC-35, DEC-38.
"""

from firmware.system.config import Setting, Table, choice, flag, integer

TABLE = Table(
    (
        Setting("panel", False, flag),  # keys and touches over the serial port: simulator and test boards only
        Setting("pairing_over_air", True, flag),
        Setting("adv_awake_ms", 400, integer(20, 10000), "ms"),
        Setting("adv_asleep_ms", 1000, integer(20, 10240), "ms"),
        Setting("travel_ms", 600, integer(50, 2000), "ms"),  # 0x47 is answered when the bolt is there
        Setting("scene", 2, integer(0, 11)),  # what it locks (lock-ble-link.md 2.6): 2 a door, 8 a padlock, and others
        Setting("push", True, flag),
        Setting("crc_default", "standard", choice("standard", "vendor")),
        Setting("record_auto_lock", False, flag),
        Setting("low_battery_unlock", False, flag),  # open by itself before the battery is empty (feature bit 87)
        Setting("reset_button", True, flag),  # False: the button never resets, whatever clients set
        Setting("door_sensor", False, flag),  # a contact at the door is wired to its pin
        Setting("strict_empty", False, flag),
        # "real": as other makers' locks behave where ours does better, for whoever tries a gateway (manners.py);
        # "real_constant": one of those whose 0x14 always says unlocked
        Setting("manners", "own", choice("own", "real", "real_constant")),
        Setting("clock_backup", False, flag),  # the board's clock runs on while it has no power
    )
)
