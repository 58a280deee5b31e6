"""What clients set over the air and the vault keeps, so that a reset takes it along: the options and the lock's name.

Owns their defaults and ranges; what the lock does by them is its parts' own business.
Source of the defaults: decisions.md DEC-12, DEC-24; lock-ble-commands.md 6; security.md REM-1.
"""

import json

from firmware.lock.stores.bank import Store

_OPTIONS = "options"
_NAME = "name"

# What clients query and set over the air: (name, lowest, highest). A switch is 0 or 1.
OPTIONS = (
    ("autolock_s", 0, 900),
    ("sound", 0, 1),
    ("volume", 1, 5),
    ("remote_unlock", 0, 1),
    ("passcode_display", 0, 1),
    ("privacy", 0, 1),
    ("tamper", 0, 1),
    ("reset_button", 0, 1),
    ("passage_auto_unlock", 0, 1),
    ("lamp_s", 0, 255),
    ("direction", 0, 2),
    ("frozen", 0, 1),
    ("language", 0, 8),
    ("wrong_limit", 1, 5),  # of security.md LIM-4, and stricter
    ("lockout_s", 300, 3600),  # of security.md LIM-4, and stricter
    ("door_alarm_s", 0, 65535),
    ("double_locked", 0, 1),  # a state, of the knob inside; it outlives a loss of power
    ("emptied", 0, 1),  # likewise: it has opened by itself for want of power
)


class Options(Store):
    """The values of `OPTIONS` as attributes; those of the class are the defaults."""

    CLASSES = ((_OPTIONS, 0),)

    autolock_s = 5
    sound = 1
    volume = 5
    remote_unlock = 0
    passcode_display = 1
    privacy = 0
    tamper = 0
    reset_button = 1
    passage_auto_unlock = 0
    lamp_s = 0
    direction = 0
    frozen = 0
    language = 2
    wrong_limit = 5
    lockout_s = 300
    door_alarm_s = 0
    double_locked = 0
    emptied = 0

    def __init__(self, vault):
        self._vault = vault

    def load(self):
        packed = self._vault.load(_OPTIONS)
        kept = json.loads(packed.decode()) if packed else {}
        for name, _, _ in OPTIONS:
            setattr(self, name, kept.get(name, getattr(Options, name)))

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
        for name, _, _ in OPTIONS:
            value = values.get(name, getattr(self, name))
            if value != getattr(Options, name):
                kept[name] = value
        self._vault.save(_OPTIONS, json.dumps(kept).encode())
        for name in values:
            setattr(self, name, values[name])
        return True


def fits(name, value):
    """True if `value` lies within the range of that option."""
    for each, low, high in OPTIONS:
        if each == name:
            return low <= value <= high
    return False


class Name(Store):
    """The name that the lock advertises (0x4e). `text` is "" as long as nobody has given one: then it is its own, from
    its address.
    """

    CLASSES = ((_NAME, 0),)

    def __init__(self, vault):
        self._vault = vault
        self.text = ""

    def load(self):
        packed = self._vault.load(_NAME)
        self.text = packed.decode() if packed else ""

    def set(self, text):
        """Durable on return."""
        if text != self.text:
            self._vault.save(_NAME, text.encode())
            self.text = text
