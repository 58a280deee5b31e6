"""The owner's settings: one table of keys per role, checked as a whole. Owns how a settings file is read and written.

The tables live with their role (`gateway/provisioning.py`, `lock/settings.py`). A value that is wrong is named together
with all others that are wrong, by key and reason, and never by the value itself: it may be a password.
"""

from firmware.lib.compat import const, decode_utf8, loads_object
from firmware.lib.errors import ConfigError, ProtocolError
from firmware.system import store

REQUIRED = object()
_MAX_TEXT = const(8192)  # characters of a settings file that somebody wrote by hand


def text(low=0, high=128):
    """Check: a string of `low` to `high` bytes."""

    def check(value):
        if not isinstance(value, str):
            return "is not a text"
        try:
            octets = value.encode()
            decode_utf8(octets)
        except (ProtocolError, ValueError):  # half of an emoji
            return "is no text in UTF-8"
        if not low <= len(octets) <= high:
            return "has not %d to %d bytes" % (low, high)
        return None

    return check


def integer(low, high):
    """Check: a whole number from `low` to `high`."""

    def check(value):
        if isinstance(value, bool) or not isinstance(value, int):
            return "is not a whole number"
        if not low <= value <= high:
            return "is not between %d and %d" % (low, high)
        return None

    return check


def flag(value):
    """Check: true or false."""
    return None if isinstance(value, bool) else "is neither true nor false"


def choice(*words):
    """Check: one of `words`."""

    def check(value):
        return None if isinstance(value, str) and value in words else "is not one of " + ", ".join(words)

    return check


class Setting:
    """One key: its default (or REQUIRED), the check that returns what is wrong or None, and its unit for people."""

    def __init__(self, name, default, check, unit=""):
        self.name = name
        self.default = default
        self.check = check
        self.unit = unit


class Settings:
    """Checked values, read as attributes: `settings.mqtt_host`."""

    def __init__(self, values):
        self._values = values

    def __getattr__(self, name):
        try:
            return self._values[name]
        except KeyError:
            raise AttributeError(name)

    def as_dict(self):
        """A copy of all values, defaults included."""
        return dict(self._values)


class Table:
    """All keys of a role. `together(values)` may return further faults, those that no single key shows."""

    def __init__(self, settings, together=None):
        self._settings = settings
        self._together = together

    def faults(self, given, is_part=False):
        """Everything wrong with the dict `given`, as a list of texts that begin with the key. `is_part`: others are set
        already, so that none is missing."""
        if not isinstance(given, dict):
            return ["settings are not an object of keys and values"]
        known = {setting.name: setting for setting in self._settings}
        faults = ["%s is not a setting" % name for name in sorted(given) if name not in known]
        for setting in self._settings:
            if setting.name in given:
                fault = setting.check(given[setting.name])
                if fault:
                    faults.append("%s %s" % (setting.name, fault))
            elif setting.default is REQUIRED and not is_part:
                faults.append("%s is missing" % setting.name)
        if not faults and self._together and not is_part:
            faults.extend(self._together(self._with_defaults(given)))
        return faults

    def check(self, given):
        """Dict -> Settings with the defaults filled in. Raises ConfigError that names every fault."""
        faults = self.faults(given)
        if faults:
            raise ConfigError("; ".join(faults))
        return Settings(self._with_defaults(given))

    def _with_defaults(self, given):
        return {setting.name: given.get(setting.name, setting.default) for setting in self._settings}


def read(path):
    """The dict at `path`: as `write` left it, or plain JSON put there by hand; {} when there is no file.

    Raises ConfigError when a file is there and cannot be read.
    """
    value = store.load(path, alone=True)
    if value is None and store.exists(path):
        try:
            with open(path) as file:
                value = loads_object(file.read(_MAX_TEXT))
        except (OSError, ValueError, UnicodeError):  # damaged, not written by hand: the second copy is used
            value = store.load(path)
            if value is None:
                raise ConfigError("%s is neither intact nor plain JSON" % path)
    return {} if value is None else value


def load(path, table):
    """Read and check the settings at `path`. Raises ConfigError that names every fault."""
    return table.check(read(path))


def write(path, table, changes, is_part=False):
    """Check what is stored at `path` with `changes` applied (None removes a key), store it, return the Settings; None
    with `is_part`, when others may still be missing.

    Raises ConfigError, and then changes nothing.
    """
    if not isinstance(changes, dict):
        raise ConfigError("settings are not an object of keys and values")
    values = dict(read(path))
    for name in changes:
        if changes[name] is None:
            values.pop(name, None)
        else:
            values[name] = changes[name]
    settings = None
    if is_part:
        faults = table.faults(values, True)
        if faults:
            raise ConfigError("; ".join(faults))
    else:
        settings = table.check(values)
    store.save(path, values, twin=True)
    return settings
