# MicroPython's `esp32` for simulated boards: the key-value store, in a file beside the flash image, so that
# every kind of reset and the erasing of the flash's files leave it alone.
import json

import _board

_NOT_FOUND = -4354  # ESP_ERR_NVS_NOT_FOUND
_TOO_LONG = -4361  # ESP_ERR_NVS_KEY_TOO_LONG
_INVALID_LENGTH = -4364  # ESP_ERR_NVS_INVALID_LENGTH


def _load():
    try:
        with _board.host.open(_board.image + ".nvs", "r") as file:
            return json.load(file)
    except OSError:
        return {}


def _save(entries):
    path = _board.image + ".nvs"
    with _board.host.open(path + ".new", "w") as file:
        json.dump(entries, file)
    _board.host.rename(path + ".new", path)


class NVS:
    def __init__(self, namespace):
        if len(namespace) > 15:
            raise OSError(_TOO_LONG, "ESP_ERR_NVS_KEY_TOO_LONG")
        self._namespace = namespace
        self._changes = {}  # until commit()

    def _key(self, kind, key):
        if len(key) > 15:
            raise OSError(_TOO_LONG, "ESP_ERR_NVS_KEY_TOO_LONG")
        return "%s/%s/%s" % (self._namespace, kind, key)

    def _get(self, kind, key):
        name = self._key(kind, key)
        value = self._changes[name] if name in self._changes else _load().get(name)
        if value is None:
            raise OSError(_NOT_FOUND, "ESP_ERR_NVS_NOT_FOUND")
        return value

    def set_i32(self, key, value):
        if not -0x80000000 <= value <= 0x7FFFFFFF:
            raise OverflowError("overflow converting long int to machine word")
        self._changes[self._key("i", key)] = value

    def get_i32(self, key):
        return self._get("i", key)

    def set_blob(self, key, value):
        self._changes[self._key("b", key)] = (value.encode() if isinstance(value, str) else bytes(value)).hex()

    def get_blob(self, key, buffer):
        value = bytes.fromhex(self._get("b", key))
        if len(value) > len(buffer):
            raise OSError(_INVALID_LENGTH, "ESP_ERR_NVS_INVALID_LENGTH")
        buffer[: len(value)] = value
        return len(value)

    def erase_key(self, key):
        found = False
        entries = _load()
        for kind in "ib":
            name = self._key(kind, key)
            if self._changes.get(name, entries.get(name)) is not None:
                self._changes[name] = None
                found = True
        if not found:
            raise OSError(_NOT_FOUND, "ESP_ERR_NVS_NOT_FOUND")

    def commit(self):
        entries = _load()
        for name, value in self._changes.items():
            if value is None:
                entries.pop(name, None)
            else:
                entries[name] = value
        _save(entries)
        self._changes = {}
